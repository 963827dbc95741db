import { describe, expect, it } from 'vitest'
import { missingScopes } from './challenge.ts'

describe('the scopes that a refusal names', () => {
  it.each<[string, string | string[] | undefined, string[] | undefined]>([
    ['of nothing', undefined, undefined],
    ['of another error', 'Bearer error="invalid_token", scope="a"', undefined],
    ['of the right one', 'Bearer realm="x", error="insufficient_scope", scope="a b a"', ['a', 'b']],
    ['of one among many', ['Basic realm="x"', 'Bearer ERROR=insufficient_scope, Scope=a'], ['a']],
    ['of an error in a quoted text', 'Bearer realm="error=insufficient_scope"', undefined],
    ['of an error in another name', 'Bearer not-error="insufficient_scope"', undefined],
    ['that no scope is made of', 'Bearer error="insufficient_scope", scope="a \\"b\\" c"', ['a', 'c']],
  ])('%s', (_case, header, scopes) => {
    expect(missingScopes(header)).toEqual(scopes)
  })

  it.each([
    ['one word', 'a'.repeat(16_000)],
    ['words with dashes', 'a-'.repeat(8_000)],
    ['quotes without an end', 'a="'.repeat(5_000)],
    ['space', `a${' '.repeat(16_000)}`],
  ])('are found in no time in as much as a header can hold of %s', (_case, header) => {
    const began = performance.now()
    expect(missingScopes(header)).toBeUndefined()
    expect(performance.now() - began).toBeLessThan(300)
  })
})
