import { once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { it } from 'vitest'
import { withTimeLimit } from './with-time-limit.ts'

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

it('a time limit fires, though nobody holds it and memory is collected before', async () => {
  // No frame below this one may hold on to the parts of the signal.
  const fired = (() => once(withTimeLimit(new AbortController().signal, 300), 'abort'))()
  for (let round = 0; round < 3; round += 1) {
    await turn()
    collectGarbage()
  }
  await fired
})
