import { expect, it } from 'vitest'
import { negotiateVersion } from './engine-version.ts'

it.each([
  ['1.40', '1.40'],
  ['1.41', '1.41'],
  ['1.44', '1.44'],
  // Docker 29 speaks 1.52 and refuses everything before 1.44.
  ['1.52', '1.44'],
  ['2.0', '1.44'],
])('with an engine that offers %s, %s is spoken', (offered, spoken) => {
  expect(negotiateVersion('/engine.sock', offered)).toBe(spoken)
})

it('an engine that is too old is refused, and what is none too', () => {
  expect(() => negotiateVersion('/engine.sock', '1.9')).toThrow('too old: API 1.9')
  expect(() => negotiateVersion('/engine.sock', undefined)).toThrow('does not answer')
})
