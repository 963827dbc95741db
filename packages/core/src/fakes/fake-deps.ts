import type { Group } from '../domain/group.ts'
import type { ResolvedPackage } from '../domain/package-source.ts'
import type { RemoteGrant } from '../domain/remote-grant.ts'
import type { RunConfig } from '../domain/run-config.ts'
import type { ProcessIdentity, ServerProcess, StatusRecord } from '../domain/workload-status.ts'
import type { SecretProvider } from '../domain/secret-provider.ts'
import type { InstalledPackage, PackageInstaller } from '../ports/package-installer.ts'
import type { RunWorkloadDeps } from '../use-cases/run-workload.ts'
import type { StartWorkloadDeps } from '../use-cases/start-workload.ts'
import { applyEvent } from '../use-cases/change-status.ts'
import { createFakeSecretStore } from './fake-secret-store.ts'

export { createFakeSecretStore } from './fake-secret-store.ts'

/** An in-memory machine: files, processes and packages that use cases can be held against. */
export interface FakeMachine {
  deps: RunWorkloadDeps & StartWorkloadDeps
  configs: Map<string, RunConfig>
  statuses: Map<string, StatusRecord>
  /** By the names of the secret store. */
  secrets: Map<string, string>
  /** By their references. */
  grants: Map<string, RemoteGrant>
  /** Variables of the environment. */
  variables: Map<string, string>
  /** Where the user's secrets come from. */
  provider: SecretProvider | undefined
  /** Workloads with sessions that are kept. */
  sessions: Set<string>
  /** Pids that live, with their start tokens. */
  alive: Map<number, string>
  reaped: ServerProcess[]
  /** Names of the workloads whose containers were removed, and the engines on record. */
  reapedContainers: string[]
  installed: ResolvedPackage[]
  /** References that were pulled, and names of packages that were built. */
  images: string[]
  /** Whether a container engine answers. */
  hasEngine: boolean
  busyPorts: Set<number>
  /** What the next launched supervisor does; default: it serves. */
  onLaunch: (name: string, supervisor: ProcessIdentity) => void
  /** What a process does on SIGTERM; default: it dies. */
  onSigterm: (identity: ProcessIdentity) => void
  failSave: Error | undefined
  /** What writing a status ends in. */
  failUpdate: Error | undefined
  /** Who was signalled, in order. */
  signalled: number[]
}

/** Pid of the process that calls the use cases. */
export const selfPid = 100

export function createFakeMachine(): FakeMachine {
  const machine: Omit<FakeMachine, 'deps'> = {
    configs: new Map(),
    statuses: new Map(),
    secrets: new Map(),
    grants: new Map(),
    variables: new Map(),
    provider: 'encrypted',
    sessions: new Set(),
    alive: new Map([[selfPid, 'self']]),
    reaped: [],
    reapedContainers: [],
    installed: [],
    images: [],
    hasEngine: false,
    busyPorts: new Set(),
    failSave: undefined,
    failUpdate: undefined,
    signalled: [],
    onLaunch: () => {},
    onSigterm: ({ pid }) => {
      machine.alive.delete(pid)
    },
  }
  machine.onLaunch = (name, supervisor) => serve(machine, name, supervisor)
  const deps = { ...stores(machine), ...logins(machine), ...processes(machine), ...outside(machine) }
  return Object.assign(machine, { deps })
}

/** Makes a launched supervisor claim its workload and report that it serves. */
export function serve(machine: Pick<FakeMachine, 'statuses'>, name: string, supervisor: ProcessIdentity): void {
  const record = machine.statuses.get(name)
  if (record === undefined) return
  const running = applyEvent(record, 'ready', new Date(), {
    processId: supervisor.pid,
    extension: { owner: supervisor },
  })
  if (running !== undefined) machine.statuses.set(name, running)
}

function stores(
  machine: Omit<FakeMachine, 'deps'>,
): Pick<RunWorkloadDeps, 'configs' | 'statuses' | 'groups' | 'sessions' | 'userSecrets'> {
  const groups = new Map<string, Group>()
  return {
    configs: {
      load: async (name) => machine.configs.get(name),
      save: async (config) => {
        if (machine.failSave !== undefined) throw machine.failSave
        machine.configs.set(config.name, structuredClone(config))
      },
      delete: async (name) => {
        machine.configs.delete(name)
      },
      list: async () => ({ names: [...machine.configs.keys()].sort(), problems: [] }),
    },
    statuses: {
      read: async (name) => machine.statuses.get(name),
      update: async (name, change, signal) => {
        signal.throwIfAborted()
        if (machine.failUpdate !== undefined) throw machine.failUpdate
        const next = change(machine.statuses.get(name))
        if (next === 'delete') machine.statuses.delete(name)
        else if (next !== undefined) machine.statuses.set(name, structuredClone(next))
        return machine.statuses.get(name)
      },
      list: async () => ({ names: [...machine.statuses.keys()].sort(), problems: [] }),
      watch: () => {},
    },
    userSecrets: {
      provider: async () => machine.provider,
      store: createFakeSecretStore(machine.secrets),
      variable: (name) => machine.variables.get(name),
      fallsBack: true,
    },
    sessions: {
      delete: async (name) => {
        machine.sessions.delete(name)
      },
    },
    groups: {
      load: async (name) => groups.get(name),
      create: async (group) => {
        if (groups.has(group.name)) return false
        groups.set(group.name, group)
        return true
      },
      delete: async (name) => {
        groups.delete(name)
      },
      list: async () => ({ names: [...groups.keys()].sort(), problems: [] }),
    },
  }
}

function logins(machine: Omit<FakeMachine, 'deps'>): Pick<RunWorkloadDeps, 'grants'> {
  const revision = async (): Promise<string> => JSON.stringify([...machine.grants])
  return {
    grants: {
      read: async (reference) => machine.grants.get(reference),
      renew: async (reference, action) => {
        const change = await action(machine.grants.get(reference))
        if (change === 'delete') machine.grants.delete(reference)
        else if (change !== undefined) machine.grants.set(reference, change)
        return machine.grants.get(reference)
      },
      revision,
    },
  }
}

function processes(
  machine: Omit<FakeMachine, 'deps'>,
): Pick<RunWorkloadDeps, 'processes' | 'containers' | 'launcher' | 'clock'> {
  let nextPid = 1000
  let nowMs = 0
  const isAlive = ({ pid, started }: ProcessIdentity): boolean => machine.alive.get(pid) === started
  return {
    processes: {
      self: async () => ({ pid: selfPid, started: 'self' }),
      identify: async (pid) => {
        const started = machine.alive.get(pid)
        return started === undefined ? undefined : { pid, started }
      },
      isAlive: async (identity) => isAlive(identity),
      isSupervisorOf: async (pid) => machine.alive.has(pid),
      signal: async (identity, signal) => {
        if (!isAlive(identity)) return false
        machine.signalled.push(identity.pid)
        if (signal === 'SIGKILL') machine.alive.delete(identity.pid)
        else machine.onSigterm(identity)
        return true
      },
      reap: async (server) => {
        machine.reaped.push(server)
        return 0
      },
    },
    containers: {
      reap: async (workload, engines) => {
        machine.reapedContainers.push([workload, ...engines].join(' at '))
        return 0
      },
    },
    launcher: {
      launch: async (name) => {
        const supervisor = { pid: nextPid, started: `boot:${nextPid}` }
        nextPid += 1
        machine.alive.set(supervisor.pid, supervisor.started)
        machine.onLaunch(name, supervisor)
        return { identity: supervisor, exit: async () => ({ code: null, signal: 'SIGKILL' }) }
      },
    },
    clock: {
      now: () => new Date(),
      monotonicMs: () => nowMs,
      sleep: async (ms, signal) => {
        signal.throwIfAborted()
        nowMs += ms
        await new Promise<void>((resolve) => {
          setImmediate(resolve)
        })
      },
    },
  }
}

function outside(
  machine: Omit<FakeMachine, 'deps'>,
): Pick<RunWorkloadDeps, 'installers' | 'images' | 'ports' | 'commands' | 'planConfinement'> {
  const installer: PackageInstaller = {
    kind: 'npx',
    resolve: async (source, signal) => {
      signal.throwIfAborted()
      return { kind: source.kind, name: source.name, version: source.version ?? '1.0.0' }
    },
    install: async (resolved, _progress, signal): Promise<InstalledPackage> => {
      signal.throwIfAborted()
      machine.installed.push(resolved)
      return { resolved, command: ['/cache/bin'], environment: {}, directory: '/cache' }
    },
  }
  return {
    installers: async () => installer,
    planConfinement: async () => ({
      wish: 'auto',
      programPaths: 'discover',
      mounts: [],
      covered: [],
      network: { kind: 'open' },
    }),
    images: {
      isReachable: async () => machine.hasEngine,
      pull: async (reference, _progress, signal) => {
        signal.throwIfAborted()
        machine.images.push(reference)
      },
      build: async ({ kind, name }) => {
        machine.images.push(`${kind}://${name}`)
        return `toolhivelocal/${kind}-${name}:1`
      },
    },
    ports: {
      isFree: async (port) => !machine.busyPorts.has(port),
      findFree: async () => 12_345,
    },
    commands: {
      resolve: async (typed) => ({
        executable: `/bin/${typed}`,
        typed,
        workingDirectory: '/home/me',
        searchPath: '/bin',
      }),
    },
  }
}
