import { packageKinds, runtimeWishes, ThvError, type PackageKind, type RunRequest, type RuntimeWish } from '@thv/core'
import type { Container } from './container.ts'
import { readCertificate } from './read-certificate.ts'

/**
 * Adds what the user's settings say about packages to a request, whoever sends it: where they run (`THV_RUNTIME`, then
 * `config.yaml`), and how images for them are built. Images and local commands leave no choice. `note` is told of
 * settings that cannot be used yet. Throws `invalid-argument`, `config-invalid`.
 */
export async function addRunDefaults(
  container: Pick<Container, 'settings' | 'environment' | 'files'>,
  { request, note }: { request: RunRequest; note: (line: string) => void },
  signal: AbortSignal,
): Promise<void> {
  const { source } = request
  if (source === undefined) return
  const settings = await container.settings()
  if (request.runtime === undefined) {
    const wish = runtimeVariable(container.environment['THV_RUNTIME']) ?? settings.runtime
    if (wish !== undefined) request.runtime = wish
  }
  // For what runs as a process nothing is built.
  if (request.runtime === 'process') return
  for (const key of settings.unsupported) {
    note(`warning: '${key}' of config.yaml cannot be used yet: images are built without it`)
  }
  const { caCertificatePath: path } = settings
  request.buildDefaults = {
    runtimeConfig: settings.runtimeConfigs[kindOf(source)] ?? {},
    environment: settings.buildEnvironment,
    ...(path === undefined ? {} : { caCertificate: await readCertificate(container.files, path, signal) }),
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
