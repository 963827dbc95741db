import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { limits, messageOf, systemCodeOf, ThvError } from '@thv/core'

/** Files the user names on the command line. */
export interface UserFiles {
  /** The whole text; rejects above `maxBytes` (default 1 MiB). */
  readText(path: string, maxBytes?: number): Promise<string>
  /** Non-hidden files of a directory in name order; none when it does not exist (spec/local 3.6). */
  listVisible(directory: string): Promise<string[]>
}

/** Files as the operating system has them. A symbolic link is fine here: the user named it. */
export function createUserFiles(): UserFiles {
  return {
    readText: async (path, maxBytes = limits.runConfigBytes) => {
      const file = await open(path, 'r')
      try {
        const stat = await file.stat()
        if (!stat.isFile() && !stat.isFIFO()) throw new Error('it is not a file')
        if (stat.size > maxBytes) throw new Error(`it has ${stat.size} bytes, ${maxBytes} are allowed`)
        // One byte more than allowed is enough to know: a pipe has no size.
        const buffer = Buffer.alloc(maxBytes + 1)
        let length = 0
        for (;;) {
          const { bytesRead } = await file.read(buffer, length, buffer.length - length, null)
          if (bytesRead === 0) break
          length += bytesRead
          if (length > maxBytes) throw new Error(`it has more than ${maxBytes} bytes`)
        }
        return buffer.toString('utf8', 0, length)
      } finally {
        await file.close()
      }
    },
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
