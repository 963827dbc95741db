import { describe, expect, it } from 'vitest'
import { lastLines, redact } from './redact.ts'

describe('what a tool has said', () => {
  it.each([
    ['GET https://ada:hunter2@example.test/x', 'GET https://***@example.test/x'],
    ['GET https://hunter2@example.test/x', 'GET https://***@example.test/x'],
    ['//example.test/:_authToken=hunter2', '//example.test/:_authToken=***'],
    ['_auth = hunter2==', '_auth = ***'],
    ['"password": "hunter2", "a": 1', '"password": "***", "a": 1'],
    ['Authorization: Bearer hunter2hunter2', 'Authorization: ***'],
    ['sent bearer hunter2hunter2 to', 'sent bearer *** to'],
    ['using npm_abcdefghijklmnopqrstuvwxyz', 'using ***'],
    ['nothing to hide at https://example.test/a@b', 'nothing to hide at https://example.test/a@b'],
  ])('%s', (said, shown) => {
    expect(redact(said)).toBe(shown)
    expect(redact(said)).not.toContain('hunter2')
  })

  it('is kept by its last lines, each cut', () => {
    const lines = lastLines(Array.from({ length: 100 }, (_, index) => `${index} ${'x'.repeat(1000)}`).join('\r\n\n'))
    expect(lines).toHaveLength(20)
    expect(lines.at(-1)).toMatch(/^99 x/)
    expect(lines.at(-1)).toHaveLength(500)
  })
})
