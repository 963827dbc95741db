import { join, posix } from 'node:path'
import type { PackageKind, ResolvedPackage } from '@thv/core'
import { packageKinds } from '@thv/core'
import { packageLimits } from './package-limits.ts'
import { readTrusted } from './trusted-files.ts'

/** Written last into an install: a directory without a valid one is not installed. */
export const manifestFile = 'thv-package.json'

/** What thv knows about an installed version. */
export interface PackageManifest extends ResolvedPackage {
  schema: 1
  /**
   * What to execute: `$node` is the Node that runs thv, `./…` is relative to the
   * directory, so that a cache can be moved.
   */
  command: [executable: string, ...leading: string[]]
  installedAt: string
  bytes: number
}

/** The manifest of an entry; undefined when it is missing or is not one that thv wrote for exactly this entry. */
export async function readManifest(directory: string): Promise<PackageManifest | undefined> {
  const text = await readTrusted(join(directory, manifestFile), packageLimits.manifestBytes)
  return text === undefined ? undefined : parseManifest(text)
}

/** Parses a manifest; undefined when its shape is wrong. Pure. */
export function parseManifest(text: string): PackageManifest | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!isRecord(value) || value['schema'] !== 1) return undefined
  const { name, version, integrity, installedAt, bytes } = value
  const kind = packageKinds.find((known: PackageKind) => known === value['kind'])
  const command = parseCommand(value['command'])
  if (kind === undefined || command === undefined) return undefined
  if (typeof name !== 'string' || typeof version !== 'string' || typeof installedAt !== 'string') return undefined
  if (typeof bytes !== 'number' || (integrity !== undefined && typeof integrity !== 'string')) return undefined
  const manifest: PackageManifest = { schema: 1, kind, name, version, command, installedAt, bytes }
  return integrity === undefined ? manifest : { ...manifest, integrity }
}

/** The command with absolute paths. */
export function absoluteCommand(
  manifest: PackageManifest,
  directory: string,
  nodePath: string,
): [executable: string, ...leading: string[]] {
  const [first, ...rest] = manifest.command
  function absolute(part: string): string {
    return part === '$node' ? nodePath : join(directory, part)
  }
  return [absolute(first), ...rest.map(absolute)]
}

function parseCommand(value: unknown): PackageManifest['command'] | undefined {
  if (!Array.isArray(value) || value.length > 4) return undefined
  const parts = value.filter((part): part is string => typeof part === 'string' && isCommandPart(part))
  const [first, ...rest] = parts
  return first === undefined || parts.length !== value.length ? undefined : [first, ...rest]
}

/** Never a path that leads out of the entry. */
function isCommandPart(part: string): boolean {
  if (part === '$node') return true
  return part.startsWith('./') && !part.includes('\\') && !posix.normalize(part).startsWith('..')
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
