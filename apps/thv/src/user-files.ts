import { constants } from 'node:fs'
import { open, readdir, stat, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { limits, messageOf, systemCodeOf, ThvError } from '@thv/core'

/** A pipe says nothing yet: look again after this. */
const pollMs = 20
/** Someone who has just been started may open its end of a pipe this much later. */
const writerMs = 1000
/** A pipe that is not at its end by then is given up. */
const pipeMs = 60_000

/** Files the user names on the command line. */
export interface UserFiles {
  /** The whole text; rejects above `maxBytes` (default 1 MiB), for a pipe that stays silent, and when the signal aborts. */
  readText(path: string, options: { maxBytes?: number; signal: AbortSignal }): Promise<string>
  /** Non-hidden files of a directory in name order; none when it does not exist (spec/local 3.6). */
  listVisible(directory: string): Promise<string[]>
  exists(path: string): Promise<boolean>
}

/** Files as the operating system has them. A symbolic link is fine here: the user named it. */
export function createUserFiles(): UserFiles {
  return {
    readText: async (path, { maxBytes = limits.runConfigBytes, signal }) => {
      signal.throwIfAborted()
      // Opening a pipe would wait for its writer where no signal reaches us.
      const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
      try {
        const stat = await file.stat()
        if (!stat.isFile() && !stat.isFIFO()) throw new Error('it is not a file')
        if (stat.size > maxBytes) throw new Error(`it has ${stat.size} bytes, ${maxBytes} are allowed`)
        return await readAll(file, { maxBytes, signal, isPipe: stat.isFIFO() })
      } finally {
        await file.close()
      }
    },
    exists: async (path) => (await stat(path).catch(() => undefined)) !== undefined,
    listVisible: async (directory) => {
      try {
        const entries = await readdir(directory, { withFileTypes: true })
        return entries
          .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
          .map((entry) => join(directory, entry.name))
          .sort()
      } catch (error) {
        if (systemCodeOf(error) === 'ENOENT') return []
        throw new ThvError('invalid-argument', `directory '${directory}' cannot be read: ${messageOf(error)}`, {
          hint: 'give a directory of KEY=VALUE files',
          cause: error,
        })
      }
    },
  }
}

async function readAll(
  file: FileHandle,
  options: { maxBytes: number; signal: AbortSignal; isPipe: boolean },
): Promise<string> {
  const { maxBytes, signal, isPipe } = options
  const begun = performance.now()
  // One byte more than allowed is enough to know: a pipe has no size.
  const buffer = Buffer.alloc(maxBytes + 1)
  let length = 0
  for (;;) {
    const bytesRead = await readSome(file, buffer, length)
    const waited = performance.now() - begun
    // A pipe without a writer is at its end; before the first byte its writer may still be on its way.
    if (bytesRead === 0 && (!isPipe || length > 0)) break
    if (bytesRead === 0 && waited > writerMs) throw new Error('it is empty: nobody writes to this pipe')
    if (waited > pipeMs) throw new Error(`its writer has not finished within ${pipeMs / 1000} s`)
    if (bytesRead === undefined || bytesRead === 0) await delay(pollMs, undefined, { signal })
    length += bytesRead ?? 0
    if (length > maxBytes) throw new Error(`it has more than ${maxBytes} bytes`)
  }
  return buffer.toString('utf8', 0, length)
}

/** How much was read; undefined when a pipe has nothing now. */
async function readSome(file: FileHandle, buffer: Buffer, at: number): Promise<number | undefined> {
  try {
    return (await file.read(buffer, at, buffer.length - at, null)).bytesRead
  } catch (error) {
    if (systemCodeOf(error) === 'EAGAIN') return undefined
    throw error
  }
}
