import type { PackageKind, PackageSource, ResolvedPackage } from '../domain/package-source.ts'

/** A package in the cache, ready to start. */
export interface InstalledPackage {
  resolved: ResolvedPackage
  /** What to execute; arguments of the server come after these. Absolute paths. */
  command: readonly [executable: string, ...leading: string[]]
  /** Where all of it is. */
  directory: string
  /** Added to the server's environment (search path entries, interpreter settings). */
  environment: Record<string, string>
}

/** One line of progress, for a terminal. */
export type ProgressListener = (message: string) => void

/** Installs packages of one ecosystem into a cache, once per version. */
export interface PackageInstaller {
  readonly kind: PackageKind
  /**
   * The exact version a source means. A version that is already exact and cached
   * needs no network; an open one is remembered for a day, and when the index cannot
   * be reached the newest remembered answer serves. `package-not-found`,
   * `package-version-not-found`, `package-index-unreachable`, `package-tool-missing`.
   */
  resolve(source: PackageSource, signal: AbortSignal): Promise<ResolvedPackage>
  /** Installs unless cached, atomically: a killed install leaves nothing that looks installed. */
  install(resolved: ResolvedPackage, progress: ProgressListener, signal: AbortSignal): Promise<InstalledPackage>
}

/** One cached package version. */
export interface CachedPackage extends ResolvedPackage {
  bytes: number
  lastUsed: Date
  path: string
}

/** What the package cache holds. */
export interface PackageCache {
  list(): Promise<CachedPackage[]>
  /** Removes cached versions that `keep` rejects, and leftovers of killed installs; resolves to what was removed. */
  prune(keep: (cached: CachedPackage) => boolean, signal: AbortSignal): Promise<CachedPackage[]>
}
