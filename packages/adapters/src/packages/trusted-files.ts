import { constants, type Stats } from 'node:fs'
import { lstat, mkdir, open, rename, rm, writeFile } from 'node:fs/promises'
import { platform } from 'node:os'
import { dirname } from 'node:path'
import { randomBytes } from 'node:crypto'
import { ThvError } from '@thv/core'

/** Creates a private directory; `state-denied` when something that is not ours stands there. */
export async function ensureDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 })
  if (await isTrustedDirectory(path)) return
  throw new ThvError('state-denied', `the package cache ${path} belongs to someone else or can be written by others`, {
    hint: 'remove it, or correct its owner and mode',
  })
}

/** A real directory of this user that nobody else can write. What is in it will be executed. */
export async function isTrustedDirectory(path: string): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined)
  return found !== undefined && found.isDirectory() && isOurs(found)
}

/** Text of a small file of this user; undefined when it is missing, too large, a link, or not ours. */
export async function readTrusted(path: string, maxBytes: number): Promise<string | undefined> {
  const noFollow = platform() === 'win32' ? 0 : constants.O_NOFOLLOW | constants.O_NONBLOCK
  const file = await open(path, constants.O_RDONLY | noFollow).catch(() => undefined)
  if (file === undefined) return undefined
  try {
    const found = await file.stat()
    if (!found.isFile() || found.size > maxBytes || !isOurs(found)) return undefined
    return await file.readFile('utf8')
  } catch {
    return undefined
  } finally {
    await file.close()
  }
}

/** Replaces a file in one step. */
export async function replaceFile(path: string, text: string): Promise<void> {
  await ensureDirectory(dirname(path))
  const next = `${path}.${randomBytes(4).toString('hex')}`
  try {
    await writeFile(next, text, { mode: 0o600, flag: 'wx', flush: true })
    await rename(next, path)
  } catch (error) {
    await rm(next, { force: true })
    throw error
  }
}

function isOurs(found: Stats): boolean {
  const user = process.getuid?.()
  // Windows has neither; there the profile directory is private.
  return user === undefined || (found.uid === user && (found.mode & 0o022) === 0)
}
