import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { applySplices, findValue, scanMembers, sliceElements } from './raw-message.ts'

/** JSON text with every freedom the grammar gives: space, escapes, order, long numbers. */
const space = fc.stringMatching(/^[ \t\r\n]{0,3}$/)
const stringText = fc.oneof(
  fc.string({ unit: 'grapheme' }).map((text) => JSON.stringify(text)),
  fc
    .string()
    .map((text) => `"${Array.from(text, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')}"`),
  fc.constantFrom('"\\\\"', '"\\""', '"\\\\\\""', '"{"', '"]"', '"a\\/b"'),
)
const scalarText = fc.oneof(
  stringText,
  fc.constantFrom('true', 'false', 'null', '0', '-0', '1e400', '-1.5E-3', '12345678901234567890'),
  fc.bigInt().map(String),
)
const { value: valueText } = fc.letrec<{ value: string; object: string; array: string }>((tie) => ({
  value: fc.oneof({ maxDepth: 4 }, scalarText, tie('object'), tie('array')),
  object: fc
    .array(fc.tuple(space, stringText, space, space, tie('value'), space), { maxLength: 4 })
    .map((members) => `{${members.map(([a, key, b, c, value, d]) => `${a}${key}${b}:${c}${value}${d}`).join(',')}}`),
  array: fc
    .array(fc.tuple(space, tie('value'), space), { maxLength: 4 })
    .map((items) => `[${items.map(([a, value, b]) => `${a}${value}${b}`).join(',')}]`),
}))

const members = fc.array(fc.tuple(fc.oneof(stringText, fc.constantFrom('"id"', '"\\u0069d"')), valueText, space), {
  maxLength: 6,
})

describe('raw-message', () => {
  it('finds the same members as JSON.parse, the last of duplicates winning', () => {
    fc.assert(
      fc.property(members, (list) => {
        const text = `{${list.map(([key, value, pad]) => `${pad}${key}${pad}:${pad}${value}${pad}`).join(',')}}`
        const found = new Map<string, unknown>()
        const end = scanMembers(text, 0, (key, start, stop) => found.set(key, JSON.parse(text.slice(start, stop))))
        expect(end).toBe(text.length)
        const expected = JSON.parse(text) as Record<string, unknown>
        expect([...found.keys()].sort()).toEqual(
          Object.keys(expected)
            .concat(found.has('__proto__') && !Object.hasOwn(expected, '__proto__') ? ['__proto__'] : [])
            .sort(),
        )
        for (const [key, value] of found) if (key !== '__proto__') expect(value).toEqual(expected[key])
      }),
      { numRuns: 500 },
    )
  })

  it('cuts an array into the texts of its elements', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(space, valueText, space), { maxLength: 5 }), (items) => {
        const text = `[${items.map(([a, value, b]) => `${a}${value}${b}`).join(',')}]`
        expect(sliceElements(text, 0)).toEqual(items.map(([, value]) => value))
      }),
    )
  })

  it('replaces one value and leaves every other character alone', () => {
    fc.assert(
      fc.property(members, valueText, (list, value) => {
        const before = `{${list.map(([key, text]) => `${key}:${text},`).join('')}"target":`
        const text = `${before}${value}}`
        const span = findValue(text, 0, ['target'])
        expect(applySplices(text, [{ ...span!, text: '7' }])).toBe(`${before}7}`)
      }),
    )
  })

  it('follows a path and stops where it leaves objects', () => {
    const text = '{"params": {"_meta": {"progressToken": "t"}, "_meta2": 1}}'
    const span = findValue(text, 0, ['params', '_meta', 'progressToken'])
    expect(text.slice(span!.start, span!.end)).toBe('"t"')
    expect(findValue(text, 0, ['params', '_meta2', 'x'])).toBeUndefined()
    expect(findValue(text, 0, ['absent'])).toBeUndefined()
  })

  it('handles a hundred thousand levels of nesting without a stack overflow', () => {
    const deep = '['.repeat(100_000) + ']'.repeat(100_000)
    const text = `{"a":${deep},"id":3}`
    const span = findValue(text, 0, ['id'])
    expect(text.slice(span!.start, span!.end)).toBe('3')
  })
})
