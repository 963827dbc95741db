import { describe, expect, it } from 'vitest'
import { ThvError } from '@thv/core'
import { formatUptime, goTime } from './go-time.ts'
import { renderError } from './render-error.ts'
import { createOutput } from './output.ts'
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

  it('lets no cell of a table act on the terminal', async () => {
    expect(await renderTable(['NAME', 'URL'], [['a\u001b]0;x\u0007', 'b\nc\u009b1m']])).toBe(
      'NAME            URL\na\\x1b]0;x\\x07   b\\x0ac\\x9b1m',
    )
  })

  it('escapes in JSON what JSON lets stand and terminals obey', () => {
    const written: string[] = []
    const stdout = Object.assign(Object.create(process.stdout), { write: (text: string) => written.push(text) })
    createOutput({ stdout, stderr: process.stderr }, {}).json(['\u009b31mü\u007f'])
    expect(written.join('')).toBe('[\n  "\\u009b31mü\\u007f"\n]\n')
    expect(JSON.parse(written.join(''))).toEqual(['\u009b31mü\u007f'])
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
