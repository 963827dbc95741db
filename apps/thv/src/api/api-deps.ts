import type { LogFiles, ReadWorkloadDeps, RunWorkloadDeps, StartWorkloadDeps } from '@thv/core'
import type { Operations } from './operations.ts'

/** What handlers may use. Everything that is heavy is built when it is first asked for. */
export interface ApiDeps {
  readonly version: string
  /** Told in `/health`, so that a client knows which server it found. */
  readonly nonce: string
  readonly operations: Operations
  readonly log: ApiLog
  /** The text of why no server could be run here; undefined when one could. */
  readonly findTrouble: () => Promise<string | undefined>
  readonly reading: () => Promise<ReadWorkloadDeps>
  readonly workloads: () => Promise<RunWorkloadDeps & StartWorkloadDeps>
  readonly logs: () => Promise<LogFiles>
}

/** One log record. */
export type ApiLog = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  fields?: Record<string, unknown>,
) => void
