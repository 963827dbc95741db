import { describe, expect, it } from 'vitest'
import { buildLimits, proxyLimits } from './limits.ts'

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
