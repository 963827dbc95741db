import { constants, type Stats } from 'node:fs'
import { lstat, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { systemCodeOf, ThvError } from '@thv/core'
import { stateError } from './state-error.ts'

const privateMode = 0o700

/**
 * Creates a directory that is private to the user (0700; parents 0750), or makes it so again. Resolves to whether others
 * could get at one that was there. A link, or a directory of somebody else, is refused with `state-denied`.
 */
export async function makePrivateDirectory(path: string): Promise<boolean> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o750 })
    const created = await makeOne(path)
    return (await tighten(path)) && !created
  } catch (error) {
    throw stateError(error, path, 'create')
  }
}

/** Why a directory cannot be trusted with what only its user may have written; undefined when it can, or is not there. */
export async function distrustOf(path: string): Promise<string | undefined> {
  try {
    return reasonAgainst(await lstat(path), 0o022)
  } catch (error) {
    // No directory, and a file in its place: the read of what should be in it tells.
    if (['ENOENT', 'ENOTDIR'].includes(systemCodeOf(error) ?? '')) return undefined
    throw stateError(error, path, 'read')
  }
}

async function makeOne(path: string): Promise<boolean> {
  try {
    await mkdir(path, { mode: privateMode })
    return true
  } catch (error) {
    if (systemCodeOf(error) === 'EEXIST') return false
    throw error
  }
}

/** Looks and changes through one handle, so that nothing can be put in its place in between. */
async function tighten(path: string): Promise<boolean> {
  if (constants.O_DIRECTORY === undefined) {
    // Windows: the user's own directories are private, and modes mean nothing.
    refuse(path, reasonAgainst(await lstat(path), 0))
    return false
  }
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW).catch(
    async (error: unknown) => {
      refuse(path, reasonAgainst(await lstat(path), 0))
      throw error
    },
  )
  try {
    const found = await handle.stat()
    refuse(path, reasonAgainst(found, 0))
    if ((found.mode & 0o777) === privateMode) return false
    await handle.chmod(privateMode)
    return true
  } finally {
    await handle.close()
  }
}

function reasonAgainst(found: Stats, forbiddenMode: number): string | undefined {
  if (found.isSymbolicLink()) return 'its directory is a symbolic link'
  if (!found.isDirectory()) return 'its directory is a file'
  const self = process.geteuid?.()
  if (self === undefined) return undefined
  if (found.uid !== self && found.uid !== 0) return `its directory belongs to another user (uid ${found.uid})`
  if ((found.mode & forbiddenMode) !== 0) return 'its directory can be written by other users'
  return undefined
}

function refuse(path: string, reason: string | undefined): void {
  if (reason === undefined) return
  throw new ThvError('state-denied', `cannot use '${path}': ${reason.replace('its directory', 'it')}`, {
    hint: `remove '${path}' if nobody needs it; thv makes a directory of its own`,
  })
}
