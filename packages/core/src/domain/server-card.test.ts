import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { limits } from '../limits.ts'
import { parseServerCard, serverCardOf } from './server-card.ts'

const $schema = 'https://static.modelcontextprotocol.io/schemas/v2/server-card.schema.json'
const card = { $schema, name: 'io.example/notes', version: '1.2.3', description: 'Keeps notes' }

function parse(more: object): unknown {
  return parseServerCard(JSON.stringify({ ...card, ...more }))
}

describe('a server card', () => {
  it('is read with what it says about the server, and nothing else', () => {
    const { $schema: _schema, ...said } = card
    expect(parse({ remotes: [{ type: 'sse', url: 'https://a.test' }], _meta: {} })).toEqual(said)
    expect(parse({ title: 'Notes' })).toEqual({ ...said, title: 'Notes' })
    expect(parse({ $schema: $schema.replace('v2', 'v1') })).toEqual(said)
  })

  it.each([
    { $schema: undefined },
    { $schema: 'https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json' },
    { $schema: `${$schema}\n` },
    { name: undefined },
    { name: 'without-a-namespace' },
    { name: 'a/b/c' },
    { name: `a/${'b'.repeat(limits.cardNameLength)}` },
    { name: 'a/b\u001b[31m' },
    { version: 1 },
    { version: ' \u0000 ' },
    { description: undefined },
    { description: ['x'] },
  ])('with %j is none', (more) => {
    expect(parse(more)).toBeUndefined()
  })

  it('is shown on one line, without what is not seen, and cut', () => {
    expect(parse({ title: '\u202eevil\u2066', description: ' a\r\n\u001b[2Jb\ud800 ' })).toMatchObject({
      title: 'evil',
      description: 'a [2Jb',
    })
    expect(parse({ title: '\u200b' })).not.toHaveProperty('title')
    expect(parse({ description: '\u{1f600}'.repeat(200) })).toMatchObject({
      description: '\u{1f600}'.repeat(limits.cardTextLength),
    })
  })

  it('that is anything at all is none, or bounded, without control characters, and read again as it is', () => {
    const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 400 }), fc.constant('1'))
    const like = fc.record(
      {
        $schema: fc.constant($schema),
        name: fc.constantFrom('a/b', 'a.b/c-d'),
        version: text,
        description: text,
        title: text,
      },
      { requiredKeys: ['$schema', 'name'] },
    )
    const anything = fc.oneof(
      { arbitrary: like.map((value) => JSON.stringify(value)), weight: 3 },
      fc.json(),
      fc.string(),
    )
    fc.assert(
      fc.property(anything, (sent) => {
        const found = parseServerCard(sent)
        if (found === undefined) return
        for (const line of Object.values(found)) {
          expect(line).toMatch(/^[^\p{C}]+$/u)
          expect(line.trim()).toBe(line)
          expect(Array.from(line).length).toBeLessThanOrEqual(limits.cardVersionLength)
        }
        expect(serverCardOf(JSON.parse(JSON.stringify(found)))).toEqual(found)
      }),
      { numRuns: 500 },
    )
  })
})
