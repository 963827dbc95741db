import { assert as holds, constantFrom, property, string, webUrl } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { limits } from '../limits.ts'
import { authorizationUrlProblem } from './authorization-url.ts'
import { readScopes, remoteErrorText } from './remote-error-text.ts'
import { coversServer, resourceIndicator } from './resource-indicator.ts'
import { issuerMetadataUrls, resourceMetadataUrls } from './well-known.ts'

describe('the resource of a token', () => {
  it.each([
    ['HTTPS://MCP.Example.com/Path/', 'https://mcp.example.com/Path/'],
    ['https://mcp.example.com', 'https://mcp.example.com'],
    ['https://mcp.example.com/', 'https://mcp.example.com'],
    ['https://mcp.example.com:443/mcp?key=secret#part', 'https://mcp.example.com/mcp'],
  ])('of %s is %s', (url, resource) => {
    expect(resourceIndicator(url)).toBe(resource)
  })

  it('covers the server that it is made of, and stays the same', () => {
    holds(
      property(webUrl({ withQueryParameters: true, withFragments: true }), (url) => {
        const resource = resourceIndicator(url)
        expect(resource).not.toMatch(/[?#]/)
        expect(resourceIndicator(resource)).toBe(resource)
        expect(coversServer(resource, url)).toBe(true)
      }),
    )
  })

  it.each([
    ['https://a.example/mcp', true],
    ['https://a.example/mcp/', true],
    ['https://a.example', true],
    ['https://a.example/m', false],
    ['https://a.example/mcp/x', false],
    ['https://a.example:8443/mcp', false],
    ['http://a.example/mcp', false],
    ['https://b.example/mcp', false],
    ['https://a.example/mcp?other=1', false],
    ['https://user@a.example/mcp', false],
    ['https://a.example/../mcp', true],
    ['urn:a', false],
    ['', false],
  ])('covers https://a.example/mcp as %s: %s', (resource, covers) => {
    expect(coversServer(resource, 'https://a.example/mcp')).toBe(covers)
  })
})

it.each([
  ['https://a.example/x/mcp', ['/.well-known/oauth-protected-resource/x/mcp', '/.well-known/oauth-protected-resource']],
  ['https://a.example/', ['/.well-known/oauth-protected-resource']],
])('metadata of the resource %s is looked for', (url, paths) => {
  expect(resourceMetadataUrls(url)).toEqual(paths.map((path) => `https://a.example${path}`))
})

it.each([
  ['https://a.example', ['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration']],
  [
    'https://a.example/t/1',
    [
      '/.well-known/oauth-authorization-server/t/1',
      '/.well-known/openid-configuration/t/1',
      '/t/1/.well-known/openid-configuration',
    ],
  ],
])('metadata of the issuer %s is looked for', (issuer, paths) => {
  expect(issuerMetadataUrls(issuer)).toEqual(paths.map((path) => `https://a.example${path}`))
})

it('a URL of a server that is near is https, or on this machine', () => {
  const near = (url: string) => authorizationUrlProblem(url, true)
  expect(near('http://127.0.0.1:8/token')).toBeUndefined()
  expect(near('http://localhost/token')).toBeUndefined()
  expect(near('https://10.0.0.1/token')).toBeUndefined()
  expect(near('http://10.0.0.1/token')).toBe('it is not https')
  expect(near('https://as.example/\u001b[2J')).toBe('it is not a URL')
})

it('what a server says of an error is one bounded line without control characters', () => {
  expect(remoteErrorText('invalid_grant', 'gone\u001b[2J\r\naway')).toBe('invalid_grant: gone [2J away')
  expect(remoteErrorText(7, {})).toBe('')
  holds(
    property(string({ unit: 'binary', maxLength: 1_000 }), string({ unit: 'binary' }), (error, description) => {
      const text = remoteErrorText(error, description)
      expect(text).toMatch(/^[\x20-\x7e…]*$/)
      expect(text.length).toBeLessThanOrEqual(2 * limits.remoteErrorLength + 4)
    }),
  )
})

it('scopes are what RFC 6749 calls so, each once, and not without end', () => {
  expect(readScopes('a b  a "c" d\\ é f')).toEqual(['a', 'b', 'f'])
  expect(readScopes(['a', 1, 'b c', 'd'])).toEqual(['a', 'd'])
  expect(readScopes({ a: 1 })).toEqual([])
  expect(readScopes(Array.from({ length: 1_000 }, (_, index) => `s${index}`))).toHaveLength(limits.remoteScopes)
  holds(property(constantFrom('a b', 'a', ''), string(), (first, second) => void readScopes(`${first} ${second}`)))
})
