import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compareVersions } from './version-order.ts'

describe('the order of npm versions', () => {
  it('is the one of semver.org, item 11', () => {
    const ordered = [
      '0.0.1',
      '0.9.0',
      '1.0.0-alpha',
      '1.0.0-alpha.1',
      '1.0.0-alpha.beta',
      '1.0.0-beta',
      '1.0.0-beta.2',
      '1.0.0-beta.11',
      '1.0.0-rc.1',
      '1.0.0',
      '1.2.0',
      '1.10.0',
      '2025.4.25',
      '2025.11.25',
    ]
    fc.assert(
      fc.property(fc.shuffledSubarray(ordered), (some) => {
        expect([...some].sort(compareVersions)).toEqual(ordered.filter((one) => some.includes(one)))
      }),
    )
    expect(compareVersions('1.0.0+a', '1.0.0+b')).toBe(0)
  })
})
