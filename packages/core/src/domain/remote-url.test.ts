import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assertForwardHeader, parseBearerToken, parseForwardHeader } from './forward-header.ts'
import { clientPath, parseRemoteUrl, remoteWorkloadName } from './remote-url.ts'

describe('the URL of a remote server', () => {
  it('keeps path and query', () => {
    expect(parseRemoteUrl('https://a.test:8443/team/mcp?key=1&b=%20')).toEqual({
      origin: 'https://a.test:8443',
      path: '/team/mcp',
      query: 'key=1&b=%20',
    })
    expect(parseRemoteUrl('https://a.test')).toEqual({ origin: 'https://a.test', path: '/', query: '' })
  })

  it.each([
    'localhost',
    '127.0.0.1',
    '[::1]',
    '10.1.2.3',
    '192.168.0.9',
    '[fd00::1]',
    'nas',
    'nas.local',
    'a.internal',
    'a.internal.',
    'printer.',
  ])('may be without TLS at %s', (host) => {
    expect(parseRemoteUrl(`http://${host}:8080/mcp`).path).toBe('/mcp')
  })

  it.each([
    'http://example.com/mcp',
    'http://8.8.8.8/mcp',
    'http://[2001:db8::1]/mcp',
    'http://localhost.example.com/',
    'https://me@example.com/',
    'https://:word@example.com/',
    'https://example.com/#a',
    'https://example.com:0/mcp',
    'https://example.com/mcp\nHost: evil',
    'ftp://example.com/',
    'https://',
    'mcp.example.com',
  ])('is not %s', (url) => {
    expect(() => parseRemoteUrl(url)).toThrow(expect.objectContaining({ code: 'invalid-argument' }))
  })

  it('is never repeated by an error, because a query may hold a key', () => {
    expect(() => parseRemoteUrl('http://example.com/mcp?key=hidden')).toThrow(expect.not.stringContaining('hidden'))
  })

  it('survives any text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.webUrl({ withQueryParameters: true, withFragments: true })), (text) => {
        try {
          expect(parseRemoteUrl(text).path).toMatch(/^\//)
        } catch (error) {
          expect(error).toMatchObject({ code: 'invalid-argument' })
        }
      }),
    )
  })

  it.each([
    ['https://api.github.com/mcp', 'github'],
    ['https://example.com/', 'example'],
    ['http://localhost:3000/mcp', 'localhost'],
    ['http://127.0.0.1:3000/mcp', '127.0.0.1'],
  ])('%s names the workload %s', (url, name) => {
    expect(remoteWorkloadName(url)).toBe(name)
  })

  it('gives clients its path, and nothing when it has none', () => {
    expect(clientPath('https://a.test/team/mcp?key=1')).toBe('/team/mcp')
    expect([clientPath('https://a.test'), clientPath('https://a.test/')]).toEqual(['', ''])
  })
})

describe('headers for a remote server', () => {
  it('are written Name=Value, and a value may have an equals sign', () => {
    expect(parseForwardHeader('X-Key = a=b ')).toEqual(['X-Key', 'a=b'])
  })

  it.each(['Host', 'content-length', 'X-Forwarded-For', 'Proxy-Authorization', 'Mcp-Session-Id'])(
    'never set %s',
    (name) => {
      expect(() => parseForwardHeader(`${name}=x`)).toThrow(name)
    },
  )

  it('cannot smuggle another header, and keep their value out of the error', () => {
    expect(() => assertForwardHeader('A', 'secret\r\nB: c')).toThrow(expect.not.stringContaining('secret'))
    for (const text of ['A B=c', '=c', 'A', 'Ä=c']) expect(() => parseForwardHeader(text)).toThrow('header')
  })

  it('have a token of one line without blanks', () => {
    expect(parseBearerToken(' abc.def-1\n')).toBe('abc.def-1')
    expect(['', ' \n', 'a b', 'a\nb', 'ü'].map(parseBearerToken)).toEqual(Array.from({ length: 5 }, () => undefined))
  })
})
