import { lstat, open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { systemCodeOf, ThvError } from '@thv/core'
import { retryBusy } from './retry-busy.ts'
import { stateError } from './state-error.ts'
import { discard, writeTemporary } from './temporary-file.ts'

/**
 * Replaces a file as a whole: readers see the old or the new content, never a part,
 * and after a power cut one of the two is there. The file is private to the user
 * (0600); missing parent directories are created (0750).
 *
 * Anything else than a regular file at `path` is refused: a rename would silently cut
 * a symbolic link off from what it pointed at, or replace a device. Rejects with `state-denied`, `state-full` or `state-failed`,
 * and then the old file is untouched.
 */
export async function writeAtomically(path: string, content: string | Uint8Array): Promise<void> {
  try {
    await refuseOtherThanFile(path)
    const temporary = await writeTemporary(path, content, true)
    try {
      await retryBusy(() => rename(temporary, path))
    } catch (error) {
      await discard(temporary)
      throw error
    }
  } catch (error) {
    throw stateError(error, path, 'write')
  }
  await syncDirectory(dirname(path))
}

/** Makes a rename or a new link survive a power cut, where the platform can. */
export async function syncDirectory(directory: string): Promise<void> {
  try {
    const handle = await open(directory, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch {
    // Windows cannot open directories and some file systems cannot sync them; the file itself is safe.
  }
}

async function refuseOtherThanFile(path: string): Promise<void> {
  const found = await lstat(path).catch((error: unknown) => {
    if (systemCodeOf(error) === 'ENOENT') return undefined
    throw error
  })
  if (found === undefined || found.isFile()) return
  if (found.isDirectory()) {
    throw new ThvError('state-failed', `cannot write '${path}': it is a directory`, { hint: 'remove the directory' })
  }
  if (found.isSymbolicLink()) {
    throw new ThvError('state-denied', `cannot write '${path}': it is a symbolic link`, {
      hint: `remove the link, or put the file itself there`,
    })
  }
  throw new ThvError('state-denied', `cannot write '${path}': it is a device, a pipe or a socket`, {
    hint: 'remove it; thv writes only regular files here',
  })
}
