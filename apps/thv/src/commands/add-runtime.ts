import {
  packageKinds,
  parseImageReference,
  runtimeWishes,
  ThvError,
  type PackageKind,
  type RunRequest,
  type RuntimeConfig,
  type RuntimeWish,
} from '@thv/core'
import type { CommandContext, CommandInput } from '../command.ts'
import { listOption, textOption } from '../options.ts'
import { readCertificate } from './read-certificate.ts'

/**
 * Adds to a request where its server runs and how an image for it is built: flags first, then, for
 * packages, `THV_RUNTIME` and the user's `config.yaml`. Throws `image-denied`, `invalid-argument`, `config-invalid`.
 */
export async function addRuntime(context: CommandContext, request: RunRequest, input: CommandInput): Promise<void> {
  const wish = runtimeWishes.find((known) => known === textOption(input, 'runtime'))
  if (wish !== undefined) request.runtime = wish
  const runtimeConfig = runtimeConfigOf(input)
  if (Object.keys(runtimeConfig).length > 0) request.runtimeConfig = runtimeConfig
  const certificate = textOption(input, 'caCert')
  if (certificate !== undefined)
    request.caCertificate = await readCertificate(context.container.files, certificate, context.signal)
  // Images and local commands leave no choice.
  if (request.source !== undefined) await addDefaults(context, request, request.source)
  assertVerifiable(request, textOption(input, 'imageVerification'))
}

function runtimeConfigOf(input: CommandInput): RuntimeConfig {
  const image = textOption(input, 'runtimeImage')
  const packages = listOption(input, 'runtimeAddPackage')
  const constraints = listOption(input, 'buildWith')
  return {
    ...(image === undefined ? {} : { builder_image: image }),
    ...(packages.length === 0 ? {} : { additional_packages: packages }),
    ...(constraints.length === 0 ? {} : { build_with: constraints }),
  }
}

/** What vouches for an image stands in the registry, which this version does not read. */
function assertVerifiable({ image, source, runtime }: RunRequest, mode: string | undefined): void {
  if (mode !== 'enabled') return
  // A package may become an image, whose base nobody has checked either.
  const what = image ?? (runtime === 'process' ? undefined : source)
  if (what === undefined) return
  const hint =
    image === undefined
      ? ', or add --runtime process'
      : `, or pin it by digest: ${parseImageReference(image).repository}@sha256:…`
  throw new ThvError(
    'image-denied',
    `'${what}' is refused: this version of thv cannot check the signature of any image`,
    {
      hint: `leave --image-verification out to run it unchecked${hint}`,
    },
  )
}

async function addDefaults(context: CommandContext, request: RunRequest, source: string): Promise<void> {
  const { container, output } = context
  const settings = await container.settings()
  if (request.runtime === undefined) {
    const wish = runtimeVariable(container.environment['THV_RUNTIME']) ?? settings.runtime
    if (wish !== undefined) request.runtime = wish
  }
  // For what runs as a process nothing is built.
  if (request.runtime === 'process') return
  for (const key of settings.unsupported) {
    output.note(`warning: '${key}' of config.yaml cannot be used yet: images are built without it`)
  }
  const { caCertificatePath: path } = settings
  request.buildDefaults = {
    runtimeConfig: settings.runtimeConfigs[kindOf(source)] ?? {},
    environment: settings.buildEnvironment,
    ...(path === undefined ? {} : { caCertificate: await readCertificate(container.files, path, context.signal) }),
  }
}

function runtimeVariable(text: string | undefined): RuntimeWish | undefined {
  if (text === undefined || text === '') return undefined
  const wish = runtimeWishes.find((known) => known === text)
  if (wish !== undefined) return wish
  throw new ThvError('invalid-argument', `THV_RUNTIME is '${text}', which is no runtime`, {
    hint: `set it to ${runtimeWishes.join(', ')}, or unset it`,
  })
}

function kindOf(source: string): PackageKind {
  return packageKinds.find((kind) => source.startsWith(`${kind}://`)) ?? 'npx'
}
