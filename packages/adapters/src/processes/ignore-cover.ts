import type { Dirent } from 'node:fs'
import { lstat, readdir, readFile, realpath, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { coveredEntries, messageOf, parseIgnoreFile, ThvError, type Confinement, type Mount } from '@thv/core'
import { processLimits } from './process-limits.ts'
import { isWithin } from './sandbox-layout.ts'

/** Where ignore patterns come from, beside the mounts. */
export interface IgnoreOptions {
  /** The user's own ignore patterns, for every mount. */
  globalIgnoreFile: string
  /** Told of an ignore pattern that cannot be obeyed. */
  warn: (message: string) => void
}

/**
 * What `.thvignore` files and the user's own list keep from the server: spec/local 3.7. A
 * list in a mount that can be written to is mounted once more, read-only: a server that
 * takes its own list away would see everything at its next start. Throws `mount-invalid`
 * for a list that is there and cannot be read.
 */
export async function ignoreCover(
  options: IgnoreOptions,
  mounts: readonly Mount[],
  useGlobal: boolean,
): Promise<Pick<Confinement, 'covered' | 'mounts'>> {
  const everywhere = useGlobal ? await readIgnore(options.globalIgnoreFile, options.warn) : []
  const lists = await Promise.all(mounts.map(async (mount) => await listOf(mount)))
  const found = await Promise.all(
    mounts.map(async ({ source, target }, index) => {
      const list = lists[index]
      const patterns = [...everywhere, ...(list === undefined ? [] : await readIgnore(list.source, options.warn))]
      const covered = coveredEntries(patterns, await entriesOf(source))
      return covered.map(({ path, isDirectory }) => ({ target: join(target, relative(source, path)), isDirectory }))
    }),
  )
  const covered = found.flat()
  const isCovered = (path: string): boolean => covered.some(({ target }) => target === path)
  const kept = lists.filter((list) => list?.writable === true && !isCovered(list.target))
  return { covered, mounts: [...mounts, ...kept.flatMap((list) => (list ? [{ ...list, writable: false }] : []))] }
}

/** The ignore list of a mount, as a mount. */
async function listOf({ source, target, writable }: Mount): Promise<Mount | undefined> {
  const path = join(source, '.thvignore')
  const found = await lstat(path).catch((error: unknown) => absent(path, error))
  if (found === undefined) return undefined
  if (writable && found.isSymbolicLink()) throw unreadable(path, 'it is a link, which the server could replace')
  return { source: path, target: join(target, '.thvignore'), writable }
}

interface SeenEntry {
  name: string
  path: string
  isDirectory: boolean
}

async function entriesOf(source: string): Promise<SeenEntry[]> {
  const entries =
    (await readdir(source, { withFileTypes: true }).catch((error: unknown) => absent(source, error))) ?? []
  const seen = await Promise.all(entries.map(async (entry) => await seenEntry(source, entry)))
  return seen.filter((entry) => entry !== undefined)
}

/** An entry by its name and, for a link, what it points to; undefined for one that leads out of the mount. */
async function seenEntry(source: string, entry: Dirent): Promise<SeenEntry | undefined> {
  const { name } = entry
  const path = join(source, name)
  if (!entry.isSymbolicLink()) return { name, path, isDirectory: entry.isDirectory() }
  const real = await realpath(path).catch(() => undefined)
  if (real === undefined || !isWithin(real, source)) return undefined
  return { name, path: real, isDirectory: (await stat(real)).isDirectory() }
}

async function readIgnore(path: string, warn: (message: string) => void): Promise<string[]> {
  const found = await stat(path).catch((error: unknown) => absent(path, error))
  if (found === undefined) return []
  if (!found.isFile()) throw unreadable(path, 'it is not a file')
  if (found.size > processLimits.profileBytes) throw unreadable(path, 'it is too large')
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw unreadable(path, messageOf(error), error)
  })
  if (text.includes('\0')) throw unreadable(path, 'it is not UTF-8 text')
  const { patterns, problems } = parseIgnoreFile(text)
  for (const problem of problems) warn(`${path}: ${problem}`)
  return patterns
}

/** Undefined when there is nothing, or when what was mounted is a file. Throws for any other error. */
function absent(path: string, error: unknown): undefined {
  const code = error instanceof Error && 'code' in error ? error.code : ''
  if (code !== 'ENOENT' && code !== 'ENOTDIR') throw unreadable(path, messageOf(error), error)
}

function unreadable(path: string, why: string, cause?: unknown): ThvError {
  const message = `${path} cannot be read, so what it names would not be kept from the server: ${why}`
  return new ThvError('mount-invalid', message, { hint: 'mend or remove it, or take the volume out', cause })
}
