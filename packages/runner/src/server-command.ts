import {
  sourceOf,
  ensurePackage,
  listenHost,
  resolveServerSecrets,
  ThvError,
  userLabels,
  type Confinement,
  type DeploySpec,
  type ImageStore,
  type PackageInstaller,
  type PackageKind,
  type PlanConfinement,
  type RunConfig,
  type UserSecrets,
} from '@thv/core'

/** What the runner must know of this machine to start a server. */
export interface ServerCommandDeps {
  installers: (kind: PackageKind) => Promise<PackageInstaller>
  images: ImageStore
  /** Builds the whole environment of a server from what its config adds. */
  buildEnvironment: (extra: Record<string, string>, searchPath: string | undefined) => Record<string, string>
  /** Working directory of servers that come from a package. */
  packageDirectory: string
  planConfinement: PlanConfinement
  userSecrets: UserSecrets
}

/** Everything of a {@link DeploySpec} that follows from the run config. */
export type ServerCommand = Omit<DeploySpec, 'onOutput'>

/** Resolves what to execute: the cached package (installed again if it was pruned) or the local command, and its secrets. */
export async function buildServerCommand(
  deps: ServerCommandDeps,
  config: RunConfig,
  signal: AbortSignal,
): Promise<ServerCommand> {
  const args = config.cmd_args ?? []
  const source = sourceOf(config)
  if ('remote' in source) throw new ThvError('internal', 'a remote server has no command')
  const confinement = await deps.planConfinement(config)
  const secrets = await resolveServerSecrets(deps.userSecrets, config, signal)
  const told = (listening: RunConfig): Record<string, string> => ({ ...serverEnvironment(listening), ...secrets })
  const common = { name: config.name, transport: config.transport, ...listenOf(config) }
  if ('command' in source) {
    const { executable, workingDirectory, searchPath } = source.command
    return {
      ...common,
      confinement,
      command: [executable, ...args],
      workingDirectory,
      environment: deps.buildEnvironment(told(config), searchPath),
    }
  }
  if ('image' in source) {
    return {
      ...common,
      confinement,
      command: args,
      workingDirectory: '',
      // A server that listens on the loopback address of its container is reached by nobody.
      environment: told({ ...config, target_host: '0.0.0.0' }),
      image: { reference: source.image, labels: containerLabels(config, confinement), ...targetPortOf(config) },
    }
  }
  const installed = await ensurePackage(deps, config, () => {}, signal)
  const [executable, ...leading] = installed?.command ?? ['']
  return {
    ...common,
    confinement: { ...confinement, programPaths: installed === undefined ? [] : [installed.directory] },
    command: [executable, ...leading, ...args],
    workingDirectory: deps.packageDirectory,
    environment: deps.buildEnvironment({ ...installed?.environment, ...told(config) }, undefined),
  }
}

function listenOf(config: RunConfig): Pick<DeploySpec, 'listen'> {
  if (config.transport === 'stdio') return {}
  return { listen: { host: listenHost(config.target_host ?? ''), port: config.target_port ?? 0 } }
}

/**
 * What a server learns about its transport: spec/local 3.4. `PORT` is added because
 * most Node servers read nothing else. What the user set wins.
 */
export function serverEnvironment(config: RunConfig): Record<string, string> {
  const told: Record<string, string> = { MCP_TRANSPORT: config.transport }
  if (config.transport !== 'stdio') {
    const port = String(config.target_port ?? 0)
    Object.assign(told, {
      MCP_PORT: port,
      FASTMCP_PORT: port,
      PORT: port,
      MCP_HOST: config.target_host ?? '127.0.0.1',
    })
  }
  return { ...told, ...config.env_vars }
}

function targetPortOf(config: RunConfig): { targetPort?: number } {
  return config.transport === 'stdio' ? {} : { targetPort: config.target_port ?? 0 }
}

/** What the user gave, and what other tools look for: spec/local 2.6. */
function containerLabels(config: RunConfig, { network }: Confinement): Record<string, string> {
  return {
    ...userLabels(config),
    'toolhive-basename': config.base_name ?? config.name,
    'toolhive-transport': config.transport,
    'toolhive-port': String(config.port),
    // Absence means true.
    'toolhive-network-isolation': String(network.kind === 'filtered'),
  }
}
