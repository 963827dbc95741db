import type {
  ChangeStatusDeps,
  ContainerTable,
  PortAllocator,
  RunConfig,
  RunConfigStore,
  WorkloadRuntime,
} from '@thv/core'
import type { Proxy, ProxyConfig, RemoteConnection, SessionJournal } from '@thv/proxy'
import type { Failure } from './failure.ts'
import type { Lanes } from './lanes.ts'
import type { Log } from './log.ts'
import type { CredentialDeps } from './remote-credentials.ts'
import type { TokenDeps } from './remote-tokens.ts'
import type { ServerCommandDeps } from './server-command.ts'
import type { StatusReporter } from './status-reporter.ts'

/** What a supervisor needs of the outside. */
export interface SuperviseDeps extends ChangeStatusDeps, ServerCommandDeps, CredentialDeps, Pick<TokenDeps, 'logins'> {
  configs: RunConfigStore
  containers: ContainerTable
  runtime: Pick<WorkloadRuntime, 'deploy'>
  ports: PortAllocator
  createProxy: (config: ProxyConfig) => Proxy
  /** Opens what is written down about the sessions of a workload's clients. */
  openJournal: (name: string) => Promise<SessionJournal>
  proxyLimits: NonNullable<ProxyConfig['limits']>
  /** Receives each line of the server's own output. */
  writeServerLine: (line: string) => void
  /** A text that changes with the addresses of this machine. */
  network: () => string
  /** How connections to a remote server are opened that is not reached directly. */
  dialerOf: (host: string) => RemoteConnection['dial']
  log: Log
  /** In [0, 1). */
  random: () => number
}

/** How a supervision ended: asked to, or because the server cannot be kept running. */
export type SuperviseResult = 'stopped' | Failure

/** What the loop carries around. */
export interface Supervision {
  deps: SuperviseDeps
  config: RunConfig
  reporter: StatusReporter
  proxy: Proxy
  lanes: Lanes
  /** Aborts when the supervision must end: asked to, or ownership lost. */
  signal: AbortSignal
}
