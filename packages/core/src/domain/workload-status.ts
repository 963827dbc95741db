import type { ErrorCode } from '../errors.ts'
import type { Isolation } from './confinement.ts'
import { nextStatus, type WorkloadStatus } from './state-machine.ts'
import { isReasonOf, reasonOfEvent, reasonOfStatus, statusReasons, type ReasonCode } from './status-reason.ts'
import type { ServerCard } from './server-card.ts'
import type { ProxyMode } from './transport-type.ts'

/**
 * A process, told apart from a later one with the same number. `started` is an
 * opaque token of its start time (and boot, where numbers restart with it).
 */
export interface ProcessIdentity {
  pid: number
  started: string
  /** It works on other workloads too (the API server), so it is asked to let go and never ended for one. */
  shared?: true
}

/** The server process of a workload and what finds the rest of its tree again. */
export interface ServerProcess extends ProcessIdentity {
  /** Process group; on POSIX the server leads its own. */
  group: number
  /** Value of the marker environment variable that every descendant inherits. */
  marker: string
}

/** The container a server runs in. */
export interface ServerContainer {
  /** Id that the engine gave it. */
  container: string
  /** Socket of the engine. */
  engine: string
}

/** What finds a server again: a process of this machine, or a container. */
export type ServerIdentity = ServerProcess | ServerContainer

/** Whether a server is a container. */
export function isContainer(server: ServerIdentity): server is ServerContainer {
  return 'container' in server
}

/**
 * A status file (`statuses/<name>.json`): spec/local 2.3. ToolHive reads the first
 * five keys and ignores `thv`.
 */
export interface StatusRecord {
  status: WorkloadStatus
  status_context?: string
  created_at: string
  updated_at: string
  /** Pid of the supervisor; 0 means unknown. */
  process_id: number
  thv?: StatusExtension
}

/** Something that went wrong, and when. */
export interface StatusError {
  /** RFC 3339. */
  at: string
  reason: ReasonCode
  message: string
}

/** Probes in a row that found the same. */
export interface ProbeRun {
  /** `serving` for an answer. */
  reason: ReasonCode
  message: string
  /** When the first of them ended, RFC 3339. */
  since: string
  /** How many; of the run that goes on, only how many there were when it was written. */
  count: number
}

/** What thv records beside ToolHive's keys. */
export interface StatusExtension {
  /**
   * Who owes the next transition: the launching command, then the supervisor.
   * When the owner is dead, `starting` and `running` are no longer true.
   */
  owner?: ProcessIdentity
  server?: ServerIdentity
  /** Further processes or containers of the server, each for one client. */
  lanes?: ServerIdentity[]
  /** How the last started server is really confined. */
  isolation?: Isolation
  /** When the present status began, RFC 3339. */
  since?: string
  /** Why it has this status. */
  reason?: ReasonCode
  /** The last thing that went wrong since the supervisor began. */
  last_error?: StatusError
  /** What the probes of the server found, oldest first; the last one goes on. */
  probes?: ProbeRun[]
  /** What a remote server turned out to speak. */
  transport?: ProxyMode
  /** What a remote server says about itself. */
  server_card?: ServerCard
  /** Scopes that calls have turned out to need, for the next login. */
  wanted_scopes?: string[]
  /** When the server was last seen to start, RFC 3339. */
  started_at?: string
  /** Restarts since the last stable run. */
  restarts?: number
  /** When a stop must be over, RFC 3339: set by `stop --timeout`, obeyed by the supervisor. */
  stop_deadline?: string
  /** Code of the error that ended it, with status `error`. */
  error_code?: ErrorCode
  /** The server's last stderr lines at its last exit. */
  last_stderr?: string[]
}

/** What is true of a workload now: the file's word, corrected by who is alive. */
export interface AssessedStatus {
  status: WorkloadStatus
  /** What the file says beside the status. */
  context: string | undefined
  reason: ReasonCode
  /** When it began, RFC 3339; for what its dead owner left behind, the owner's last word. */
  since: string
}

/**
 * The truth about a workload: what the file says, held against whether its owner
 * still lives. Pure: reading a status never changes it.
 */
export function assessStatus(name: string, record: StatusRecord, ownerAlive: boolean): AssessedStatus {
  const { status, status_context: context } = record
  const event = status === 'stopping' && mayRunOn(record) ? 'fail' : 'orphaned'
  const orphaned = ownerAlive || isKeptByOther(record) ? undefined : nextStatus(status, event)
  if (orphaned === undefined) {
    const known = record.thv?.reason
    const reason = known !== undefined && isReasonOf(known, status) ? known : reasonOfStatus[status]
    return { status, context, reason, since: record.thv?.since ?? record.updated_at }
  }
  const reason = event === 'fail' ? 'stop-interrupted' : reasonOfEvent(event, status, orphaned)
  return { status: orphaned, context: orphanedContext(name, reason, context), reason, since: record.updated_at }
}

/** Another program's word about a workload that is down needs no living process to be true. */
function isKeptByOther(record: StatusRecord): boolean {
  return record.status === 'unhealthy' && record.thv?.owner === undefined
}

/** A process ends with its supervisor, whatever happens; a container does not. */
function mayRunOn({ thv }: StatusRecord): boolean {
  const { server, lanes = [] } = thv ?? {}
  return (server === undefined ? lanes : [server, ...lanes]).some(isContainer)
}

function orphanedContext(name: string, reason: ReasonCode, told: string | undefined): string | undefined {
  if (reason === 'stopped') return told
  if (reason === 'start-interrupted') return `${told === undefined ? '' : `${told}; `}${statusReasons[reason].says}`
  if (reason === 'stop-interrupted' || reason === 'removal-interrupted') return statusReasons[reason].says
  // Tools match on this sentence: spec/local 2.1.
  return `proxy process not running: workload shows running but proxy process for ${name} is not active`
}

/** Whether a status is only true while some process keeps it so. */
export function isOwned(status: WorkloadStatus): boolean {
  return nextStatus(status, 'orphaned') !== undefined
}

/**
 * Whether a list without `--all` shows it. ToolHive shows only `running` and
 * `auth_retrying`, which hides exactly what a user needs to see; here only what
 * was stopped on purpose is hidden.
 */
export function isListedByDefault(status: WorkloadStatus): boolean {
  return status !== 'stopped' && status !== 'policy_stopped'
}
