import type { PackageInstaller, PackageKind } from '@thv/core'
import type { InstallerOptions } from './ecosystem.ts'
import { createGoInstaller } from './go-installer.ts'
import { createNpmInstaller } from './npm-installer.ts'
import { createUvInstaller } from './uv-installer.ts'

/** Every ecosystem thv can install from. */
const installers: Record<PackageKind, (options: InstallerOptions) => PackageInstaller> = {
  npx: createNpmInstaller,
  uvx: createUvInstaller,
  go: createGoInstaller,
}

/** The installer of one ecosystem. Opens nothing until used. */
export function createPackageInstaller(kind: PackageKind, options: InstallerOptions): PackageInstaller {
  return installers[kind](options)
}
