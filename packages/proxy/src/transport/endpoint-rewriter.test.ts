import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EndpointRewriter } from './endpoint-rewriter.ts'

function rewriteInPieces(text: string, size: number, limitBytes = 1_000): string {
  const rewriter = new EndpointRewriter({ backendOrigin: 'http://b:1', proxyOrigin: 'http://p:2', limitBytes })
  const bytes = Buffer.from(text)
  const out: Buffer[] = []
  for (let at = 0; at < bytes.length; at += size) out.push(rewriter.push(bytes.subarray(at, at + size)))
  return Buffer.concat(out).toString()
}

describe('EndpointRewriter', () => {
  it('rewrites the first event and no other byte, however the stream is cut', () => {
    const lineEnd = fc.constantFrom('\n', '\r\n')
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 80 }), lineEnd, fc.string({ unit: 'grapheme' }), (size, end, rest) => {
        const text = `event: endpoint${end}data: http://b:1/messages?x=é${end}${end}${rest}`
        const wanted = `event: endpoint\ndata: http://p:2/messages?x=%C3%A9\n\n${rest}`
        expect(rewriteInPieces(text, size)).toBe(wanted)
      }),
    )
  })

  it('leaves a stream alone that begins with another event', () => {
    const text = 'event: message\ndata: http://b:1/\n\nevent: endpoint\ndata: http://b:1/m\n\n'
    expect(rewriteInPieces(text, 7)).toBe(text)
  })

  it('lets a stream pass whose first event is longer than the limit', () => {
    const text = `event: endpoint\ndata: ${'x'.repeat(500)}`
    expect(rewriteInPieces(text, 50, 100)).toBe(text)
  })
})
