import type { ErrorCode } from '../errors.ts'
import type { Isolation } from './confinement.ts'

/** Every status a workload can have: spec/local 2.1. */
export const workloadStatuses = [
  'running',
  'stopped',
  'error',
  'starting',
  'stopping',
  'unhealthy',
  'removing',
  'unknown',
  'unauthenticated',
  'auth_retrying',
  'policy_stopped',
] as const
export type WorkloadStatus = (typeof workloadStatuses)[number]

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

/** Events that move a status; see {@link nextStatus}. */
export type StatusEvent = 'launch' | 'ready' | 'exit' | 'fail' | 'stop' | 'stopped' | 'delete'

/**
 * The transition table. Absence means the event is illegal in that status:
 * the caller has a bug or lost a race, and must not write.
 *
 * `unhealthy` never stands here as a target: today it is only computed on read
 * (a supervisor died without a word); the health monitor will add it.
 */
const transitions: Record<WorkloadStatus, Partial<Record<StatusEvent, WorkloadStatus>>> = {
  starting: {
    ready: 'running',
    exit: 'starting',
    fail: 'error',
    stop: 'stopping',
    delete: 'removing',
    launch: 'starting',
  },
  running: {
    exit: 'starting',
    fail: 'error',
    stop: 'stopping',
    delete: 'removing',
    launch: 'starting',
    ready: 'running',
  },
  stopping: { stopped: 'stopped', stop: 'stopping', delete: 'removing', launch: 'starting', fail: 'error' },
  stopped: { launch: 'starting', delete: 'removing', stop: 'stopping', stopped: 'stopped' },
  error: { launch: 'starting', delete: 'removing', stop: 'stopping', stopped: 'stopped' },
  unhealthy: {
    launch: 'starting',
    delete: 'removing',
    stop: 'stopping',
    ready: 'running',
    exit: 'starting',
    fail: 'error',
  },
  removing: { delete: 'removing', stop: 'removing', stopped: 'removing' },
  unknown: { launch: 'starting', delete: 'removing', stop: 'stopping' },
  unauthenticated: { launch: 'starting', delete: 'removing', stop: 'stopping', ready: 'running', fail: 'error' },
  auth_retrying: { launch: 'starting', delete: 'removing', stop: 'stopping', ready: 'running', fail: 'error' },
  policy_stopped: { launch: 'starting', delete: 'removing', stop: 'stopping' },
}

/** The status after an event, or undefined when the event is illegal there. */
export function nextStatus(from: WorkloadStatus, event: StatusEvent): WorkloadStatus | undefined {
  return transitions[from][event]
}

/** What is true of a workload now: the file's word, corrected by who is alive. */
export interface AssessedStatus {
  status: WorkloadStatus
  context: string | undefined
}

/**
 * The truth about a workload: what the file says, held against whether its owner
 * still lives. Pure: reading a status never changes it.
 */
export function assessStatus(name: string, record: StatusRecord, ownerAlive: boolean): AssessedStatus {
  const told = { status: record.status, context: record.status_context }
  if (ownerAlive || !isOwned(record.status) || record.status === 'unhealthy') return told
  if (record.status === 'starting') {
    return {
      status: 'error',
      context: `${told.context === undefined ? '' : `${told.context}; `}the start was interrupted: its process is gone`,
    }
  }
  if (record.status === 'stopping') return assessInterruptedStop(record)
  if (record.status === 'removing')
    return { status: 'error', context: "the removal was interrupted; run 'thv rm' again" }
  // Tools match on this sentence: spec/local 2.1.
  return {
    status: 'unhealthy',
    context: `proxy process not running: workload shows running but proxy process for ${name} is not active`,
  }
}

/** A process ends with its supervisor, whatever happens; a container does not. */
function assessInterruptedStop({ thv, status_context: context }: StatusRecord): AssessedStatus {
  const { server, lanes = [] } = thv ?? {}
  const servers = server === undefined ? lanes : [server, ...lanes]
  if (!servers.some(isContainer)) return { status: 'stopped', context }
  return {
    status: 'error',
    context: "the stop was interrupted, and the container may still run; run 'thv stop' again",
  }
}

/** Whether a status is only true while some process keeps it so. */
export function isOwned(status: WorkloadStatus): boolean {
  return !['stopped', 'error', 'unknown', 'policy_stopped'].includes(status)
}

/**
 * Whether a list without `--all` shows it. ToolHive shows only `running` and
 * `auth_retrying`, which hides exactly what a user needs to see; here only what
 * was stopped on purpose is hidden.
 */
export function isListedByDefault(status: WorkloadStatus): boolean {
  return status !== 'stopped' && status !== 'policy_stopped'
}
