import { once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { withTimeLimit } from './with-time-limit.ts'

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')
const never = new AbortController().signal

it('a time limit fires, though nobody holds it and memory is collected before', async () => {
  // No frame below this one may hold on to the parts of the signal.
  const fired = (() => once(withTimeLimit(never, 300), 'abort'))()
  for (let round = 0; round < 3; round += 1) {
    await turn()
    collectGarbage()
  }
  await fired
})

it('the signal of the caller comes first, with its reason', () => {
  const caller = new AbortController()
  const signal = withTimeLimit(caller.signal, 60_000)
  caller.abort(new Error('enough'))
  expect(signal.reason).toMatchObject({ message: 'enough' })
})

it('the reason of a time limit is its own', async () => {
  const signal = withTimeLimit(never, 1)
  await once(signal, 'abort')
  expect(signal.reason).toMatchObject({ name: 'TimeoutError' })
})
