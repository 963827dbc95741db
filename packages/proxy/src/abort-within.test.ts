import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { abortWithin } from './abort-within.ts'

describe('a bounded signal', () => {
  it('fires although nobody but its listener knows it and memory is collected', async () => {
    // Exposes the collector without a flag on the command line.
    setFlagsFromString('--expose-gc')
    const collect: () => void = runInNewContext('gc')
    const fired = listen(abortWithin(new AbortController().signal, 200))
    const collecting = setInterval(collect, 20)
    try {
      expect(await fired).toMatchObject({ name: 'TimeoutError' })
    } finally {
      clearInterval(collecting)
    }
  }, 5_000)

  it('fires with the other signal, for its reason', async () => {
    const controller = new AbortController()
    const fired = listen(abortWithin(controller.signal, 60_000))
    controller.abort('enough')
    expect(await fired).toBe('enough')
  })
})

function listen(signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve) => {
    // Arguments of the event, so that the listener does not hold the signal.
    signal.addEventListener('abort', (event) => resolve(event.target instanceof AbortSignal && event.target.reason), {
      once: true,
    })
  })
}
