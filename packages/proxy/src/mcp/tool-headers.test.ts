import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeHeaderValue, encodeHeaderValue } from './header-value.ts'
import { parseText, type Message } from './message.ts'
import { readToolHeaders, ToolHeaderIndex } from './tool-headers.ts'

const annotated = { type: 'string', 'x-mcp-header': 'Region' }

describe('the header annotations of an input schema', () => {
  it('are found at any depth of properties', () => {
    const schema = { properties: { a: annotated, b: { properties: { c: { type: 'integer', 'x-mcp-header': 'N' } } } } }
    expect(readToolHeaders(schema)).toEqual(
      expect.arrayContaining([
        { name: 'Region', path: ['a'] },
        { name: 'N', path: ['b', 'c'] },
      ]),
    )
  })

  it('are none in a schema that is none, and where their name is only that of an argument or a value', () => {
    const named = { properties: { 'x-mcp-header': { type: 'string' } }, default: annotated, enum: [annotated] }
    for (const schema of [undefined, null, 5, [], {}, named]) expect(readToolHeaders(schema)).toEqual([])
  })

  it.each([
    ['on the root', annotated],
    ['no text', { properties: { a: { type: 'string', 'x-mcp-header': 5 } } }],
    ['empty', { properties: { a: { type: 'string', 'x-mcp-header': '' } } }],
    ['no token', { properties: { a: { type: 'string', 'x-mcp-header': 'a b' } } }],
    ['a line break', { properties: { a: { type: 'string', 'x-mcp-header': 'a\r\nb' } } }],
    ['on a number', { properties: { a: { type: 'number', 'x-mcp-header': 'A' } } }],
    ['on an object', { properties: { a: { type: 'object', 'x-mcp-header': 'A' } } }],
    ['there twice', { properties: { a: annotated, b: { ...annotated, 'x-mcp-header': 'REGION' } } }],
    ['in items', { properties: { a: { type: 'array', items: annotated } } }],
    ['in a branch', { oneOf: [{ properties: { a: annotated } }] }],
    ['in a definition', { $defs: { a: annotated } }],
  ])('break the rules when one is %s', (_what, schema) => {
    expect(readToolHeaders(schema)).toBeUndefined()
  })

  it('are read from a schema of any depth without recursion', () => {
    let schema: object = annotated
    for (let depth = 0; depth < 50_000; depth += 1) schema = { properties: { a: schema } }
    expect(readToolHeaders(schema)).toBeUndefined()
  })
})

describe('a mirrored header value', () => {
  it('is visible ASCII without space at its ends, and reads as the text it was made of', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const value = encodeHeaderValue(text)
        expect(value).toMatch(/^$|^[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?$/)
        expect(decodeHeaderValue(value)).toBe(text)
      }),
    )
  })
})

describe('a call with headers', () => {
  const properties = Object.fromEntries(
    ['string', 'integer', 'boolean'].map((type) => [type, { type, 'x-mcp-header': type }]),
  )
  const inputSchema = { properties: { deep: { properties } } }
  const leaf = fc.oneof(fc.string({ unit: 'grapheme' }), fc.double({ noNaN: true }), fc.integer(), fc.boolean())
  const args = fc.record({ deep: fc.record({ string: leaf, integer: leaf, boolean: leaf }, { requiredKeys: [] }) })

  it('made from its arguments has no problem, and one with any other value, or without one, has', () => {
    const index = new ToolHeaderIndex(1)
    index.learn(listOf({ name: 'a', inputSchema }))
    fc.assert(
      fc.property(args, leaf, (given, other) => {
        const headers = toRecord(index.headersFor('a', given))
        expect(index.problemOf('a', given, headers)).toBeUndefined()
        for (const name of Object.keys(headers)) {
          const { [name]: value, ...rest } = headers
          expect(index.problemOf('a', given, rest)).toMatchObject({ header: '' })
          const said = encodeHeaderValue(String(other))
          if (said === value || Number(other) === Number(decodeHeaderValue(value ?? ''))) continue
          expect(index.problemOf('a', given, { ...rest, [name]: said })).toMatchObject({ header: said })
        }
      }),
    )
  })

  it('never fails, whatever the headers and arguments are', () => {
    const index = new ToolHeaderIndex(1)
    index.learn(listOf({ name: 'a', inputSchema }))
    const headers = fc.dictionary(fc.constantFrom('mcp-param-string', 'mcp-param-integer'), fc.string())
    fc.assert(
      fc.property(fc.jsonValue(), headers, (given, sent) => {
        expect(() => index.problemOf('a', given, sent)).not.toThrow()
      }),
    )
  })

  it('is not judged by what a later list took back', () => {
    const index = new ToolHeaderIndex(1)
    const given = { deep: { string: 'x' } }
    index.learn(listOf({ name: 'a', inputSchema }))
    expect(index.problemOf('a', given, {})).toBeDefined()
    index.learn(listOf({ name: 'a' }))
    expect(index.problemOf('a', given, {})).toBeUndefined()
  })
})

function listOf(tool: unknown): Message {
  const parsed = parseText(JSON.stringify({ jsonrpc: '2.0', id: 1, result: { tools: [tool] } }))
  if (parsed.kind !== 'message') throw new TypeError('no message')
  return parsed.message
}

function toRecord(pairs: readonly string[]): Record<string, string> {
  const record: Record<string, string> = {}
  for (let at = 0; at + 1 < pairs.length; at += 2) record[pairs[at]!] = pairs[at + 1]!
  return record
}
