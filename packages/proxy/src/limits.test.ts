import { describe, expect, it } from 'vitest'
import { buildLimits, checkLimits, proxyLimits } from './limits.ts'

describe('buildLimits', () => {
  it('takes overrides, and nothing that no timer or counter could work with', () => {
    expect(
      buildLimits({
        requestTimeoutMs: 3_600_000_000,
        streamAfterMs: 0.5,
        sessions: 0,
        waitingCalls: -1,
        closeMs: Number.NaN,
        keepAliveMs: Infinity,
      }),
    ).toEqual({ ...proxyLimits, requestTimeoutMs: 2 ** 31 - 1, streamAfterMs: 1, keepAliveMs: 2 ** 31 - 1 })
  })
})

describe('checkLimits', () => {
  it('takes what is written down', () => {
    expect(checkLimits({ bodyBytes: 1, closeMs: 2 ** 31 - 1 })).toEqual({ bodyBytes: 1, closeMs: 2 ** 31 - 1 })
  })

  it.each([0, -1, 1.5, Number.NaN, 2 ** 31, '5', null])('refuses %j', (value) => {
    expect(() => checkLimits({ bodyBytes: value })).toThrow('"bodyBytes" is not a whole number from 1 to 2147483647')
  })

  it.each(['bodyByte', '__proto__', 'toString'])('answers %s with the names there are', (name) => {
    const given = Object.fromEntries([[name, 1]])
    expect(() => checkLimits(given)).toThrow(`there is no limit "${name}"; there are bodyBytes, `)
  })
})
