import type { Group } from '../domain/group.ts'
import type { RunConfig } from '../domain/run-config.ts'
import type { StatusRecord } from '../domain/workload-status.ts'

/** A file that could not be used, told once and passed over. */
export interface StateProblem {
  /** File name without directories. */
  file: string
  reason: string
}

/** Names found, and what was passed over. */
export interface StateListing {
  names: string[]
  problems: StateProblem[]
}

/**
 * Saved run configs, one document per workload name.
 * Every method rejects with `state-denied`, `state-full` or `state-failed`;
 * a rejected `save` leaves the previous document untouched.
 */
export interface RunConfigStore {
  /** The saved config; undefined when there is none. `invalid-run-config` or `run-config-newer` when it cannot be used. */
  load(name: string): Promise<RunConfig | undefined>
  save(config: RunConfig): Promise<void>
  /** Deleting what is not there is fine. */
  delete(name: string): Promise<void>
  list(): Promise<StateListing>
}

/** What to do with a status under its lock: the new record, `'delete'`, or undefined for no change. */
export type StatusChange = StatusRecord | 'delete' | undefined

/** Status files: the one truth that processes share about a workload. */
export interface StatusStore {
  /** The record; undefined when there is none. `state-corrupt` when it is beyond repair (a copy is kept). */
  read(name: string): Promise<StatusRecord | undefined>
  /**
   * Read, change and write under the workload's lock, so that two writers never
   * lose each other's change. `change` sees undefined when there is no usable
   * record. Resolves to what is on disk afterwards. `state-locked` after 4 s.
   */
  update(
    name: string,
    change: (current: StatusRecord | undefined) => StatusChange,
    signal: AbortSignal,
  ): Promise<StatusRecord | undefined>
  list(): Promise<StateListing>
  /** Calls `changed` after the file of `name` may have changed, until the signal aborts. Calls may be spurious. */
  watch(name: string, changed: () => void, signal: AbortSignal): void
}

/** Group files. */
export interface GroupStore {
  load(name: string): Promise<Group | undefined>
  /** Creates exclusively: of concurrent callers exactly one gets true. */
  create(group: Group): Promise<boolean>
  /** Deleting what is not there is fine. */
  delete(name: string): Promise<void>
  list(): Promise<StateListing>
}

/** What supervisors keep about the sessions of clients. */
export interface SessionFiles {
  /** Forgets the sessions of a workload. Deleting what is not there is fine. */
  delete(name: string): Promise<void>
}

/** The log of a server, or of its supervisor and proxy. */
export type LogKind = 'server' | 'proxy'

/** Where a workload's output goes, for humans and `thv logs`. */
export interface LogFiles {
  /** Output of the supervisor and its proxy. */
  proxyLog(name: string): string
  /** Output of the server itself. */
  serverLog(name: string): string
  /** Output of an API server in the background. */
  apiServerLog(): string
  /** The last lines of one of them, with at most as many bytes as a log has; undefined when there is none. */
  readTail(name: string, which: LogKind, lines: number): Promise<string | undefined>
  /** Removes both, with their rotated parts. */
  delete(name: string): Promise<void>
  /** Removes logs of names that `keep` rejects; resolves to the removed file names. */
  prune(keep: (name: string) => boolean): Promise<string[]>
}
