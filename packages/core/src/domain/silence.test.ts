import { describe, expect, it } from 'vitest'
import { endsPatience, prolongSilence, type Silence } from './silence.ts'

const busyMs = 300_000

/** A silence in which each question found calls under way or not, ten seconds apart. */
function silenceOf(...hasCalls: boolean[]): Silence {
  let silence: Silence | undefined
  for (const [index, one] of hasCalls.entries()) silence = prolongSilence(silence, one, index * 10_000)
  return silence!
}

describe('the silence of a local server', () => {
  it('begins with the first question that fails', () => {
    expect(silenceOf(false, false, false)).toEqual({ sinceMs: 0, failures: 3, isBusy: false })
  })

  it.each([
    ['a call was under way when it began', [true, false, false, false], true],
    ['a call came just after the question', [false, true, true, true], true],
    ['calls came when it had long been silent', [false, false, true, true], false],
    ['nobody asked anything', [false, false, false, false], false],
  ])('%s: may be busy is %j, %s', (_what, hasCalls, isBusy) => {
    expect(silenceOf(...hasCalls).isBusy).toBe(isBusy)
  })

  it('is ended at once where there was nothing to do, and else after the longest that a call may take', () => {
    expect(endsPatience(silenceOf(false, false), { nowMs: 10_000, busyMs })).toBe(true)
    expect(endsPatience(silenceOf(true, true), { nowMs: busyMs - 1, busyMs })).toBe(false)
    expect(endsPatience(silenceOf(true, true), { nowMs: busyMs, busyMs })).toBe(true)
  })
})
