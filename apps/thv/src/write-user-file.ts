import { constants, fstatSync } from 'node:fs'
import { open, realpath, stat, type FileHandle } from 'node:fs/promises'
import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { isThvError, messageOf, systemCodeOf, ThvError } from '@thv/core'

/** A reader that takes nothing for so long is not coming back. */
const writeMs = 10_000
const retryMs = 20

/**
 * Writes a file the user named. A regular file, also behind the user's own link, is
 * replaced as a whole by `replace`; a device or a pipe is written into, because a
 * rename would put a file in its place. `state-denied` when it cannot be written.
 */
export async function writeUserFile(
  path: string,
  text: string,
  replace: (path: string, text: string) => Promise<void>,
): Promise<void> {
  const target = resolve(path)
  const found = await stat(target).catch((error: unknown) => {
    if (systemCodeOf(error) === 'ENOENT') return undefined
    throw unwritable(path, error)
  })
  if (found === undefined) return await replace(target, text)
  if (isStandardOutput(found)) {
    process.stdout.write(text)
    return
  }
  if (found.isFile()) return await replace(await realpath(target), text)
  if (found.isDirectory()) throw unwritable(path, new Error('it is a directory'))
  try {
    // A pipe that nobody reads must not keep us waiting.
    const file = await open(target, constants.O_WRONLY | (constants.O_NONBLOCK ?? 0))
    try {
      await writeAll(file, Buffer.from(text))
    } finally {
      await file.close()
    }
  } catch (error) {
    throw unwritable(path, systemCodeOf(error) === 'ENXIO' ? new Error('nobody reads from it') : error)
  }
}

async function writeAll(file: FileHandle, bytes: Buffer): Promise<void> {
  const deadline = performance.now() + writeMs
  let written = 0
  while (written < bytes.length) {
    try {
      written += (await file.write(bytes, written)).bytesWritten
    } catch (error) {
      if (systemCodeOf(error) !== 'EAGAIN' || performance.now() > deadline) throw error
      await delay(retryMs)
    }
  }
}

/** `/dev/stdout` may be a socket, which cannot be opened, or a file, which would be written over from its start. */
function isStandardOutput(found: { dev: number; ino: number }): boolean {
  try {
    const own = fstatSync(1)
    return own.dev === found.dev && own.ino === found.ino
  } catch {
    return false
  }
}

function unwritable(path: string, error: unknown): ThvError {
  if (isThvError(error)) return error
  return new ThvError('state-denied', `'${path}' cannot be written: ${messageOf(error)}`, {
    hint: 'give the path of a file in a directory that is yours',
    cause: error,
  })
}
