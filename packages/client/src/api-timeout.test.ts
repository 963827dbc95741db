import fc from 'fast-check'
import { expect, test } from 'vitest'
import { resolveApiTimeout } from './api-timeout.ts'

test.each([
  [undefined, 600_000],
  ['', 600_000],
  ['30s', 30_000],
  ['1m30s', 90_000],
  ['250ms', 250],
  // A timer of Node would fire at once.
  ['1000h', 2_147_483_647],
])('%j means %i ms', (value, ms) => {
  const warnings: string[] = []
  expect(resolveApiTimeout(value, (message) => warnings.push(message))).toBe(ms)
  expect(warnings).toEqual([])
})

test.each(['0', '0s', '-5s', 'soon', '5', '5 s', 'Infinity'])('%j is ignored with a warning', (value) => {
  const warnings: string[] = []
  expect(resolveApiTimeout(value, (message) => warnings.push(message))).toBe(600_000)
  expect(warnings).toEqual([expect.stringContaining('TOOLHIVE_API_TIMEOUT is ignored')])
})

test('whatever it says, a timer can hold it', () => {
  const duration = fc.tuple(fc.nat(), fc.constantFrom('h', 'm', 's', 'ms', 'x')).map(([count, unit]) => count + unit)
  fc.assert(
    fc.property(fc.oneof(duration, fc.string()), (value) => {
      const ms = resolveApiTimeout(value, () => {})
      expect(Number.isSafeInteger(ms) && ms > 0 && ms <= 2_147_483_647).toBe(true)
    }),
  )
})
