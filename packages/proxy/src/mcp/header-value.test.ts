import fc from 'fast-check'
import { expect, it } from 'vitest'
import { decodeHeaderValue, encodeHeaderValue } from './header-value.ts'

it.each([
  ['echo', 'echo'],
  ['two words', 'two words'],
  ['', ''],
  [' a', '=?base64?IGE=?='],
  ['größe', '=?base64?Z3LDtsOfZQ==?='],
  ['=?base64?YQ==?=', '=?base64?PT9iYXNlNjQ/WVE9PT89?='],
])('%j stands in a header as %j', (value, header) => {
  expect(encodeHeaderValue(value)).toBe(header)
})

it('any value comes back, and is fit for a header', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (value) => {
      const header = encodeHeaderValue(value)
      expect(header).toMatch(/^[\u0020-\u007e\t]*$/)
      expect(decodeHeaderValue(header)).toBe(value)
    }),
  )
})
