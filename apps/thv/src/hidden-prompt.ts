import { isUtf8 } from 'node:buffer'
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { ThvError } from '@thv/core'

/** Whether somebody can be asked: keys come from a terminal, and questions go to one. */
export function canAsk(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY
}

/** Asks on the terminal; what is typed is shown when `isHidden` is false. `cancelled` at Ctrl-C and at the end of input. */
export async function ask(question: string, isHidden: boolean, signal: AbortSignal): Promise<string> {
  const nothing = new Writable({ write: (_piece, _encoding, done) => done() })
  process.stderr.write(question)
  const lines = createInterface({ input: process.stdin, output: isHidden ? nothing : process.stderr, terminal: true })
  const cancel = (): void => lines.close()
  signal.addEventListener('abort', cancel, { once: true })
  try {
    return await new Promise<string>((resolve, reject) => {
      lines.once('line', resolve)
      lines.once('SIGINT', cancel)
      lines.once('close', () => reject(new ThvError('cancelled', 'nothing was typed', { hint: 'try again' })))
    })
  } finally {
    signal.removeEventListener('abort', cancel)
    lines.close()
    if (isHidden) process.stderr.write('\n')
  }
}

/** All text that comes from a pipe, without the line end behind it; rejects above `maxBytes`, and what is no UTF-8. */
export async function readPipe(maxBytes: number, signal: AbortSignal): Promise<string> {
  const pieces: Buffer[] = []
  let size = 0
  const end = (): void => void process.stdin.destroy()
  signal.addEventListener('abort', end, { once: true })
  try {
    for await (const piece of process.stdin) {
      const buffer = Buffer.from(piece)
      size += buffer.length
      // One line end more may stand behind it.
      if (size > maxBytes + 2)
        throw new ThvError('invalid-argument', `there are more than ${maxBytes} bytes`, { hint: 'give less' })
      pieces.push(buffer)
    }
  } finally {
    signal.removeEventListener('abort', end)
  }
  signal.throwIfAborted()
  const bytes = Buffer.concat(pieces)
  if (!isUtf8(bytes)) {
    throw new ThvError('invalid-argument', 'it is no text: it has bytes that are not UTF-8', {
      hint: 'write it as text, as base64 does',
    })
  }
  return bytes.toString('utf8').replace(/\r?\n$/, '')
}
