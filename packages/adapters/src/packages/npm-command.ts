import { open, realpath } from 'node:fs/promises'
import { extname, join, posix, sep } from 'node:path'
import { ThvError } from '@thv/core'
import type { BuiltPackage } from './cache-entry.ts'
import { asRecord, readJsonObject } from './read-json.ts'

/** What npm has put into a directory: how to start the package, and its checksum. */
export async function readInstalledPackage(directory: string, name: string): Promise<BuiltPackage> {
  const home = join(directory, 'node_modules', name)
  const description = (await readJsonObject(join(home, 'package.json'))) ?? {}
  const script = chooseBin(name, description['bin'])
  const path = `./${posix.join('node_modules', name, script)}`
  const file = join(directory, path)
  await assertInside(file, directory, name)
  const command: BuiltPackage['command'] = (await isNodeScript(file)) ? ['$node', path] : [path]
  const integrity = await installedIntegrity(directory, name)
  return integrity === undefined ? { command } : { command, integrity }
}

/**
 * Which of a package's programs is meant, by npx's rule: the only one, or the one
 * named like the package. Throws `package-has-no-command`. Pure.
 */
export function chooseBin(name: string, bin: unknown): string {
  if (typeof bin === 'string') return bin
  const programs = Object.entries(asRecord(bin) ?? {}).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  )
  const unscoped = name.slice(name.lastIndexOf('/') + 1)
  const files = new Set(programs.map(([, file]) => posix.normalize(file)))
  // Several names for one file are one program.
  const chosen = files.size === 1 ? programs[0] : programs.find(([key]) => key === unscoped || key === name)
  if (chosen !== undefined) return chosen[1]
  const names = programs.map(([key]) => key)
  throw new ThvError(
    'package-has-no-command',
    names.length === 0
      ? `${name} has no program to start: it is a library`
      : `${name} has several programs and none is named ${unscoped}: ${names.join(', ')}`,
    { hint: 'choose the package of the server itself' },
  )
}

async function installedIntegrity(directory: string, name: string): Promise<string | undefined> {
  // The hidden lock file is always written, also where the user's settings turn the visible one off.
  const lock = await readJsonObject(join(directory, 'node_modules', '.package-lock.json'))
  const integrity = asRecord(asRecord(lock?.['packages'])?.[`node_modules/${name}`])?.['integrity']
  return typeof integrity === 'string' ? integrity : undefined
}

async function assertInside(file: string, directory: string, name: string): Promise<void> {
  const [real, root] = await Promise.all([realpath(file).catch(() => undefined), realpath(directory)])
  if (real?.startsWith(root + sep) === true) return
  const why = real === undefined ? 'is missing in the package' : 'lies outside of the package'
  throw new ThvError('package-has-no-command', `the program of ${name} ${why}`, {
    hint: 'tell the authors of the package',
  })
}

async function isNodeScript(path: string): Promise<boolean> {
  if (['.js', '.mjs', '.cjs'].includes(extname(path))) return true
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(256), 0, 256, 0)
    const [first = ''] = buffer.toString('latin1', 0, bytesRead).split('\n')
    return /^#!.*\bnode\b/.test(first)
  } finally {
    await file.close()
  }
}
