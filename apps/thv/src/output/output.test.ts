import { describe, expect, it } from 'vitest'
import { ThvError } from '@thv/core'
import { formatUptime, goTime } from './go-time.ts'
import { renderError } from './render-error.ts'
import { printable, wantsColor } from './style.ts'
import { renderTable } from './table.ts'

describe('output', () => {
  it('prints times as Go does', () => {
    expect(goTime('2026-08-21T10:26:05.123Z')).toBe('2026-08-21 10:26:05.123 +0000 UTC')
    expect(goTime('2026-08-21T10:26:05.120000000Z')).toBe('2026-08-21 10:26:05.12 +0000 UTC')
    expect(goTime('2026-08-21T10:26:05Z')).toBe('2026-08-21 10:26:05 +0000 UTC')
    expect(goTime('not a time')).toBe('not a time')
  })

  it.each([
    [0, '0s'],
    [59_000, '59s'],
    [60_000, '1m'],
    [93_780_000, '1d 2h 3m'],
  ])('%d ms of uptime read %s', (ms, text) => {
    expect(formatUptime(ms)).toBe(text)
  })

  it('aligns columns by what a terminal shows', async () => {
    expect(
      await renderTable(
        ['A', 'B'],
        [
          ['日本', 'x'],
          ['ab', 'y'],
        ],
      ),
    ).toBe('A      B\n日本   x\nab     y')
  })

  it('makes control characters visible', () => {
    expect(printable('a\u001b[2Jb\u0007\r')).toBe('a\\x1b[2Jb\\x07\\x0d')
  })

  it('says what happened, the captured lines and what to do', () => {
    const error = new ThvError('server-exited', 'it died', { hint: 'look', detail: ['boom \u001b[1m'] })
    expect(renderError(error, false)).toBe('Error: it died [server-exited]\n  | boom \\x1b[1m\nTry: look')
  })

  it('colours only a terminal, unless told otherwise', () => {
    expect(wantsColor({ isTty: true, environment: {} })).toBe(true)
    expect(wantsColor({ isTty: true, environment: { NO_COLOR: '1' } })).toBe(false)
    expect(wantsColor({ isTty: false, environment: { FORCE_COLOR: '1' } })).toBe(true)
    expect(wantsColor({ isTty: false, environment: {} })).toBe(false)
  })
})
