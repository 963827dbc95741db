import { assertGroupName, defaultGroup } from '../domain/group.ts'
import {
  isPackageArgument,
  localPathOf,
  packageKinds,
  packageWorkloadName,
  parsePackageSource,
  type PackageKind,
  type ResolvedPackage,
} from '../domain/package-source.ts'
import type { Confinement } from '../domain/confinement.ts'
import { builtInProfile, defaultProfileName } from '../domain/permission-profile.ts'
import { assertHost, listenHost } from '../domain/host.ts'
import { imageWorkloadName, parseImageReference } from '../domain/image-reference.ts'
import { parseRemoteUrl, remoteWorkloadName, type RemoteTarget } from '../domain/remote-url.ts'
import {
  isEndpointPrefix,
  isRemote,
  runConfigSchemaVersion,
  type LocalCommand,
  type RunConfig,
  type RunConfigExtension,
} from '../domain/run-config.ts'
import { assertOrigin } from '../domain/origin.ts'
import { formatSecretParameter, parseServerSecret } from '../domain/secret-name.ts'
import { parseSessionTtl } from '../domain/session-ttl.ts'
import { parseToolFilter, parseToolOverrides } from '../domain/tool-rules.ts'
import { effectiveProxyMode } from '../domain/transport-type.ts'
import { assertWorkloadName, sanitizeWorkloadName } from '../domain/workload-name.ts'
import { isThvError, ThvError } from '../errors.ts'
import type { CommandResolver } from '../ports/command-resolver.ts'
import type { GroupStore, RunConfigStore } from '../ports/state-store.ts'
import type { ImageStore } from '../ports/image-store.ts'
import type { PackageInstaller, ProgressListener } from '../ports/package-installer.ts'
import type { PortAllocator } from '../ports/port-allocator.ts'
import { addRemote } from './add-remote.ts'
import { addSource } from './add-source.ts'
import { chooseRuntime } from './choose-runtime.ts'
import type { UserSecrets } from './manage-secrets.ts'
import type { RunRequest } from './run-request.ts'
import { requireSecrets } from './workload-secrets.ts'

/** What {@link buildRunConfig} needs of the outside. */
export interface BuildRunConfigDeps {
  installers: (kind: PackageKind) => Promise<PackageInstaller>
  ports: PortAllocator
  groups: GroupStore
  commands: CommandResolver
  planConfinement: PlanConfinement
  images: ImageStore
  userSecrets: UserSecrets
}

/** What a config says about confinement, with its files looked up; throws what forbids a start. */
export type PlanConfinement = (config: RunConfig) => Promise<Confinement>

/**
 * Turns a request into a complete run config: name and group checked, package
 * resolved to one version and installed, ports chosen. Nothing is saved.
 */
export async function buildRunConfig(
  deps: BuildRunConfigDeps,
  request: RunRequest,
  progress: ProgressListener,
  signal: AbortSignal,
): Promise<RunConfig> {
  const group = request.group ?? defaultGroup
  await requireGroup(deps.groups, group)
  const name = request.name ?? defaultName(request)
  assertWorkloadName(name)
  assertNoNul(request)
  const transport = request.transport ?? (request.remote === undefined ? 'stdio' : 'streamable-http')
  const host = request.host ?? '127.0.0.1'
  assertHost(host)
  const port = await choosePort(deps.ports, request.proxyPort, host)
  const config: RunConfig = {
    schema_version: runConfigSchemaVersion,
    image: '',
    cmd_args: request.args,
    name,
    base_name: name,
    transport,
    host,
    port,
    permission_profile: null,
    group,
  }
  addOptional(config, request)
  addPermissions(config, request)
  if (request.remote !== undefined) {
    config.thv = { runtime: 'remote', ...extensionOf(request) }
    addRemote(config, request, request.remote)
    await requireSecrets(deps.userSecrets, config, signal)
    return config
  }
  config.thv = { runtime: await chooseRuntime(deps.images, request, progress, signal), ...extensionOf(request) }
  if (transport !== 'stdio') {
    config.target_host = request.targetHost ?? '127.0.0.1'
    if (request.targetPort !== undefined) config.target_port = request.targetPort
    await chooseTargetPort(deps.ports, config)
  }
  // Before a package is installed or an image pulled: what contradicts itself is told at once.
  await deps.planConfinement(config)
  await requireSecrets(deps.userSecrets, config, signal)
  await addSource({ deps, config, request, progress }, signal)
  return config
}

/** Throws `group-not-found` unless the group exists; the default group always does. */
export async function requireGroup(groups: GroupStore, name: string): Promise<void> {
  assertGroupName(name)
  if (name === defaultGroup || (await groups.load(name)) !== undefined) return
  throw new ThvError('group-not-found', `group '${name}' does not exist`, {
    hint: 'leave --group out for the default group',
  })
}

/** A free port: the one asked for, or any. `port-in-use` when the one asked for is taken. */
async function choosePort(ports: PortAllocator, wanted: number | undefined, host: string): Promise<number> {
  if (wanted === undefined || wanted === 0) return await ports.findFree(host)
  if (await ports.isFree(wanted, host)) return wanted
  throw new ThvError('port-in-use', `requested proxy port ${wanted} is not available`, {
    hint: 'leave --proxy-port out for any free port, or stop what listens there',
  })
}

/** The server's own port, for one that speaks HTTP: the one given, if it is free, or any. */
export async function chooseTargetPort(ports: PortAllocator, config: RunConfig): Promise<void> {
  if (config.transport === 'stdio' || isRemote(config)) return
  const host = targetHostOf(config)
  assertHost(host)
  if (config.target_port === undefined || config.target_port === 0) config.target_port = await ports.findFree(host)
  else await requireTargetPort(ports, config)
}

/**
 * Throws `port-in-use` when something listens where the server is to listen: whoever that
 * is would answer in the server's place.
 */
export async function requireTargetPort(ports: PortAllocator, config: RunConfig): Promise<void> {
  const port = config.target_port ?? 0
  // The port of a container is its own; the engine picks the one on this machine. A remote server has none here.
  if (config.thv?.runtime === 'container' || isRemote(config)) return
  if (config.transport === 'stdio' || port === 0 || (await ports.isFree(port, targetHostOf(config)))) return
  throw new ThvError('port-in-use', `the target port ${port} of '${config.name}' is taken by another program`, {
    hint: `find it with 'ss -ltnp sport = :${port}', or run the workload again with another --target-port`,
  })
}

function targetHostOf(config: RunConfig): string {
  return listenHost(config.target_host ?? '')
}

/** No argument and no variable of a process can hold a NUL byte. */
function assertNoNul(request: RunRequest): void {
  if (![...request.args, ...Object.entries(request.environment).flat()].some((text) => text.includes('\0'))) return
  throw new ThvError('invalid-argument', 'an argument or a variable of the server has a NUL byte', {
    hint: 'leave it out: no program can be given one',
  })
}

/** The workload name chosen when the user gave none: spec/local 2.5. */
export function defaultName(request: RunRequest): string {
  if (request.remote !== undefined) return remoteWorkloadName(request.remote.url)
  const path = request.source === undefined ? undefined : localPathOf(request.source)
  if (path !== undefined) return sanitizeWorkloadName(path.split('/').findLast((part) => part !== '') ?? '')
  if (request.source !== undefined) return packageWorkloadName(parsePackageSource(request.source))
  if (request.image !== undefined) return imageWorkloadName(parseImageReference(request.image))
  const command = request.args[0] ?? ''
  const base = command.split(/[/\\]/).at(-1) ?? ''
  return sanitizeWorkloadName(base.replace(/\.[a-z]+$/i, ''))
}

function addOptional(config: RunConfig, request: RunRequest): void {
  if (request.proxyMode !== undefined && config.transport !== 'stdio') {
    throw new ThvError('invalid-flag-combination', `a proxy mode has no meaning for a ${config.transport} server`, {
      hint: 'leave --proxy-mode out: what the server speaks is passed through',
    })
  }
  if (request.sharedServer === true && config.transport !== 'stdio') {
    throw new ThvError('invalid-flag-combination', `a ${config.transport} server is always one process`, {
      hint: 'leave --shared-server out: it is for stdio servers',
    })
  }
  if (request.proxyMode !== undefined) config.proxy_mode = request.proxyMode
  else if (config.transport === 'stdio') config.proxy_mode = 'streamable-http'
  if (request.allowedOrigins !== undefined && request.allowedOrigins.length > 0) {
    for (const origin of request.allowedOrigins) assertOrigin(origin)
    config.allowed_origins = request.allowedOrigins
  }
  addFront(config, request)
  addSessions(config, request)
  addChain(config, request)
  if (Object.keys(request.environment).length > 0) config.env_vars = request.environment
  if (request.secrets !== undefined && request.secrets.length > 0) {
    config.secrets = request.secrets.map((text) => formatSecretParameter(parseServerSecret(text)))
  }
  if (Object.keys(request.labels).length > 0) config.container_labels = request.labels
  if (request.debug === true) config.debug = true
}

/** What the chain of the proxy does, under ToolHive's keys: a ToolHive builds the same chain from them. */
function addChain(config: RunConfig, request: RunRequest): void {
  const filter = parseToolFilter(request.toolsFilter, 'the tool filter')
  const overrides = parseToolOverrides(request.toolsOverride, 'the tool override')
  if (filter.length > 0) config.tools_filter = filter
  if (Object.keys(overrides).length > 0) config.tools_override = overrides
  if (request.metrics === true) config['telemetry_config'] = { enablePrometheusMetricsPath: true }
}

/** In ToolHive's keys. */
function addPermissions(config: RunConfig, request: RunRequest): void {
  const { permissionProfile: given, network: mode } = request
  if (given?.nameOrPath !== undefined) config.permission_profile_name_or_path = given.nameOrPath
  if (given !== undefined || mode !== undefined) {
    const profile = given?.profile ?? builtInProfile(defaultProfileName)
    const network = mode === undefined ? profile?.network : { ...profile?.network, mode }
    config.permission_profile = network === undefined ? profile : { ...profile, network }
  }
  if (request.volumes !== undefined && request.volumes.length > 0) config.volumes = request.volumes
  if (request.isolateNetwork !== undefined) config.isolate_network = request.isolateNetwork
  if (request.allowDockerGateway === true) config.allow_docker_gateway = true
  const { ignoreGlobally = true, printOverlays = false } = request
  if (ignoreGlobally && !printOverlays) return
  config.ignore_config = { LoadGlobal: ignoreGlobally, PrintOverlays: printOverlays }
}

/** How the proxy is reached from beyond another proxy. */
function addFront(config: RunConfig, request: RunRequest): void {
  if (request.trustProxyHeaders === true) config.trust_proxy_headers = true
  const prefix = request.endpointPrefix
  if (prefix === undefined || prefix === '') return
  if (!isEndpointPrefix(prefix)) {
    throw new ThvError('invalid-argument', `the endpoint prefix '${prefix}' is not a path`, {
      hint: "begin it with '/', as in --endpoint-prefix /team/notes",
    })
  }
  if (effectiveProxyMode(config.transport, config.proxy_mode) !== 'sse') {
    throw new ThvError('invalid-flag-combination', 'an endpoint prefix has no meaning without SSE clients', {
      hint: 'leave it out, or add --transport sse or --proxy-mode sse',
    })
  }
  config.endpoint_prefix = prefix
}

/** What thv records beside ToolHive's keys. */
function extensionOf(request: RunRequest): Omit<RunConfigExtension, 'runtime'> {
  return {
    ...(request.sharedServer === true ? { lanes: 'shared' } : {}),
    ...(request.era === undefined ? {} : { era: request.era }),
    ...(request.isolation === undefined ? {} : { isolation: request.isolation }),
  }
}

/** What clients get of sessions and versions. */
function addSessions(config: RunConfig, request: RunRequest): void {
  if (request.strictProtocolValidation === true) config.strict_protocol_validation = true
  const { sessionTtl } = request
  const hasTtl = sessionTtl !== undefined && parseSessionTtl(sessionTtl) !== undefined
  if (hasTtl) config.session_ttl = sessionTtl
  if (request.stateless !== true) return
  if (hasTtl) {
    throw new ThvError('invalid-flag-combination', 'a stateless proxy has no sessions that could have a lifetime', {
      hint: 'leave --session-ttl out, or --stateless',
    })
  }
  if (effectiveProxyMode(config.transport, config.proxy_mode) === 'sse') {
    throw new ThvError('invalid-flag-combination', 'SSE clients cannot be served without sessions', {
      hint: 'leave --stateless out, or serve Streamable HTTP',
    })
  }
  config.stateless = true
}

/** Where a saved config's server comes from. `runtime-unsupported` for an image that another program runs. */
export function sourceOf(
  config: RunConfig,
): { package: ResolvedPackage } | { command: LocalCommand } | { image: string } | { remote: RemoteTarget } {
  const extension = config.thv
  if (isRemote(config)) return { remote: parseRemoteUrl(config.remote_url) }
  if (extension?.runtime === 'container' && config.image !== '') return { image: config.image }
  if (extension?.command !== undefined) return { command: extension.command }
  if (extension?.package !== undefined) return { package: extension.package }
  if (isPackageArgument(config.image)) return { package: parseExactPackage(config) }
  const schemes = packageKinds.map((kind) => `${kind}://`).join(', ')
  throw new ThvError(
    'runtime-unsupported',
    `'${config.name}' runs image '${config.image}', which this version of thv cannot start`,
    { hint: `run a package (${schemes}) or a local command instead` },
  )
}

/**
 * Throws `runtime-unsupported` for a workload whose server another program runs: to say it
 * was stopped or removed while its container runs on would be a lie. A config that is
 * missing or unreadable hinders nothing.
 */
export async function assertRunsHere(configs: RunConfigStore, name: string, verb: 'stop' | 'remove'): Promise<void> {
  let config: RunConfig | undefined
  try {
    config = await configs.load(name)
    if (config !== undefined) sourceOf(config)
  } catch (error) {
    if (config === undefined || !isThvError(error) || error.code !== 'runtime-unsupported') return
    // A config that names nothing to run is nobody's.
    if (config.image === '') return
    throw new ThvError('runtime-unsupported', `'${name}' runs image '${config.image}', which this thv does not run`, {
      hint: `${verb} it with the program that runs it`,
    })
  }
}

/** ToolHive keeps the image when it saves a config again, and drops what it does not know. */
function parseExactPackage(config: RunConfig): ResolvedPackage {
  const { kind, name, version } = parsePackageSource(config.image)
  if (version !== undefined) return { kind, name, version }
  throw new ThvError('invalid-run-config', `the image '${config.image}' of '${config.name}' names no version`, {
    hint: `write ${config.image}@1.2.3, or run the package without --from-config`,
  })
}
