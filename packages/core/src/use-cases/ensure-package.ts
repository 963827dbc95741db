import type { RunConfig } from '../domain/run-config.ts'
import type { PackageKind } from '../domain/package-source.ts'
import type { ImageStore } from '../ports/image-store.ts'
import type { InstalledPackage, PackageInstaller, ProgressListener } from '../ports/package-installer.ts'
import { sourceOf } from './build-run-config.ts'

/**
 * Makes sure the exact package of a saved config is in the cache, or its image on the engine
 * (either may have been pruned). Undefined for local commands, images and remote servers.
 */
export async function ensurePackage(
  deps: { installers: (kind: PackageKind) => Promise<PackageInstaller>; images: ImageStore },
  config: RunConfig,
  progress: ProgressListener,
  signal: AbortSignal,
): Promise<InstalledPackage | undefined> {
  const source = sourceOf(config)
  if ('command' in source || 'remote' in source) return undefined
  if ('image' in source) {
    await deps.images.pull(source.image, progress, signal)
    return undefined
  }
  const installer = await deps.installers(source.package.kind)
  return await installer.install(source.package, progress, signal)
}
