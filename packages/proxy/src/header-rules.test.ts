import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { buildRequestHeaders, buildResponseHeaders } from './header-rules.ts'

const client = { address: '127.0.0.1', host: 'localhost:4000', scheme: 'http' } as const

function valuesOf(flat: readonly string[], name: string): string[] {
  return flat.filter((_value, index) => index % 2 === 1 && flat[index - 1]?.toLowerCase() === name)
}

describe('buildRequestHeaders', () => {
  it('replaces Host and says itself where the request came from', () => {
    const raw = [
      'Host',
      'evil',
      'X-Forwarded-For',
      '6.6.6.6',
      'x-forwarded-proto',
      'https',
      'Forwarded',
      'for=x',
      'A',
      '1',
    ]
    expect(buildRequestHeaders(raw, { backendHost: '127.0.0.1:9', client })).toEqual([
      'host',
      '127.0.0.1:9',
      'A',
      '1',
      'x-forwarded-for',
      '127.0.0.1',
      'x-forwarded-host',
      'localhost:4000',
      'x-forwarded-proto',
      'http',
    ])
  })

  it('never lets a hop-by-hop, named or proxy header through, and keeps every other in order', () => {
    const header = fc.tuple(
      fc.constantFrom(
        'Connection',
        'KEEP-ALIVE',
        'Upgrade',
        'TE',
        'Proxy-Authorization',
        'X-Secret',
        'Accept',
        'Mcp-Session-Id',
      ),
      fc.constantFrom('close', 'x-secret', 'X-Secret, keep-alive', '1'),
    )
    fc.assert(
      fc.property(fc.array(header), (headers) => {
        const out = buildRequestHeaders(headers.flat(), { backendHost: 'b', client })
        for (const name of ['connection', 'keep-alive', 'upgrade', 'te', 'proxy-authorization']) {
          expect(valuesOf(out, name)).toEqual([])
        }
        const isNamed = headers.some(([name, value]) => name === 'Connection' && /x-secret/i.test(value))
        if (isNamed) expect(valuesOf(out, 'x-secret')).toEqual([])
        const accepts = headers.filter(([name]) => name === 'Accept').map(([, value]) => value)
        expect(valuesOf(out, 'accept')).toEqual(accepts)
        expect(valuesOf(out, 'host')).toEqual(['b'])
      }),
    )
  })

  it('keeps the length of the body although Connection names it', () => {
    const out = buildRequestHeaders(['Connection', 'content-length', 'Content-Length', '5'], {
      backendHost: 'b',
      client,
    })
    expect(valuesOf(out, 'content-length')).toEqual(['5'])
  })
})

describe('a proxy in front that is trusted', () => {
  const raw = ['X-Forwarded-For', '9.9.9.9', 'X-Forwarded-Proto', 'https', 'X-Forwarded-Prefix', '/a', 'Forwarded', 'x']

  it('has its claims kept, and the address it called from added', () => {
    const out = buildRequestHeaders(raw, { backendHost: 'b', client, trustsForwarded: true })
    expect(valuesOf(out, 'x-forwarded-for')).toEqual(['9.9.9.9, 127.0.0.1'])
    expect(valuesOf(out, 'x-forwarded-proto')).toEqual(['https'])
    expect(valuesOf(out, 'x-forwarded-host')).toEqual(['localhost:4000'])
    expect(valuesOf(out, 'x-forwarded-prefix')).toEqual(['/a'])
    expect(valuesOf(out, 'forwarded')).toEqual(['x'])
  })

  it('is the exception: without trust every claim is dropped, whatever its case', () => {
    fc.assert(
      fc.property(fc.mixedCase(fc.constantFrom('x-forwarded-prefix', 'forwarded', 'x-real-ip')), (name) => {
        const out = buildRequestHeaders([name, 'evil'], { backendHost: 'b', client })
        expect(out.includes('evil')).toBe(false)
      }),
    )
  })
})

describe('buildResponseHeaders', () => {
  it('drops what ends at this hop and keeps the rest, repeated headers and odd bytes included', () => {
    const raw = [
      ['Connection', 'close, X-Hop'],
      ['x-hop', '1'],
      ['Transfer-Encoding', 'chunked'],
      ['Proxy-Authenticate', 'x'],
      ['Mcp-Session-Id', 's'],
      ['Set-Cookie', 'a'],
      ['Set-Cookie', 'b'],
      ['X-Odd', '\u00ff'],
    ].flat()
    const wanted = ['Mcp-Session-Id', 's', 'Set-Cookie', 'a', 'Set-Cookie', 'b', 'X-Odd', '\u00ff']
    expect(buildResponseHeaders(raw.map((piece) => Buffer.from(piece, 'latin1')))).toEqual(wanted)
  })

  it('does not let a server hide the framing or the session through Connection', () => {
    const raw = ['Connection', 'content-length, mcp-session-id', 'Content-Length', '3', 'Mcp-Session-Id', 's']
    expect(buildResponseHeaders(raw)).toEqual(['Content-Length', '3', 'Mcp-Session-Id', 's'])
  })
})
