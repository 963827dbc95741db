import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  assertUserSecretName,
  formatSecretParameter,
  isSystemSecret,
  parseSecretParameter,
  parseServerSecret,
  parseSystemSecret,
  workloadSecretName,
} from './secret-name.ts'

describe('NAME,target=TARGET', () => {
  it('is read back as it was written', () => {
    const name = fc.string({ minLength: 1, maxLength: 50 }).filter((text) => /^[^,\p{Cc}]+$/u.test(text))
    fc.assert(
      fc.property(name, fc.stringMatching(/^[A-Za-z_]\w{0,20}$/), (secret, target) => {
        expect(parseServerSecret(formatSecretParameter({ name: secret, target }))).toEqual({ name: secret, target })
      }),
    )
  })

  it.each(['', 'a', 'a,target=', ',target=B', 'KEY=hidden', 'a,TARGET=B', 'a,b,target=C', 'hidden\u0000,target=A'])(
    '%j is refused, and not repeated',
    (text) => {
      expect(() => parseSecretParameter(text)).toThrow(expect.objectContaining({ code: 'invalid-argument' }))
      expect(() => parseSecretParameter(text)).not.toThrow(/hidden/)
    },
  )

  it.each(['a,target=1B', 'a,target=A B', 'a,target=A=B', 'a,target=Ä'])('%j names no variable', (text) => {
    expect(() => parseServerSecret(text)).toThrow(expect.objectContaining({ code: 'invalid-argument' }))
  })
})

describe('a name', () => {
  it('of ours is kept from users', () => {
    const name = workloadSecretName('BEARER_TOKEN_notes')
    expect(name).toBe('__thv_workloads_BEARER_TOKEN_notes')
    expect(isSystemSecret(name)).toBe(true)
    expect(parseSystemSecret(name)).toEqual({ scope: 'workloads', name: 'BEARER_TOKEN_notes' })
    expect(() => assertUserSecretName(name)).toThrow('reserved for system use')
    expect(() => parseSecretParameter(`${name},target=A`)).toThrow('reserved for system use')
  })

  it.each(['', 'a,b', 'a\nb', 'a'.repeat(257)])('%j is refused', (name) => {
    expect(() => assertUserSecretName(name)).toThrow(expect.objectContaining({ code: 'invalid-argument' }))
  })
})
