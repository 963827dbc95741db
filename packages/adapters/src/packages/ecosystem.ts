import type { PackageKind, PackageSource, ResolvedPackage } from '@thv/core'
import type { BuiltPackage } from './cache-entry.ts'

/** How installers of every ecosystem are wired. */
export interface InstallerOptions {
  /** Root of thv's cache; packages go below `packages/`. */
  cacheDirectory: string
  /** Environment of the ecosystem's tools: the user's own, so that proxies, indexes and credentials apply. */
  environment: Readonly<Record<string, string | undefined>>
  /** The Node that runs npm and Node servers. Default: the one that runs thv. */
  nodePath?: string
  /** Default: the system's clock. */
  now?: () => Date
}

/** What differs between npm, PyPI and Go. The rest is `createInstaller`. */
export interface Ecosystem {
  kind: PackageKind
  /** Whether a version can only ever mean one thing. */
  isExact(version: string): boolean
  /** Asks the index. */
  ask(source: PackageSource, signal: AbortSignal): Promise<ResolvedPackage>
  /** Installs into an empty directory that is renamed afterwards. */
  build(resolved: ResolvedPackage, directory: string, signal: AbortSignal): Promise<BuiltPackage>
  /** Who does the work, for a progress line. */
  tool: string
}
