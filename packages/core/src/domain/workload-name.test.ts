import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assertWorkloadName, sanitizeWorkloadName } from './workload-name.ts'

describe('workload names', () => {
  it.each(['a', 'A.b_c-9', 'x'.repeat(100), '-', '.hidden'])('accepts %s', (name) => {
    assertWorkloadName(name)
  })

  it.each(['', '..', 'a..b', '.', 'a/b', 'a\\b', 'a b', 'ä', 'a\0', 'a\n', 'x'.repeat(101)])('refuses %j', (name) => {
    expect(() => assertWorkloadName(name)).toThrow(expect.objectContaining({ code: 'invalid-name' }))
    expect(() => assertWorkloadName(name)).toThrow(/^invalid workload name: /)
  })

  it('any text sanitises to a legal name', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300 }), (text) => {
        const name = sanitizeWorkloadName(text)
        if (name !== '.') assertWorkloadName(name)
      }),
    )
  })
})
