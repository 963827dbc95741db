import type {
  LogFiles,
  LogInDeps,
  ReadWorkloadDeps,
  RunRequest,
  RunWorkloadDeps,
  SetUpSecretsDeps,
  StartWorkloadDeps,
} from '@thv/core'
import type { ApiLog } from './api-log.ts'
import type { EventHub } from './events/event-hub.ts'
import type { Operations } from './operations.ts'

/** What handlers may use. Everything that is heavy is built when it is first asked for. */
export interface ApiDeps {
  readonly version: string
  /** Told in `/health`, so that a client knows which server it found. */
  readonly nonce: string
  readonly operations: Operations
  readonly events: EventHub
  /** The OpenAPI document of what is served. */
  readonly document: () => unknown
  readonly log: ApiLog
  /** The text of why no server could be run here; undefined when one could. */
  readonly findTrouble: () => Promise<string | undefined>
  readonly reading: () => Promise<ReadWorkloadDeps>
  readonly workloads: () => Promise<RunWorkloadDeps & StartWorkloadDeps>
  /** What logs in to remote servers, and out. */
  readonly login: () => Promise<LogInDeps>
  /** Secrets of the user. */
  readonly secrets: () => Promise<SetUpSecretsDeps>
  readonly logs: () => Promise<LogFiles>
  /** Adds what the user's settings say about packages to a request. */
  readonly addDefaults: (request: RunRequest, signal: AbortSignal) => Promise<void>
}
