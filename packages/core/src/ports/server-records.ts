import type { ServerRecord } from '../domain/server-record.ts'

/** What stands where API servers announce themselves. */
export type ServerRecordRead =
  | { kind: 'absent' }
  | { kind: 'record'; record: ServerRecord }
  /** `isOurs`: a file of this user that says nothing usable and may be replaced; all else is left alone. */
  | { kind: 'refused'; reason: string; isOurs: boolean }

/** The record of the user's API server. Every method rejects with `state-denied`, `state-full` or `state-failed`. */
export interface ServerRecordStore {
  /** Where it is, for messages. */
  readonly path: string
  /** For those who look for a server: also refuses what other users can read or write. */
  read(): Promise<ServerRecordRead>
  /** Calls `changed` after the record may have changed, until the signal aborts. Never throws. */
  watch(changed: () => void, signal: AbortSignal): void
  /**
   * Runs `action` alone among all processes. Creates the directory, or makes it private again. `state-locked` after
   * `limits.serverLockMs`.
   */
  exclusively<T>(signal: AbortSignal, action: (file: LockedServerRecord) => Promise<T>): Promise<T>
}

/** The record under its lock. */
export interface LockedServerRecord {
  /** The directory was there and others could get at it, so that anybody may have written what is in it. */
  readonly wasOpenToOthers: boolean
  /** Modes are not held against the file: a server that runs does so whatever they are. */
  read(): Promise<ServerRecordRead>
  write(record: ServerRecord): Promise<void>
  remove(): Promise<void>
}

/** How a look at `/health` ended. */
export type ServerHealth =
  /** 204, and by the very server that wrote the record. */
  { verified: true } | { verified: false; reason: string; timedOut: boolean }

/** Asks the server of a record who it is, within `limits.serverHealthMs`. Rejects only with the signal's reason. */
export type ProbeServer = (record: ServerRecord, signal: AbortSignal) => Promise<ServerHealth>

/** Whether the process of a record lives. One that may not be signalled or looked at lives. */
export type IsServerAlive = (record: ServerRecord) => Promise<boolean>
