import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { ThvError, type PackageKind } from '@thv/core'
import { packageLimits } from './package-limits.ts'

/** Where all packages are. */
export function packagesDirectory(cacheDirectory: string): string {
  return join(cacheDirectory, 'packages')
}

/** Where the packages of one ecosystem are. */
export function kindDirectory(cacheDirectory: string, kind: PackageKind): string {
  return join(packagesDirectory(cacheDirectory), kind)
}

/** Where one version of a package is. */
export function entryDirectory(
  cacheDirectory: string,
  found: { kind: PackageKind; name: string; version: string },
): string {
  return join(kindDirectory(cacheDirectory, found.kind), entryName(found.name, found.version))
}

/**
 * The directory name of a version. Different packages have different names, also on
 * file systems that ignore case: `/` becomes `+`, which no name contains, and a
 * capital letter is written as Go's module cache does (`!a`).
 */
export function entryName(name: string, version: string): string {
  if (!/^[\w.+!-]+$/.test(version) || !/^[@\w.~/[\],-]+$/.test(name)) {
    throw new ThvError('package-name-invalid', `'${name}@${version}' cannot be a directory name`, {
      hint: 'give a plain name and an exact version, for example name@1.2.3',
    })
  }
  const full = `${small(name.replaceAll('/', '+'))}@${small(version)}`
  if (full.length <= packageLimits.entryNameLength) return full
  // `!!@` occurs in no other name: an encoded name has no doubled mark.
  return `${full.slice(0, 100).replaceAll('@', '-')}!!@${createHash('sha256').update(full).digest('hex').slice(0, 40)}`
}

/** Where the version is remembered that a range or no version at all was resolved to. */
export function tagFile(cacheDirectory: string, kind: PackageKind, name: string, range: string | undefined): string {
  const key = createHash('sha256')
    .update(JSON.stringify([name, range ?? null]))
    .digest('hex')
  return join(packagesDirectory(cacheDirectory), 'tags', `${kind}-${key.slice(0, 40)}.json`)
}

const temporary = /\.tmp-(\d+)-[0-9a-f]{8}$/

/** Name of an unfinished install; carries who makes it. */
export function temporaryName(entry: string, pid: number, random: string): string {
  return `${entry}.tmp-${pid}-${random}`
}

/** Who made an unfinished install; undefined when the name is not one. */
export function temporaryOwner(name: string): number | undefined {
  const match = temporary.exec(name)
  return match === null ? undefined : Number(match[1])
}

function small(text: string): string {
  return text.replaceAll('!', '!!').replaceAll(/[A-Z]/g, (letter) => `!${letter.toLowerCase()}`)
}
