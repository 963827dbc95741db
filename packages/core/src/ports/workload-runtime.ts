import type { Readable, Writable } from 'node:stream'
import type { Confinement, Isolation } from '../domain/confinement.ts'
import type { ServerProcess } from '../domain/workload-status.ts'
import type { TransportType } from '../domain/transport-type.ts'

/** One server to run, fully resolved. */
export interface DeploySpec {
  name: string
  command: readonly [executable: string, ...args: string[]]
  /** The whole environment of the server: nothing is inherited. */
  environment: Record<string, string>
  workingDirectory: string
  transport: TransportType
  /** Where a server that speaks HTTP listens; undefined for stdio. */
  listen?: { host: string; port: number }
  /** How to confine it; undefined: not at all. */
  confinement?: Confinement
  /** Receives every line of the server's output that is not protocol; without line end. */
  onOutput: (line: string) => void
}

/** How a server ended. */
export interface ServerExit {
  code: number | null
  signal: string | null
}

/** A running server. */
export interface Deployment {
  readonly process: ServerProcess
  /** How it is really confined. */
  readonly isolation: Isolation
  /** The message pipe of a stdio server; undefined for servers that speak HTTP. */
  readonly stdio: { input: Writable; output: Readable } | undefined
  /** Resolves when the server has exited and its output is drained. Never rejects. */
  readonly exited: Promise<ServerExit>
  /** Last stderr lines so far, oldest first. */
  lastStderr(): string[]
  /**
   * Ends the whole tree: end of input, SIGTERM, SIGKILL, each after its grace, all
   * within `withinMs`. Idempotent; resolves when nothing of the tree lives.
   */
  stop(withinMs: number): Promise<void>
}

/** Runs servers. One implementation per way of running them. */
export interface WorkloadRuntime {
  readonly kind: 'process'
  /**
   * Starts a server. If the calling process dies in any way, SIGKILL included, the
   * server's tree is killed. Rejects with `command-not-found` or `server-exited`
   * when nothing could be started, and with `isolation-unavailable` when this machine
   * cannot confine it as far as required.
   */
  deploy(spec: DeploySpec, signal: AbortSignal): Promise<Deployment>
}
