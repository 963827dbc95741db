import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { packageKinds, type CachedPackage, type PackageCache } from '@thv/core'
import { removeLeftovers } from './cache-entry.ts'
import { entryDirectory, kindDirectory } from './cache-layout.ts'
import { manifestFile, readManifest } from './manifest.ts'
import { isTrustedDirectory } from './trusted-files.ts'

/** What is installed below `<cacheDirectory>/packages`; see the installers for the layout. */
export function createPackageCache(options: { cacheDirectory: string }): PackageCache {
  const { cacheDirectory } = options
  const cache: PackageCache = {
    async list() {
      const found: CachedPackage[] = []
      for (const kind of packageKinds) {
        const directory = kindDirectory(cacheDirectory, kind)
        for (const name of await readdir(directory).catch(() => [])) {
          const entry = await describe(join(directory, name))
          if (entry !== undefined && entryDirectory(cacheDirectory, entry) === entry.path) found.push(entry)
        }
      }
      return found.sort((a, b) => a.path.localeCompare(b.path))
    },
    async prune(keep, signal) {
      const removed: CachedPackage[] = []
      for (const kind of packageKinds) await removeLeftovers(kindDirectory(cacheDirectory, kind))
      for (const entry of await cache.list()) {
        signal.throwIfAborted()
        if (keep(entry)) continue
        // The manifest goes first: a removal that is interrupted leaves nothing that looks installed.
        await rm(join(entry.path, manifestFile), { force: true })
        await rm(entry.path, { recursive: true, force: true, maxRetries: 3 })
        removed.push(entry)
      }
      return removed
    },
  }
  return cache
}

async function describe(path: string): Promise<CachedPackage | undefined> {
  if (!(await isTrustedDirectory(path))) return undefined
  const manifest = await readManifest(path)
  const used = await stat(join(path, manifestFile)).catch(() => undefined)
  if (manifest === undefined || used === undefined) return undefined
  const { kind, name, version, integrity, bytes } = manifest
  const entry = { kind, name, version, bytes, lastUsed: used.mtime, path }
  return integrity === undefined ? entry : { ...entry, integrity }
}
