import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeSseEvent, encodeSseMessage, sseKeepAlive, SseParser } from './sse-codec.ts'

describe('sse-codec', () => {
  it('reads back every event it wrote, however the text is cut', () => {
    const name = fc.stringMatching(/^[a-z]{1,8}$/)
    const event = fc.record({ event: name, id: name, data: fc.string({ unit: 'grapheme' }) })
    fc.assert(
      fc.property(fc.array(event), fc.array(fc.nat(30)), (events, cuts) => {
        let text = events.map((item) => sseKeepAlive + encodeSseEvent(item)).join('')
        const parser = new SseParser(1e6)
        const found = []
        for (const cut of cuts) {
          found.push(...parser.push(text.slice(0, cut)))
          text = text.slice(cut)
        }
        found.push(...parser.push(text))
        expect(found).toEqual(events.map((item) => ({ ...item, data: item.data.replaceAll(/\r\n|\r/g, '\n') })))
      }),
    )
  })

  it('reads events with CRLF line ends', () => {
    expect(new SseParser(100).push('event: a\r\ndata: 1\r\n\r\ndata:2\r\n\r\n')).toEqual([
      { event: 'a', data: '1' },
      { data: '2' },
    ])
  })

  it('writes a message as one event of three lines', () => {
    expect(encodeSseMessage('{}')).toBe('event: message\ndata: {}\n\n')
  })

  it('throws when an event does not end within the limit', () => {
    expect(() => new SseParser(10).push('data: 12345678901234567890')).toThrow(RangeError)
  })

  it('cannot be made to write a second field through the name', () => {
    expect(encodeSseEvent({ event: 'a\ndata: x', data: 'y' })).toBe('event: a data: x\ndata: y\n\n')
  })
})
