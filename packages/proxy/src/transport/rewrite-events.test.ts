import fc from 'fast-check'
import { expect, it } from 'vitest'
import { rewriteEvents } from './rewrite-events.ts'
import { SseParser } from './sse-codec.ts'

it.each([
  ['data: a\n\n', 'data: A\n\n'],
  ['event: message\nid: 1\ndata: a\nretry: 5\n\n', 'event: message\nid: 1\ndata: A\nretry: 5\n\n'],
  ['data:a\r\n\r\ndata: b\r\n\r\n', 'data: A\r\n\r\ndata: b\r\n\r\n'],
  ['data: b\r\rdata: a\r\r', 'data: b\r\rdata: A\r\r'],
  [': comment\n\n\n\ndata: a\n\n: more\n\n', ': comment\n\n\n\ndata: A\n\n: more\n\n'],
  ['data: a', 'data: A'],
  ['\uFEFFdata: a\n\n', 'data: A\n\n'],
  ['data\n\n', 'data\n\n'],
  ['datax: a\n\n', 'datax: a\n\n'],
  ['', ''],
])('%j becomes %j', (text, expected) => {
  expect(rewriteEvents(text, (data) => (data === 'a' ? 'A' : data))).toBe(expected)
})

it('puts data of several lines on one', () => {
  expect(rewriteEvents('data: {\nid: 7\ndata: "a":1}\n\n', (data) => data.replace('1', '2'))).toBe(
    'id: 7\ndata: { "a":2}\n\n',
  )
})

it('for any stream, nothing changes when no data does, and otherwise only the data', () => {
  const line = fc.constantFrom('data: a', 'data:b', 'data', 'id: 1', 'event: message', ': c', 'data: x y', '')
  const end = fc.constantFrom('\n', '\r\n', '\r')
  const stream = fc.array(fc.tuple(line, end)).map((pairs) => `${pairs.map((pair) => pair.join('')).join('')}\n\n`)
  fc.assert(
    fc.property(stream, (text) => {
      expect(rewriteEvents(text, (data) => data)).toBe(text)
      const parse = (from: string): unknown[] => new SseParser(Infinity).push(`${from}\n`)
      const changed = rewriteEvents(text, (data) => `<${data}>`)
      const expected = new SseParser(Infinity)
        .push(`${text}\n`)
        .map((event) => ({ ...event, data: `<${event.data.replaceAll('\n', ' ')}>` }))
      expect(parse(changed)).toEqual(expected)
    }),
  )
})
