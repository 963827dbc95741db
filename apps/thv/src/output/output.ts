import type { ProgressListener } from '@thv/core'
import { paint, printable, wantsColor, type StyleSettings, type Tone } from './style.ts'

/** The two streams of a command: results on stdout, everything else on stderr. */
export interface Output {
  /** Writes a result line. */
  line: (text: string) => void
  /** Writes a result without a line end. */
  raw: (text: string) => void
  /** Writes bytes of a log as they are. */
  bytes: (chunk: Buffer) => void
  /** Writes a value as indented JSON. */
  json: (value: unknown) => void
  /** Tells the user something that is not a result. */
  note: (text: string) => void
  /** Shows what long work is doing: one rewritten line on a terminal, plain lines otherwise. */
  progress: ProgressListener
  /** Clears the progress line; call before other output. */
  settle: () => void
  paint: (text: string, tone: Tone) => string
}

/** The output of a process. */
export function createOutput(
  streams: { stdout: NodeJS.WriteStream; stderr: NodeJS.WriteStream },
  environment: StyleSettings['environment'],
): Output {
  const { stdout, stderr } = streams
  const color = wantsColor({ isTty: stdout.isTTY, environment })
  const rewrites = stderr.isTTY && environment['TERM'] !== 'dumb'
  let shown = false
  const settle = (): void => {
    if (shown) stderr.write('\r\u001b[K')
    shown = false
  }
  return {
    line: (text) => {
      settle()
      stdout.write(`${text}\n`)
    },
    raw: (text) => {
      settle()
      stdout.write(text)
    },
    bytes: (chunk) => {
      settle()
      stdout.write(chunk)
    },
    json: (value) => {
      settle()
      // JSON lets these control characters stand, and terminals obey them.
      const text = JSON.stringify(value, null, 2).replace(/[\u007f-\u009f]/g, escapeCharacter)
      stdout.write(`${text}\n`)
    },
    note: (text) => {
      settle()
      stderr.write(`${text}\n`)
    },
    progress: (message) => {
      const text = printable(message)
      if (!rewrites) {
        stderr.write(`${text}\n`)
        return
      }
      stderr.write(`\r\u001b[K${text.slice(0, Math.max(20, (stderr.columns || 80) - 1))}`)
      shown = true
    },
    settle,
    paint: (text, tone) => paint(text, tone, color),
  }
}

function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}
