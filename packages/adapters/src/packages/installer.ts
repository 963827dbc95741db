import {
  isThvError,
  limits,
  ThvError,
  type InstalledPackage,
  type PackageInstaller,
  type ProgressListener,
} from '@thv/core'
import { createEntry, openEntry, removeLeftovers, touchEntry } from './cache-entry.ts'
import { entryDirectory, kindDirectory, packagesDirectory } from './cache-layout.ts'
import type { Ecosystem, InstallerOptions } from './ecosystem.ts'
import { absoluteCommand, type PackageManifest } from './manifest.ts'
import { packageLimits } from './package-limits.ts'
import { recallTag, rememberTag } from './tag-memory.ts'
import { ensureDirectory } from './trusted-files.ts'

/** The part of installing that is the same for every ecosystem: cache, memory, progress. */
export function createInstaller(ecosystem: Ecosystem, options: InstallerOptions): PackageInstaller {
  const { cacheDirectory } = options
  const now = options.now ?? (() => new Date())

  function installed(manifest: PackageManifest): InstalledPackage {
    const { kind, name, version, integrity } = manifest
    const resolved = { kind, name, version }
    const directory = entryDirectory(cacheDirectory, resolved)
    return {
      resolved: integrity === undefined ? resolved : { ...resolved, integrity },
      command: absoluteCommand(manifest, directory, options.nodePath ?? process.execPath),
      environment: {},
      directory,
    }
  }

  return {
    kind: ecosystem.kind,
    async resolve(source, signal) {
      const { kind, name, version } = source
      if (version !== undefined && ecosystem.isExact(version)) {
        const cached = await openEntry(cacheDirectory, { kind, name, version })
        if (cached !== undefined) return installed(cached).resolved
      }
      const remembered = await recallTag(cacheDirectory, source)
      const age = remembered === undefined ? Number.POSITIVE_INFINITY : now().getTime() - remembered.at.getTime()
      // A time in the future is a wrong clock, not a fresh answer.
      if (remembered !== undefined && age >= 0 && age < limits.packageTagMs) return remembered.resolved
      await ensureDirectory(packagesDirectory(cacheDirectory))
      try {
        const resolved = await ecosystem.ask(source, signal)
        await rememberTag(cacheDirectory, source, { resolved, at: now() })
        return resolved
      } catch (error) {
        if (remembered !== undefined && isThvError(error) && error.code === 'package-index-unreachable')
          return remembered.resolved
        throw error
      }
    },
    async install(resolved, progress, signal) {
      const cached = await openEntry(cacheDirectory, resolved)
      if (cached !== undefined) {
        assertIntegrity(resolved, cached.integrity)
        await touchEntry(entryDirectory(cacheDirectory, resolved))
        return installed(cached)
      }
      await removeLeftovers(kindDirectory(cacheDirectory, resolved.kind))
      const done = reportProgress(`installing ${resolved.name}@${resolved.version} (${ecosystem.tool})`, progress)
      try {
        async function build(directory: string) {
          const built = await ecosystem.build(resolved, directory, signal)
          assertIntegrity(resolved, built.integrity)
          return built
        }
        return installed(await createEntry(cacheDirectory, resolved, build, signal))
      } finally {
        done()
      }
    },
  }
}

/** What was resolved is what gets started: another content under the same version is refused. */
function assertIntegrity(
  resolved: { name: string; version: string; integrity?: string },
  found: string | undefined,
): void {
  if (resolved.integrity === undefined || resolved.integrity === found) return
  throw new ThvError(
    'package-install-failed',
    `${resolved.name}@${resolved.version} is not the package that was resolved: its checksum is ${found ?? 'unknown'}, expected ${resolved.integrity}`,
    { hint: 'someone replaced the package in the index or in the cache; find out before you run it' },
  )
}

/** A first line at once, then a sign of life every few seconds. */
function reportProgress(what: string, progress: ProgressListener): () => void {
  const begun = performance.now()
  progress(what)
  const timer = setInterval(() => {
    progress(`${what}: ${Math.round((performance.now() - begun) / 1000)} s`)
  }, packageLimits.progressMs)
  return () => {
    clearInterval(timer)
  }
}
