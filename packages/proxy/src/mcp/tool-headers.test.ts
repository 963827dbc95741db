import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeHeaderValue, encodeHeaderValue } from './header-value.ts'
import { readToolHeaders } from './tool-headers.ts'

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
