import { describe, expect, it } from 'vitest'
import { createSystemClock } from './system-clock.ts'

describe('the system clock', () => {
  const clock = createSystemClock()

  it('sleeps as long as it is told to', async () => {
    const begun = clock.monotonicMs()
    await clock.sleep(30, new AbortController().signal)
    expect(clock.monotonicMs() - begun).toBeGreaterThanOrEqual(29)
    expect(Math.abs(clock.now().getTime() - Date.now())).toBeLessThan(1_000)
  })

  it('wakes up with the reason of the signal, before and during the sleep', async () => {
    const reason = new Error('enough')
    await expect(clock.sleep(60_000, AbortSignal.abort(reason))).rejects.toBe(reason)
    const controller = new AbortController()
    const sleeping = clock.sleep(60_000, controller.signal)
    controller.abort(reason)
    await expect(sleeping).rejects.toBe(reason)
  })
})
