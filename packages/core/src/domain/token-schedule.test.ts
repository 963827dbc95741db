import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { limits } from '../limits.ts'
import { isUsable, renewalDueMs, retryDelayMs } from './token-schedule.ts'

const begin = Date.parse('2026-01-01T00:00:00Z')
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const lifeMs = fc.integer({ min: limits.tokenLeastMs, max: 400 * 24 * 3_600_000 })

function token(lasts: number | undefined) {
  return {
    obtainedAt: new Date(begin).toISOString(),
    ...(lasts === undefined ? {} : { expiresAt: new Date(begin + lasts).toISOString() }),
  }
}

describe('when a token is renewed', () => {
  it('is before its end, and not in the first three quarters of its life', () => {
    fc.assert(
      fc.property(lifeMs, random, (life, chance) => {
        const due = renewalDueMs(token(life), chance) - begin
        expect(due).toBeGreaterThanOrEqual(Math.floor(life * 0.75))
        expect(due).toBeLessThan(life)
        expect(isUsable(token(life), new Date(begin + due))).toBe(true)
        expect(isUsable(token(life), new Date(begin + life))).toBe(false)
      }),
    )
  })

  it('leaves an hour-long token time for all tries in a row', () => {
    const tries = Array.from({ length: limits.tokenRetries }, (_, index) => retryDelayMs(index + 1, 0) ?? 0)
    expect(tries).toEqual([10_000, 20_000, 40_000, 80_000, 120_000])
    const longest = tries.reduce((sum, delay) => sum + delay, 0)
    expect(longest).toBeLessThanOrEqual(5 * 60_000)
    expect(renewalDueMs(token(3_600_000), 0) + longest).toBeLessThan(begin + 3_600_000)
  })

  it('is never, where nobody says when it ends, or says what cannot be', () => {
    for (const lasts of [undefined, 0, -1, limits.tokenLeastMs - 1]) {
      expect(renewalDueMs(token(lasts), 0)).toBe(Infinity)
      expect(isUsable(token(lasts), new Date(begin + 1e12))).toBe(true)
    }
  })
})

describe('a renewal that fails', () => {
  it('is tried again within two minutes, then every ten, for a day, and not for ever', () => {
    fc.assert(
      fc.property(fc.array(random, { minLength: 200, maxLength: 200 }), (chances) => {
        const delays = chances.map((chance, index) => retryDelayMs(index + 1, chance))
        const given = delays.filter((delay) => delay !== undefined)
        expect(given).toHaveLength(limits.tokenRetries + limits.tokenTicks)
        expect(delays.slice(given.length).every((delay) => delay === undefined)).toBe(true)
        for (const [index, delay] of given.entries()) {
          expect(delay).toBeGreaterThanOrEqual(limits.tokenRetryMs * 0.9)
          expect(delay).toBeLessThanOrEqual(index < limits.tokenRetries ? limits.tokenRetryMaxMs : limits.tokenTickMs)
        }
        const hours = given.reduce((sum, delay) => sum + delay, 0) / 3_600_000
        expect(hours).toBeGreaterThan(21)
        expect(hours).toBeLessThanOrEqual(24.1)
      }),
    )
  })
})
