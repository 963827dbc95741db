import { messageOf, ThvError } from '../errors.ts'
import { isolationWishes, type IsolationWish } from './confinement.ts'
import { formatPackage, packageKinds, parsePackageSource, type ResolvedPackage } from './package-source.ts'
import type { RemoteAuthConfig } from './remote-auth.ts'
import { remoteKeyProblem } from './remote-keys.ts'
import { secretKeyProblem } from './secret-keys.ts'
import { parseSessionTtl } from './session-ttl.ts'
import { parseRuntimeConfig, type RuntimeConfig } from './runtime-config.ts'
import type { ToolOverride } from './tool-rules.ts'
import { isProxyMode, isTransportType, type ProxyMode, type TransportType } from './transport-type.ts'
import { assertWorkloadName } from './workload-name.ts'
import { isRecord } from './is-record.ts'

/** The only schema version there is: spec/local 2.8. */
export const runConfigSchemaVersion = 'v0.1.0'

/**
 * One workload as saved on disk, exported, and given to `--from-config`
 * (`runconfigs/<base_name>.json`). The keys are ToolHive's; what thv adds stands
 * under `thv`, which ToolHive ignores. Keys that this version does not know are kept
 * when a file is saved again.
 */
export interface RunConfig {
  schema_version: string
  /** Resolved image or package (`npx://name@1.2.3`); empty for a local command. */
  image: string
  name: string
  base_name?: string
  container_name?: string
  /** Arguments for the server (after `--`). */
  cmd_args?: string[]
  transport: TransportType
  /** Bind address of the proxy; default 127.0.0.1. */
  host: string
  /** Port of the proxy, kept over restarts. */
  port: number
  target_port?: number
  target_host?: string
  allowed_origins?: string[]
  /** Whether `X-Forwarded-*` headers of a proxy in front are believed; default false. */
  trust_proxy_headers?: boolean
  /** Path in front of the endpoints that SSE clients are told; `/…`, default none. */
  endpoint_prefix?: string
  /** No client gets a session; default false. */
  stateless?: boolean
  /** Lifetime of an unused session, as Go writes durations; default `0`, which is 2 h. */
  session_ttl?: string
  /** Whether a request with a version header that is not in the list of versions is refused; default false. */
  strict_protocol_validation?: boolean
  /** A profile object as in a profile file, or null. */
  permission_profile: unknown
  /** A built-in profile or the path of a profile file; `permission_profile` is what it held. */
  permission_profile_name_or_path?: string
  /** `host:container[:ro]`, with absolute paths. */
  volumes?: string[]
  /** Whether only the profile's hosts can be reached; undefined: where a sandbox can do it. */
  isolate_network?: boolean
  /** Whether a filtered network also leads to this machine, as `host.docker.internal`; default false. */
  allow_docker_gateway?: boolean
  /** ToolHive writes these keys without lowering them. */
  ignore_config?: { LoadGlobal?: boolean; PrintOverlays?: boolean }
  env_vars?: Record<string, string>
  debug?: boolean
  /** The URL of a remote server; nothing is started then. */
  remote_url?: string
  /** The login at a remote server. */
  remote_auth_config?: RemoteAuthConfig
  /** What is added to every request to a remote server. */
  header_forward?: {
    add_plaintext_headers?: Record<string, string>
    /** Header to name of a secret. */
    add_headers_from_secret?: Record<string, string>
    [key: string]: unknown
  }
  /** Variables of the server from secrets: `NAME,target=VARIABLE`. */
  secrets?: string[]
  /** Path of a PEM file: the authorities whose certificates a remote server may have. */
  thv_ca_bundle?: string
  container_labels?: Record<string, string>
  proxy_mode?: ProxyMode
  group?: string
  /** Tools that clients see, by the names they see; default all. */
  tools_filter?: string[]
  /** Other names and descriptions, by the server's name of the tool. */
  tools_override?: Record<string, ToolOverride>
  /** How the image was built, for whoever builds it again. */
  runtime_config?: RuntimeConfig
  thv?: RunConfigExtension
  [unknownKey: string]: unknown
}

/** What a user asks for: a container, a process, or whatever suits. */
export const runtimeWishes = ['auto', 'container', 'process'] as const
export type RuntimeWish = (typeof runtimeWishes)[number]

/** What thv records beside ToolHive's keys. */
export interface RunConfigExtension {
  /** How the server runs; `container` needs an image in `image`, `remote` a `remote_url`. */
  runtime: 'process' | 'container' | 'remote'
  /** What a remote server speaks is found out; `transport` is then a guess for programs that read it. */
  detects_transport?: boolean
  /** The token for the remote server is the one in the environment of whoever starts it. */
  token_from_environment?: boolean
  /** Set when the server comes from a package index: what was resolved and is in the cache. */
  package?: ResolvedPackage
  /** Set for a local command. */
  command?: LocalCommand
  /**
   * `shared`: one server process for all clients; what the server asks clients is refused.
   * Default: a process of its own for each client that declares elicitation, sampling or roots.
   */
  lanes?: 'shared'
  /** Other maxima of the proxy, by the names of docs/limits.md. */
  limits?: Record<string, number>
  /**
   * How the server is spoken to: `legacy` (with `initialize`) or `modern` (2026-07-28, without).
   * Default: what it turns out to be.
   */
  era?: Era
  /** What the user asked for; default `auto`. What the server really has stands in the status. */
  isolation?: IsolationWish
}

/** One of {@link eras}. */
export type Era = (typeof eras)[number]

/** The families of protocol versions a server can be pinned to. */
export const eras = ['legacy', 'modern'] as const

/** A local command, resolved when the user ran it so that it means the same from any shell later. */
export interface LocalCommand {
  /** Absolute path of the executable. */
  executable: string
  /** What the user typed. */
  typed: string
  workingDirectory: string
  /** Search path of the user's shell at the time, because scripts call other programs. */
  searchPath: string
}

/**
 * Asserts the few fields a supervisor or a listing needs, without loading a
 * schema library. Throws `invalid-run-config`, or `run-config-newer` for a schema
 * version above ours.
 */
export function assertRunConfig(value: unknown, origin: string): asserts value is RunConfig {
  if (!isRecord(value)) throw invalid(origin, 'it is not a JSON object')
  assertSchemaVersion(value['schema_version'], origin)
  if (typeof value['name'] !== 'string') throw invalid(origin, "'name' is missing")
  assertWorkloadName(value['name'])
  if (!isTransportType(value['transport'])) throw invalid(origin, "'transport' is not stdio, sse or streamable-http")
  if (!isPort(value['port'])) throw invalid(origin, "'port' is not a port number")
  if (value['target_port'] !== undefined && !isPort(value['target_port'])) {
    throw invalid(origin, "'target_port' is not a port number")
  }
  if (value['proxy_mode'] !== undefined && value['proxy_mode'] !== '' && !isProxyMode(value['proxy_mode'])) {
    throw invalid(origin, "'proxy_mode' is not sse or streamable-http")
  }
  assertStrings(value, origin)
  assertNoNul(value, origin)
  assertExtension(value['thv'], origin)
  if (isRecord(value['runtime_config'])) parseRuntimeConfig(value['runtime_config'], `'runtime_config' of ${origin}`)
  assertFront(value, origin)
  const problem = secretKeyProblem(value) ?? remoteKeyProblem(value)
  if (problem !== undefined) throw invalid(origin, problem)
}

/** Whether the server of a config is at a URL. */
export function isRemote(config: RunConfig): config is RunConfig & { remote_url: string } {
  return config.remote_url !== undefined && config.remote_url !== ''
}

/** Whether a value is an {@link Era}. */
export function isEra(value: unknown): value is Era {
  return eras.some((era) => era === value)
}

/** Whether a text is a path that endpoints can begin with. */
export function isEndpointPrefix(text: string): boolean {
  return /^(?:\/[\w.~!$&'()*+,;=:@%-]+)+\/?$/.test(text)
}

function assertFront(value: Record<string, unknown>, origin: string): void {
  for (const key of ['allow_docker_gateway', 'trust_proxy_headers', 'stateless', 'strict_protocol_validation']) {
    if (value[key] !== undefined && typeof value[key] !== 'boolean') throw invalid(origin, `'${key}' is not a boolean`)
  }
  assertSessionTtl(value['session_ttl'], origin)
  const { endpoint_prefix: prefix } = value
  if (prefix === undefined || prefix === '') return
  if (typeof prefix !== 'string' || !isEndpointPrefix(prefix)) {
    throw invalid(origin, "'endpoint_prefix' is not a path that begins with '/'")
  }
}

function assertSessionTtl(value: unknown, origin: string): void {
  if (value === undefined) return
  if (typeof value !== 'string') throw invalid(origin, "'session_ttl' is not a string")
  try {
    parseSessionTtl(value)
  } catch (error) {
    throw invalid(origin, `'session_ttl': ${messageOf(error)}`)
  }
}

/** No argument and no variable of a process can hold a NUL byte. */
function assertNoNul(value: Record<string, unknown>, origin: string): void {
  for (const key of ['cmd_args', 'env_vars']) {
    const texts = Object.entries(value[key] ?? {}).flat()
    if (texts.some((text) => String(text).includes('\0'))) throw invalid(origin, `'${key}' has a NUL byte`)
  }
}

/** A supervisor trusts what stands here: it becomes a command line and an argument of a package manager. */
function assertExtension(value: unknown, origin: string): void {
  if (value === undefined) return
  if (!isRecord(value)) throw invalid(origin, "'thv' is not an object")
  if (!runtimes.some((known) => known === value['runtime'])) {
    throw invalid(origin, `'thv.runtime' is not one of ${runtimes.join(', ')}`)
  }
  for (const key of ['detects_transport', 'token_from_environment']) {
    if (value[key] !== undefined && typeof value[key] !== 'boolean')
      throw invalid(origin, `'thv.${key}' is not a boolean`)
  }
  if (value['lanes'] !== undefined && value['lanes'] !== 'shared') throw invalid(origin, "'thv.lanes' is not shared")
  assertLimits(value['limits'], origin)
  if (value['era'] !== undefined && !isEra(value['era'])) {
    throw invalid(origin, `'thv.era' is not one of ${eras.join(', ')}`)
  }
  const wish = value['isolation']
  if (wish !== undefined && !isolationWishes.some((known) => known === wish)) {
    throw invalid(origin, `'thv.isolation' is not one of ${isolationWishes.join(', ')}`)
  }
  if (value['package'] !== undefined) assertPackage(value['package'], origin)
  if (value['command'] !== undefined) assertCommand(value['command'], origin)
}

function assertLimits(value: unknown, origin: string): void {
  if (value === undefined) return
  if (!isRecord(value)) throw invalid(origin, "'thv.limits' is not an object")
  for (const [name, limit] of Object.entries(value)) {
    if (typeof limit !== 'number') throw invalid(origin, `'thv.limits.${name}' is not a number`)
  }
}

function assertPackage(value: unknown, origin: string): void {
  if (!isRecord(value)) throw invalid(origin, "'thv.package' is not an object")
  const { name, version, integrity } = value
  const kind = packageKinds.find((known) => known === value['kind'])
  if (kind === undefined) throw invalid(origin, `'thv.package.kind' is not one of ${packageKinds.join(', ')}`)
  if (typeof name !== 'string' || typeof version !== 'string') {
    throw invalid(origin, "'thv.package' lacks a name or a version")
  }
  if (integrity !== undefined && typeof integrity !== 'string') {
    throw invalid(origin, "'thv.package.integrity' is not a string")
  }
  let parsed: { name: string; version: string | undefined }
  try {
    parsed = parsePackageSource(formatPackage({ kind, name, version }))
  } catch (error) {
    throw invalid(origin, `'thv.package': ${messageOf(error)}`)
  }
  if (parsed.name !== name || parsed.version !== version) throw invalid(origin, "'thv.package' is no name and version")
}

const runtimes = ['process', 'container', 'remote'] as const

const commandFields = ['executable', 'typed', 'workingDirectory', 'searchPath']
const absolutePath = /^(?:\/|[a-z]:[\\/]|\\\\)/i

function assertCommand(value: unknown, origin: string): void {
  if (!isRecord(value)) throw invalid(origin, "'thv.command' is not an object")
  for (const field of commandFields) {
    const text = value[field]
    if (typeof text !== 'string') throw invalid(origin, `'thv.command.${field}' is not a string`)
    if (text.includes('\0')) throw invalid(origin, `'thv.command.${field}' has a NUL byte`)
    const isPath = field === 'executable' || field === 'workingDirectory'
    if (isPath && !absolutePath.test(text)) throw invalid(origin, `'thv.command.${field}' is not an absolute path`)
  }
}

function assertStrings(value: Record<string, unknown>, origin: string): void {
  for (const key of ['image', 'host', 'group', 'target_host', 'base_name', 'permission_profile_name_or_path']) {
    if (value[key] !== undefined && typeof value[key] !== 'string') throw invalid(origin, `'${key}' is not a string`)
  }
  for (const key of ['cmd_args', 'allowed_origins', 'tools_filter', 'volumes', 'secrets']) {
    const list = value[key]
    if (list === undefined || list === null) continue
    if (!Array.isArray(list) || list.some((entry) => typeof entry !== 'string')) {
      throw invalid(origin, `'${key}' is not a list of strings`)
    }
  }
  for (const key of ['env_vars', 'container_labels']) {
    const map = value[key]
    if (map === undefined || map === null) continue
    if (!isRecord(map) || Object.values(map).some((entry) => typeof entry !== 'string')) {
      throw invalid(origin, `'${key}' is not a map of strings`)
    }
  }
}

function assertSchemaVersion(version: unknown, origin: string): void {
  // Files written before the version existed carry none; they have today's shape.
  if (version === undefined || version === '' || version === runConfigSchemaVersion) return
  const parts = typeof version === 'string' ? /^v(\d+)\.(\d+)\.(\d+)$/.exec(version) : null
  if (parts === null) throw invalid(origin, `schema version ${JSON.stringify(version)} is not of the form v0.1.0`)
  const [major, minor] = [Number(parts[1]), Number(parts[2])]
  // Patch versions add optional keys only, and unknown keys are kept.
  if (major === 0 && minor <= 1) return
  throw new ThvError(
    'run-config-newer',
    `${origin} has schema version ${JSON.stringify(version)}, this thv reads up to ${runConfigSchemaVersion}`,
    {
      hint: 'update thv, or export the workload again with the older version',
    },
  )
}

function invalid(origin: string, why: string): ThvError {
  return new ThvError('invalid-run-config', `${origin} is not a run config: ${why}`, {
    hint: "compare it with the output of 'thv export'",
  })
}

function isPort(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 65535
}
