import { parseImageReference, runtimeWishes, ThvError, type RunRequest, type RuntimeConfig } from '@thv/core'
import type { CommandContext, CommandInput } from '../command.ts'
import { listOption, textOption } from '../options.ts'
import { addRunDefaults } from '../run-defaults.ts'
import { readCertificate } from '../read-certificate.ts'

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
  const { container, output, signal } = context
  await addRunDefaults(container, { request, note: (line) => output.note(line) }, signal)
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
