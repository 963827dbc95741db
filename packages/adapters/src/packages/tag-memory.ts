import type { PackageSource, ResolvedPackage } from '@thv/core'
import { tagFile } from './cache-layout.ts'
import { packageLimits } from './package-limits.ts'
import { readTrusted, replaceFile } from './trusted-files.ts'

/** A version that the index once gave for a source, and when. */
export interface RememberedTag {
  resolved: ResolvedPackage
  at: Date
}

/** Which version the index gave last for a source; undefined when none is remembered. */
export async function recallTag(cacheDirectory: string, source: PackageSource): Promise<RememberedTag | undefined> {
  const path = tagFile(cacheDirectory, source.kind, source.name, source.version)
  const text = await readTrusted(path, packageLimits.tagBytes)
  return text === undefined ? undefined : parseTag(text, source)
}

/** Remembers the index's answer. A failure only costs a question later. */
export async function rememberTag(
  cacheDirectory: string,
  source: PackageSource,
  tag: { resolved: ResolvedPackage; at: Date },
): Promise<void> {
  const { kind, name, version: range } = source
  const { version, integrity } = tag.resolved
  const text = JSON.stringify({ kind, name, range, version, integrity, at: tag.at.toISOString() })
  await replaceFile(tagFile(cacheDirectory, kind, name, range), text).catch(() => {})
}

function parseTag(text: string, source: PackageSource): RememberedTag | undefined {
  try {
    const value: Record<string, unknown> = JSON.parse(text)
    const { version, integrity } = value
    const at = new Date(String(value['at']))
    if (value['kind'] !== source.kind || value['name'] !== source.name || value['range'] !== source.version)
      return undefined
    if (typeof version !== 'string' || !/^[\w.+!-]+$/.test(version) || Number.isNaN(at.getTime())) return undefined
    const resolved: ResolvedPackage = { kind: source.kind, name: source.name, version }
    return { resolved: typeof integrity === 'string' ? { ...resolved, integrity } : resolved, at }
  } catch {
    return undefined
  }
}
