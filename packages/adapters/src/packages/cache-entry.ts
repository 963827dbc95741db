import { randomBytes } from 'node:crypto'
import { mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { messageOf, systemCodeOf, ThvError, type ResolvedPackage } from '@thv/core'
import { entryDirectory, kindDirectory, temporaryName, temporaryOwner } from './cache-layout.ts'
import { directorySize } from './directory-size.ts'
import { manifestFile, readManifest, type PackageManifest } from './manifest.ts'
import { packageLimits } from './package-limits.ts'
import { ensureDirectory, isTrustedDirectory } from './trusted-files.ts'

/** What an ecosystem's install has put into a directory. */
export interface BuiltPackage {
  command: PackageManifest['command']
  integrity?: string
}

/** The valid entry of a version; undefined when it is not installed, or not as it should be. */
export async function openEntry(cacheDirectory: string, wanted: ResolvedPackage): Promise<PackageManifest | undefined> {
  const directory = entryDirectory(cacheDirectory, wanted)
  if (!(await isTrustedDirectory(directory))) return undefined
  const manifest = await readManifest(directory)
  if (manifest === undefined || manifest.kind !== wanted.kind) return undefined
  return manifest.name === wanted.name && manifest.version === wanted.version ? manifest : undefined
}

/** Notes that a version was used; best effort. */
export async function touchEntry(directory: string): Promise<void> {
  const now = new Date()
  await utimes(join(directory, manifestFile), now, now).catch(() => {})
}

/**
 * Installs a version so that it is there completely or not at all: into a directory
 * of another name, manifest last, then renamed. Of two processes that do so at the
 * same time one rename wins, and both use the winner's.
 */
export async function createEntry(
  cacheDirectory: string,
  wanted: ResolvedPackage,
  build: (directory: string) => Promise<BuiltPackage>,
  signal: AbortSignal,
): Promise<PackageManifest> {
  const target = entryDirectory(cacheDirectory, wanted)
  await ensureDirectory(kindDirectory(cacheDirectory, wanted.kind))
  const working = temporaryName(target, process.pid, randomBytes(4).toString('hex'))
  try {
    await mkdir(working, { mode: 0o700 })
    const built = await build(working)
    const manifest: PackageManifest = {
      schema: 1,
      ...wanted,
      ...built,
      installedAt: new Date().toISOString(),
      bytes: await directorySize(working, signal),
    }
    await writeDurably(join(working, manifestFile), JSON.stringify(manifest, undefined, 2))
    signal.throwIfAborted()
    return (await moveIntoPlace(working, target)) ? manifest : ((await openEntry(cacheDirectory, wanted)) ?? manifest)
  } catch (error) {
    throw translate(error, target)
  } finally {
    await rm(working, { recursive: true, force: true, maxRetries: 3 }).catch(() => {})
  }
}

/** Removes unfinished installs whose maker is dead or that are older than an hour; resolves to how many. */
export async function removeLeftovers(directory: string): Promise<number> {
  let removed = 0
  for (const name of await readdir(directory).catch(() => [])) {
    const owner = temporaryOwner(name)
    if (owner === undefined) continue
    const path = join(directory, name)
    const found = await stat(path).catch(() => undefined)
    if (found === undefined) continue
    if (isRunning(owner) && Date.now() - found.mtimeMs < packageLimits.leftoverMs) continue
    await rm(path, { recursive: true, force: true, maxRetries: 3 }).catch(() => {})
    removed += 1
  }
  return removed
}

/** True when ours is in place now; false when another process was first. */
async function moveIntoPlace(working: string, target: string): Promise<boolean> {
  try {
    await rename(working, target)
    return true
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST', 'EPERM', 'ENOTDIR', 'EACCES'].includes(systemCodeOf(error) ?? '')) throw error
    if ((await isTrustedDirectory(target)) && (await readManifest(target)) !== undefined) return false
    // What stands there is no install. It is moved away under a name that the next clean-up removes.
    const aside = temporaryName(target, process.pid, randomBytes(4).toString('hex'))
    await rename(target, aside)
    await rename(working, target)
    await rm(aside, { recursive: true, force: true }).catch(() => {})
    return true
  }
}

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return systemCodeOf(error) === 'EPERM'
  }
}

function translate(error: unknown, target: string): unknown {
  const code = systemCodeOf(error)
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new ThvError('state-full', `no space left for the package ${basename(target)}`, {
      hint: "free some space, for example with 'thv cache prune'",
      cause: error,
    })
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return new ThvError('state-denied', `the package cache cannot be written: ${messageOf(error)}`, { cause: error })
  }
  return error
}
