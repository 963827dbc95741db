import { execFile } from 'node:child_process'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { containerLimits } from './container-limits.ts'
import { isRecord, recordIn, textIn, type JsonObject } from './read-json.ts'

/** Where Docker's config is. */
export interface DockerConfigPlace {
  /** `DOCKER_CONFIG` counts, and what a credential helper needs. */
  environment: Readonly<Record<string, string | undefined>>
  home: string
}

/**
 * The credentials of a registry from Docker's config, as the engine's API takes them
 * (see {@link encodeAuth}): the registry's own helper, then what stands in the config, then
 * the helper for all. Without any it is the anonymous user. A config or helper that fails
 * counts as none: the registry then says what it wants.
 */
export async function registryAuth(
  place: DockerConfigPlace,
  registry: string,
  signal: AbortSignal,
): Promise<JsonObject> {
  const config = await readConfig(place)
  const own = textIn(config['credHelpers'], hostOf(registry))
  const stored = recordIn(recordIn(config, 'auths'), registry)
  const found =
    (own === undefined ? undefined : await askHelper(own, registry, place, signal)) ??
    storedIn(stored) ??
    (await askHelperForAll(config, registry, place, signal)) ??
    {}
  return { ...found, serveraddress: registry }
}

/** Credentials as a header. The engine insists on padding, which Node's `base64url` leaves out. */
export function encodeAuth(credentials: JsonObject): string {
  return Buffer.from(JSON.stringify(credentials)).toString('base64').replaceAll('+', '-').replaceAll('/', '_')
}

async function readConfig({ environment, home }: DockerConfigPlace): Promise<JsonObject> {
  const directory = environment['DOCKER_CONFIG'] ?? ''
  const path = join(directory === '' ? join(home, '.docker') : directory, 'config.json')
  try {
    const about = await stat(path)
    if (!about.isFile() || about.size > containerLimits.dockerConfigBytes) return {}
    const parsed: unknown = JSON.parse(await readFile(path, 'utf8'))
    return isRecord(parsed) ? parsed : {}
  } catch {
    return {}
  }
}

function storedIn(entry: JsonObject): JsonObject | undefined {
  const token = textIn(entry, 'identitytoken') ?? ''
  if (token !== '') return { identitytoken: token }
  const pair = Buffer.from(textIn(entry, 'auth') ?? '', 'base64').toString('utf8')
  const colon = pair.indexOf(':')
  return colon > 0 ? { username: pair.slice(0, colon), password: pair.slice(colon + 1) } : undefined
}

async function askHelperForAll(
  config: JsonObject,
  registry: string,
  place: DockerConfigPlace,
  signal: AbortSignal,
): Promise<JsonObject | undefined> {
  const helper = textIn(config, 'credsStore')
  return helper === undefined ? undefined : await askHelper(helper, registry, place, signal)
}

async function askHelper(
  helper: string,
  registry: string,
  { environment }: DockerConfigPlace,
  signal: AbortSignal,
): Promise<JsonObject | undefined> {
  // A name, never a path: the config must not choose any program of this machine.
  if (!/^[\w.-]+$/.test(helper)) return undefined
  const said = await new Promise<string>((resolve) => {
    const options = {
      env: { ...environment },
      timeout: containerLimits.credentialMs,
      maxBuffer: containerLimits.credentialBytes,
      // A helper that is deaf to SIGTERM would be waited for without end.
      killSignal: 'SIGKILL',
      signal,
    } as const
    const child = execFile(`docker-credential-${helper}`, ['get'], options, (error, stdout) => {
      resolve(error === null ? stdout : '')
    })
    child.stdin?.on('error', () => {})
    child.stdin?.end(registry)
  })
  signal.throwIfAborted()
  return credentialsIn(said)
}

function credentialsIn(said: string): JsonObject | undefined {
  let parsed: unknown
  try {
    parsed = JSON.parse(said)
  } catch {
    return undefined
  }
  const username = textIn(parsed, 'Username')
  const password = textIn(parsed, 'Secret')
  if (username === undefined || password === undefined) return undefined
  return username === '<token>' ? { identitytoken: password } : { username, password }
}

function hostOf(registry: string): string {
  return registry.replace(/^https?:\/\//, '').replace(/\/.*$/, '')
}
