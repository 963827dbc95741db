import { readdir, readFile, readlink, stat } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { ThvError } from '@thv/core'
import { containerLimits } from './container-limits.ts'
import type { ArchiveEntry } from './ustar.ts'

/** The source code of a Go program of this machine. */
export interface LocalSource {
  /** What to build, from the root of the module: `.` or `./cmd/server`. */
  target: string
  /** The whole module, under `source/`. */
  entries: ArchiveEntry[]
}

/**
 * Reads the module that a directory belongs to: the nearest one at or above it with a `go.mod`. Histories
 * (`.git`) and `node_modules` stay out; links are kept as links. Throws `invalid-argument` when there is no
 * module, or more in it than a build is given.
 */
export async function readLocalSource(path: string): Promise<LocalSource> {
  const root = await moduleRoot(path)
  const inside = relative(root, path)
  const entries: ArchiveEntry[] = []
  let bytes = 0
  for (const directories = [root]; directories.length > 0;) {
    const directory = directories.pop() ?? root
    // In one order, so that equal content makes equal archives.
    const found = (await readdir(directory, { withFileTypes: true })).sort((a, b) => (a.name < b.name ? -1 : 1))
    for (const entry of found) {
      if (leftOut.has(entry.name)) continue
      const full = join(directory, entry.name)
      const archived = { path: `source/${relative(root, full)}` }
      if (entry.isDirectory()) directories.push(full)
      else if (entry.isSymbolicLink()) {
        entries.push({ ...archived, mode: 0o777, content: { kind: 'symlink', target: await readlink(full) } })
      } else if (entry.isFile()) {
        const { size, mode } = await stat(full)
        bytes += size
        if (bytes > containerLimits.localSourceBytes) throw tooLarge(root)
        const content = { kind: 'file', bytes: await readFile(full) } as const
        entries.push({ ...archived, mode: (mode & 0o111) === 0 ? 0o644 : 0o755, content })
      }
      if (entries.length > containerLimits.localSourceFiles) throw tooLarge(root)
    }
  }
  return { target: inside === '' ? '.' : `./${inside}`, entries }
}

const leftOut = new Set(['.git', 'node_modules'])

async function moduleRoot(path: string): Promise<string> {
  for (let directory = path; ; directory = dirname(directory)) {
    if ((await stat(join(directory, 'go.mod')).catch(() => undefined))?.isFile() === true) return directory
    if (directory === dirname(directory)) break
  }
  throw new ThvError('invalid-argument', `'${path}' is in no Go module: there is no go.mod at or above it`, {
    hint: "give the directory of a program, or run 'go mod init' there",
  })
}

function tooLarge(root: string): ThvError {
  const { localSourceBytes, localSourceFiles } = containerLimits
  return new ThvError(
    'invalid-argument',
    `'${root}' is too large for a build: ${localSourceBytes} bytes and ${localSourceFiles} files are allowed`,
    { hint: "build it with 'go build', and run the program after --" },
  )
}
