import type * as AdaptersModule from '@thv/adapters'
import type { SessionJournals, Settings } from '@thv/adapters'
import type {
  EvaluateServerDeps,
  GrantStore,
  GroupStore,
  LogFiles,
  LogInDeps,
  PackageCache,
  PackageInstaller,
  PackageKind,
  PlanConfinement,
  PortAllocator,
  ReadWorkloadDeps,
  RunConfigStore,
  RunWorkloadDeps,
  ServerRecordStore,
  SetUpSecretsDeps,
  StartServerDeps,
  StartWorkloadDeps,
  StatusWatch,
  StopServerDeps,
} from '@thv/core'
import { readFile, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { createEngineAccess, type EngineAccess } from './engine-access.ts'
import { homeDirectory } from './home-directory.ts'
import { createLoginAccess } from './login-access.ts'
import { prepareLogDirectory } from './prepare-log-directory.ts'
import { resolveCommand } from './resolve-command.ts'
import { selfCommand, supervisorCommand } from './self-command.ts'
import type { Supervision, SupervisionOptions } from './supervision.ts'
import { createUserFiles, type UserFiles } from './user-files.ts'
import { buildSecrets } from './secrets.ts'
import { withoutSecrets } from './without-secrets.ts'
import { writeUserFile } from './write-user-file.ts'

type Adapters = typeof AdaptersModule

/** The directories of this user: spec/local 0.1. */
export type Directories = ReturnType<Adapters['resolveDirectories']>

/** What finds an API server, and what announces one. */
export interface Discovery extends EvaluateServerDeps {
  records: ServerRecordStore
}

/** Hears what ignore files cannot do, and what they hide where that is to be said. */
export interface ConfinementListener {
  warn: (message: string) => void
  note: (message: string) => void
}

/**
 * The composition root: everything is built on first use, so that `list` never
 * loads what `run` needs. The only place that reads the process environment.
 */
export interface Container {
  readonly files: UserFiles
  readonly environment: Readonly<Record<string, string | undefined>>
  /** `TOOLHIVE_DEBUG` is on. */
  readonly debugWanted: boolean
  readonly runtimeFacts: { platform: string; node: string }
  adapters: () => Promise<Adapters>
  directories: () => Promise<Directories>
  reading: () => Promise<ReadWorkloadDeps>
  workloads: () => Promise<RunWorkloadDeps & StartWorkloadDeps>
  supervision: (name: string, options: SupervisionOptions) => Promise<Supervision>
  configs: () => Promise<RunConfigStore>
  groups: () => Promise<GroupStore>
  /** Secrets of the user, and the store that also holds what is thv's own. */
  secrets: () => Promise<SetUpSecretsDeps>
  logs: () => Promise<LogFiles>
  sessions: () => Promise<SessionJournals>
  statusWatch: () => Promise<StatusWatch>
  ports: () => Promise<PortAllocator>
  installer: (kind: PackageKind) => Promise<PackageInstaller>
  packageCache: () => Promise<PackageCache>
  /** The record of this user's API server, and what judges it. */
  discovery: () => Promise<Discovery>
  /** What starts an API server in the background, and what ends one. */
  serverControl: () => Promise<StartServerDeps & StopServerDeps>
  /** Reads what a run config says about confinement, and tells about ignore patterns. */
  confinementPlanner: (tell: ConfinementListener) => Promise<PlanConfinement>
  grants: () => Promise<GrantStore>
  /** What logs in to remote servers, and out. */
  login: () => Promise<LogInDeps>
  readonly engines: EngineAccess
  /** The user's `config.yaml`; `config-invalid` for one that cannot be used. */
  settings: () => Promise<Settings>
  /** A run config from outside with its keys as this version writes them. */
  normalizeRunConfig: (value: unknown) => Promise<unknown>
  /** Writes a file the user named, 0600, with its parent directories; atomically, unless it is a device or a pipe. */
  writeExport: (path: string, text: string) => Promise<void>
  /** Rejects with `cli-conflict` when ToolHive Desktop manages another thv. */
  checkDesktop: () => Promise<void>
}

/** Builds the container of this process. Opens nothing. */
export function createContainer(environment: Container['environment'] = process.env): Container {
  const adapters = once(async () => await import('@thv/adapters'))
  const directories = once(async () => {
    const { resolveDirectories } = await adapters()
    return resolveDirectories({ platform: process.platform, home: homeDirectory(), environment })
  })
  // What installers and other programs of the user are started with.
  const publicEnvironment = withoutSecrets(environment)
  const reading = once(async () => buildReading(await adapters(), await directories()))
  const { logs, groups, sessions, statusWatch } = createFileStores(adapters, directories)
  const ports = once(async () => (await adapters()).createPortAllocator())
  const installer = async (kind: PackageKind): Promise<PackageInstaller> => {
    const { createPackageInstaller } = await adapters()
    return createPackageInstaller(kind, { cacheDirectory: (await directories()).cache, environment: publicEnvironment })
  }
  const engines = createEngineAccess({
    adapters,
    environment: publicEnvironment,
    dataDirectory: async () => (await directories()).data,
  })
  const files = createUserFiles()
  const { grants, login } = createLoginAccess({
    adapters,
    reading,
    secrets: async () => (await container.secrets()).secrets,
    dataDirectory: async () => (await directories()).data,
    files,
    environment: publicEnvironment,
  })
  const workloads = once(async (): Promise<RunWorkloadDeps & StartWorkloadDeps> => {
    const { createDetachedSupervisorLauncher, createSystemClock } = await adapters()
    const logFiles = await logs()
    // Every name has the same directory.
    await prepareLogDirectory(logFiles.proxyLog('any'))
    return {
      ...(await reading()),
      groups: await groups(),
      userSecrets: (await container.secrets()).secrets,
      sessions: await sessions(),
      grants: await grants(),
      containers: await engines.containers(),
      images: await engines.images(),
      ports: await ports(),
      clock: createSystemClock(),
      installers: installer,
      planConfinement: await container.confinementPlanner(onTerminal),
      commands: { resolve: async (typed) => await resolveCommand(await adapters(), environment, typed) },
      launcher: createDetachedSupervisorLauncher({
        command: supervisorCommand,
        environment,
        logPath: (name) => logFiles.proxyLog(name),
      }),
    }
  })
  const container: Container = {
    files,
    environment,
    debugWanted: isOn(environment['TOOLHIVE_DEBUG']),
    runtimeFacts: { platform: `${process.platform}/${process.arch}`, node: process.version },
    adapters,
    directories,
    reading,
    workloads,
    logs,
    sessions,
    statusWatch,
    ports,
    groups,
    secrets: once(async () => buildSecrets(container, await adapters(), await directories())),
    installer,
    grants,
    login,
    engines,
    settings: async () =>
      await (await adapters()).readSettings(join((await directories()).config, 'config.yaml'), environment),
    configs: async () => (await reading()).configs,
    packageCache: async () => (await adapters()).createPackageCache({ cacheDirectory: (await directories()).cache }),
    discovery: once(async () => await buildDiscovery(await adapters(), await directories(), await reading())),
    serverControl: async () => await buildServerControl(container),
    confinementPlanner: async (tell) => planner(await adapters(), await directories(), tell),
    supervision: async (name, options) => {
      const { wireSupervision } = await import('./wire-supervision.ts')
      return await wireSupervision(container, name, options)
    },
    normalizeRunConfig: async (value) => (isRecord(value) ? (await adapters()).normaliseRunConfig(value) : value),
    writeExport: async (path, text) => await writeUserFile(path, text, (await adapters()).writeAtomically),
    checkDesktop: async () => await checkDesktop(await adapters(), environment),
  }
  return container
}

const onTerminal: ConfinementListener = {
  warn: (message) => process.stderr.write(`warning: ${message}\n`),
  note: (message) => process.stderr.write(`${message}\n`),
}

/** What workloads have in files beside their config and status. */
function createFileStores(
  adapters: Container['adapters'],
  directories: Container['directories'],
): Pick<Container, 'logs' | 'groups' | 'sessions' | 'statusWatch'> {
  return {
    logs: once(async () => (await adapters()).createLogFiles({ dataDirectory: (await directories()).data })),
    groups: once(async () => (await adapters()).createFileGroupStore({ stateDirectory: (await directories()).state })),
    statusWatch: once(async () =>
      (await adapters()).createFileStatusWatch({ dataDirectory: (await directories()).data }),
    ),
    sessions: once(async () => (await adapters()).createSessionJournals({ dataDirectory: (await directories()).data })),
  }
}

function planner(adapters: Adapters, { config }: Directories, tell: ConfinementListener): PlanConfinement {
  const globalIgnoreFile = join(config, 'thvignore')
  return async (runConfig) => await adapters.planConfinement({ globalIgnoreFile, ...tell }, runConfig)
}

function buildReading(adapters: Adapters, { state, data }: Directories): ReadWorkloadDeps {
  const processes = adapters.createProcessTable()
  return {
    configs: adapters.createFileRunConfigStore({ stateDirectory: state }),
    statuses: adapters.createFileStatusStore({ dataDirectory: data, processes }),
    processes,
  }
}

async function buildDiscovery(
  adapters: Adapters,
  { state }: Directories,
  { processes }: ReadWorkloadDeps,
): Promise<Discovery> {
  return {
    records: adapters.createFileServerRecords({ stateDirectory: state, processes }),
    probe: async (record, signal) => await (await import('@thv/client')).probeServer(record, signal),
    isAlive: adapters.createServerLiveness(processes),
  }
}

async function buildServerControl(container: Container): Promise<StartServerDeps & StopServerDeps> {
  const { createDetachedServerLauncher, createSystemClock } = await container.adapters()
  const logPath = (await container.logs()).apiServerLog()
  await prepareLogDirectory(logPath)
  const { environment } = container
  return {
    ...(await container.discovery()),
    processes: (await container.reading()).processes,
    ports: await container.ports(),
    clock: createSystemClock(),
    launcher: createDetachedServerLauncher({ command: selfCommand, environment, logPath }),
  }
}

async function checkDesktop(adapters: Adapters, environment: Container['environment']): Promise<void> {
  if (isOn(environment['TOOLHIVE_SKIP_DESKTOP_CHECK'])) return
  const conflict = await adapters.checkDesktopAlignment({
    home: homeDirectory(),
    platform: process.platform,
    localAppData: environment['LOCALAPPDATA'],
    runningExecutable: process.argv[1] ?? '',
    readFile: async (path) => await readFile(path, 'utf8'),
    realpath: async (path) => await realpath(path),
  })
  if (conflict !== undefined) throw adapters.desktopConflictError(conflict)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isOn(value: string | undefined): boolean {
  return value === '1' || value === 'true'
}

/** Builds a value at the first call and hands out the same one afterwards. */
export function once<T>(build: () => Promise<T>): () => Promise<T> {
  let built: Promise<T> | undefined
  return async () => {
    built ??= build()
    return await built
  }
}
