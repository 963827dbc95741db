import type { Readable, Writable } from 'node:stream'
import type { Confinement, Isolation } from '../domain/confinement.ts'
import type { ServerIdentity } from '../domain/workload-status.ts'
import type { TransportType } from '../domain/transport-type.ts'

/** One server to run, fully resolved. */
export interface DeploySpec {
  name: string
  /** A process: the executable and its arguments. An image: the arguments after its entry point, maybe none. */
  command: readonly string[]
  /** A process: its whole environment, nothing is inherited. An image: what is added to the image's own. */
  environment: Record<string, string>
  /** Ignored for an image, which knows its own. */
  workingDirectory: string
  transport: TransportType
  /** Where a server that speaks HTTP listens; undefined for stdio. */
  listen?: { host: string; port: number }
  /** How to confine it; undefined: not at all. */
  confinement?: Confinement
  /** Set when the server is an image; the container runtime takes nothing else, the process runtime no image. */
  image?: ImageSpec
  /** Receives every line of the server's output that is not protocol; without line end. */
  onOutput: (line: string) => void
}

/** The image of a server and what its container gets. */
export interface ImageSpec {
  /** As the engine knows it: `name:tag`, `name@sha256:…` or an image id. Must be there: nothing is pulled. */
  reference: string
  /** Labels of the container, beside the runtime's own. */
  labels: Record<string, string>
  /** Port of a server that speaks HTTP, inside the container. */
  targetPort?: number
}

/** Where a server that speaks HTTP listens. */
export interface ServerAddress {
  host: string
  port: number
}

/** How a server ended. */
export interface ServerExit {
  code: number | null
  signal: string | null
  /** Why, as a sentence, where neither code nor signal tells: the engine went away, the memory limit was hit. */
  reason?: string
}

/** A running server. */
export interface Deployment {
  readonly server: ServerIdentity
  /** How it is really confined. */
  readonly isolation: Isolation
  /** The message pipe of a stdio server; undefined for servers that speak HTTP. */
  readonly stdio: { input: Writable; output: Readable } | undefined
  /** Where this machine reaches a server that speaks HTTP; undefined when that is where its spec says. */
  readonly address?: ServerAddress
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
  readonly kind: 'process' | 'container'
  /**
   * Starts a server. If the calling process dies in any way, SIGKILL included, the
   * server does not live on unnoticed: the tree of a process is killed at once, a container
   * is found again by `ContainerTable`. Rejects with `command-not-found`, `image-not-found`,
   * `server-exited` or `engine-unreachable` when nothing could be started, and with
   * `isolation-unavailable` when this machine cannot confine it as far as required.
   */
  deploy(spec: DeploySpec, signal: AbortSignal): Promise<Deployment>
}
