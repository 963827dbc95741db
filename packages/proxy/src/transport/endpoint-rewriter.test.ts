import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EndpointRewriter, rewriteEndpoint, type PublicView } from './endpoint-rewriter.ts'

const view: PublicView = { streamUrl: 'http://b:1/sse', isMoved: false, proxyOrigin: 'http://p:2', prefix: '' }

function rewriteInPieces(text: string, size: number, limitBytes = 1_000): string {
  const rewriter = new EndpointRewriter(view, limitBytes)
  const bytes = Buffer.from(text)
  const out: Buffer[] = []
  for (let at = 0; at < bytes.length; at += size) out.push(rewriter.push(bytes.subarray(at, at + size)))
  return Buffer.concat(out).toString()
}

describe('EndpointRewriter', () => {
  it('rewrites the endpoint event and no other byte, however the stream is cut', () => {
    const lineEnd = fc.constantFrom('\n', '\r\n', '\r')
    const before = fc.constantFrom('', ': hello@@', 'retry: 5@@', 'event: other@data: http://b:1/@@')
    const rest = fc.string({ unit: 'grapheme' })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 80 }), lineEnd, before, rest, (size, end, first, last) => {
        const lines = first + 'event: endpoint@retry: 7@data: http://b:1/messages?x=%C3%A9&sessionId=s@id: 4@@'
        const text = `${lines.replaceAll('@', end)}x${last}`
        const wanted = text.replace('data: http://b:1/messages', 'data: http://p:2/messages')
        expect(rewriteInPieces(text, size)).toBe(wanted)
      }),
    )
  })

  it('refuses an endpoint on another host, also behind a byte order mark or after other events', () => {
    const evil = 'event: endpoint\ndata: http://evil/m\n\n'
    for (const text of [evil, `\uFEFF${evil}`, `: c\n\ndata: 1\n\n${evil}`]) {
      expect(() => rewriteInPieces(text, 7)).toThrow(TypeError)
    }
  })

  it('refuses a first event that is longer than the limit', () => {
    expect(() => rewriteInPieces(`event: endpoint\ndata: ${'x'.repeat(500)}`, 50, 100)).toThrow(RangeError)
  })

  it('remembers the session that the endpoint names', () => {
    for (const name of ['sessionId', 'session_id']) {
      const rewriter = new EndpointRewriter(view, 1_000)
      rewriter.push(Buffer.from(`event: endpoint\ndata: /m?${name}=abc\n\n`))
      expect(rewriter.sessionId).toBe('abc')
    }
  })
})

describe('rewriteEndpoint', () => {
  it.each([
    ['/messages?x=1', '/messages?x=1'],
    ['messages', 'messages'],
    ['http://b:1/m?x=1', 'http://p:2/m?x=1'],
    ['//b:1/m', 'http://p:2/m'],
    ['http://evil/m', undefined],
    ['//evil/m', undefined],
    ['/\\evil/m', undefined],
    ['\\\\evil/m', undefined],
    ['https://b:1/m', undefined],
    ['javascript:alert(1)', undefined],
    ['http://b:1@evil/m', undefined],
    ['/m\nx', undefined],
  ])('shows %s to clients as %s', (data, wanted) => {
    expect(rewriteEndpoint(data, view)?.data).toBe(wanted)
  })

  it.each([
    ['/m?x=1', '/a/b', undefined, '/a/b/m?x=1'],
    ['m', '/a', undefined, '/a/m'],
    ['http://b:1/m', '/a', undefined, 'http://p:2/a/m'],
    ['/m', '', 'https://pub', 'https://pub/m'],
    ['http://b:1/m', '/a', 'https://pub', 'https://pub/a/m'],
  ])('shows %s with prefix %s and origin %s as %s', (data, prefix, forwardedOrigin, wanted) => {
    const seen = { ...view, prefix, ...(forwardedOrigin === undefined ? {} : { forwardedOrigin }) }
    expect(rewriteEndpoint(data, seen)?.data).toBe(wanted)
  })

  it('never sends a client of an untrusted view to an origin that is not the proxy', () => {
    fc.assert(
      fc.property(fc.oneof(fc.webUrl(), fc.string(), fc.stringMatching(/^[/\\.:@a-z]{1,20}$/)), (data) => {
        const seen = rewriteEndpoint(data, view)
        if (seen !== undefined) expect(new URL(seen.data, 'http://p:2/sse').origin).toBe('http://p:2')
      }),
    )
  })
})
