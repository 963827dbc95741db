import { parseImageReference } from '../domain/image-reference.ts'
import {
  formatPackage,
  localPathOf,
  parsePackageSource,
  type PackageKind,
  type PackageSource,
} from '../domain/package-source.ts'
import type { RunConfig } from '../domain/run-config.ts'
import { mergeRuntimeConfig } from '../domain/runtime-config.ts'
import { ThvError } from '../errors.ts'
import type { CommandResolver } from '../ports/command-resolver.ts'
import type { ImageBuild, ImageStore } from '../ports/image-store.ts'
import type { PackageInstaller, ProgressListener } from '../ports/package-installer.ts'
import type { RunRequest } from './run-request.ts'

/** What {@link addSource} fills a config from. */
export interface SourceContext {
  deps: {
    installers: (kind: PackageKind) => Promise<PackageInstaller>
    commands: CommandResolver
    images: ImageStore
  }
  /** Its `thv.runtime` is decided. */
  config: RunConfig
  request: RunRequest
  progress: ProgressListener
}

/** Makes what is to run be there, pulled, built, installed or found, and writes down in the config what it is. */
export async function addSource(context: SourceContext, signal: AbortSignal): Promise<void> {
  const { deps, config, request, progress } = context
  if (request.image !== undefined) {
    parseImageReference(request.image)
    await deps.images.pull(request.image, progress, signal)
    config.image = request.image
  } else if (request.source === undefined) await addCommand(context)
  else if (config.thv?.runtime === 'container') await addBuild(context, request.source, signal)
  else await addPackage(context, parsePackageSource(request.source), signal)
}

async function addCommand({ deps, config, request }: SourceContext): Promise<void> {
  const [typed, ...args] = request.args
  if (typed === undefined || typed === '') {
    throw new ThvError('invalid-argument', 'nothing to run: no package, no image and no command is given', {
      hint: "write 'thv run npx://package' or 'thv run --name notes -- node server.js'",
    })
  }
  const command = await deps.commands.resolve(typed)
  config.cmd_args = args
  config.thv = { runtime: 'process', ...config.thv, command }
}

async function addBuild(
  { deps, config, request, progress }: SourceContext,
  source: string,
  signal: AbortSignal,
): Promise<void> {
  const { buildDefaults: defaults } = request
  const merged = mergeRuntimeConfig(defaults?.runtimeConfig ?? {}, request.runtimeConfig ?? {})
  const caCertificate = request.caCertificate ?? defaults?.caCertificate
  config.image = await deps.images.build(
    {
      ...namesOf(source),
      ...(merged.builder_image === undefined ? {} : { builderImage: merged.builder_image }),
      ...(merged.additional_packages === undefined ? {} : { additionalPackages: merged.additional_packages }),
      ...(merged.build_with === undefined ? {} : { buildWith: merged.build_with }),
      ...(merged.runtime_env === undefined ? {} : { runtimeEnvironment: merged.runtime_env }),
      ...(defaults === undefined ? {} : { buildEnvironment: defaults.environment }),
      ...(caCertificate === undefined ? {} : { caCertificate }),
    },
    progress,
    signal,
  )
  if (Object.keys(merged).length > 0) config.runtime_config = merged
}

function namesOf(source: string): Pick<ImageBuild, 'kind' | 'name' | 'version' | 'localPath'> {
  const localPath = localPathOf(source)
  if (localPath !== undefined) return { kind: 'go', name: localPath, localPath }
  const { kind, name, version } = parsePackageSource(source)
  return { kind, name, ...(version === undefined ? {} : { version }) }
}

async function addPackage(
  { deps, config, progress }: SourceContext,
  source: PackageSource,
  signal: AbortSignal,
): Promise<void> {
  const installer = await deps.installers(source.kind)
  progress(`resolving ${formatPackage(source)}`)
  const resolved = await installer.resolve(source, signal)
  const installed = await installer.install(resolved, progress, signal)
  config.image = formatPackage(resolved)
  // Some checksums are known only to whoever installed.
  config.thv = { runtime: 'process', ...config.thv, package: installed.resolved }
}
