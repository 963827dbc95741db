import { describe, expect, it } from 'vitest'
import { chooseBin } from './npm-command.ts'
import { npmFailure, parseNpmView } from './npm-index.ts'
import { isExactVersion } from './npm-installer.ts'

describe('the program of an npm package', () => {
  it.each([
    ['name', './cli.js', './cli.js'],
    ['@scope/name', { anything: 'dist/x.js' }, 'dist/x.js'],
    ['@scope/name', { other: 'o.js', name: 'n.js' }, 'n.js'],
    ['name', { a: 'same.js', b: './same.js' }, 'same.js'],
  ])('of %s with %j is %s', (name, bin, expected) => {
    expect(chooseBin(name, bin)).toBe(expected)
  })

  it('is missing in a library, and unclear among strangers', () => {
    expect(() => chooseBin('name', undefined)).toThrow(/is a library/)
    expect(() => chooseBin('name', { a: 'a.js', b: 'b.js' })).toThrow(/several programs.*: a, b/)
  })
})

describe('what npm view prints', () => {
  it('is one version or several, of which the highest counts', () => {
    expect(parseNpmView('{"name":"n","version":"1.0.0","dist.integrity":"sha512-a"}', 'n')).toEqual({
      kind: 'npx',
      name: 'n',
      version: '1.0.0',
      integrity: 'sha512-a',
    })
    const several = JSON.stringify([
      { version: '2025.11.25', 'dist.integrity': 'sha512-new' },
      { version: '2025.4.25', 'dist.integrity': 'sha512-old' },
    ])
    expect(parseNpmView(several, 'n')).toMatchObject({ version: '2025.11.25', integrity: 'sha512-new' })
  })

  it.each(['', '[]', '"1.0.0"', '{}', 'null'])('is no answer: %j', (text) => {
    expect(parseNpmView(text, 'n')).toBeUndefined()
  })
})

describe('a failure of npm', () => {
  const result = { code: 1, output: '', errors: '', late: false }

  it.each([
    ['E404', 'package-not-found'],
    ['ETARGET', 'package-version-not-found'],
    ['ENOTFOUND', 'package-index-unreachable'],
    ['ECONNREFUSED', 'package-index-unreachable'],
    ['EAI_AGAIN', 'package-index-unreachable'],
    ['ETIMEDOUT', 'package-index-unreachable'],
    ['E503', 'package-index-unreachable'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'package-index-unreachable'],
    ['ELIFECYCLE', 'package-install-failed'],
  ])('%s is %s, from JSON and from text', (code, expected) => {
    const output = JSON.stringify({ error: { code, summary: 'GET https://a:b@example.test/ failed' } })
    expect(npmFailure('n@1', { ...result, output }).code).toBe(expected)
    expect(npmFailure('n@1', { ...result, errors: `npm error code ${code}\nnpm error more` }).code).toBe(expected)
    expect(npmFailure('n@1', { ...result, errors: `npm ERR! code ${code}\n` }).code).toBe(expected)
    expect(npmFailure('n@1', { ...result, output }).message).not.toContain('a:b')
  })

  it('that takes too long is an unreachable registry', () => {
    expect(npmFailure('n@1', { ...result, late: true }).code).toBe('package-index-unreachable')
  })
})

describe('an exact npm version', () => {
  it.each(['1.2.3', '1.2.3-beta.1', '1.2.3+build'])('is %s', (version) => {
    expect(isExactVersion(version)).toBe(true)
  })
  it.each(['1', '1.2', '^1.2.3', 'latest', '1.x', 'v1.2.3', '1.2.3 || 2'])('is not %s', (version) => {
    expect(isExactVersion(version)).toBe(false)
  })
})

describe('an npm that cannot reach its registry', () => {
  it('is told without the lines that are for its authors', () => {
    const errors = [
      'npm error code ECONNREFUSED',
      'npm error FetchError: request to http://127.0.0.1:9/x failed, reason: connect',
      'npm error     at ClientRequest.<anonymous> (/lib/fetch.js:130:14)',
      'npm error errno ECONNREFUSED',
    ].join('\n')
    const error = npmFailure('x', { code: 1, output: '', errors, late: false })
    expect(error.code).toBe('package-index-unreachable')
    expect(error.detail).toEqual(['npm error code ECONNREFUSED', 'npm error errno ECONNREFUSED'])
  })
})
