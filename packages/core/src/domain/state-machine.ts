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
 * Everything that moves a status. `down` and `denied` are what probes of a server find; `delayed`: it cannot be asked,
 * because the token for it ended and cannot be renewed for now.
 * `orphaned` is never written: readers see that the process that kept the status is dead.
 */
export const statusEvents = [
  'launch',
  'ready',
  'exit',
  'down',
  'denied',
  'delayed',
  'fail',
  'stop',
  'stopped',
  'delete',
  'orphaned',
] as const
export type StatusEvent = (typeof statusEvents)[number]

/** The status after an event, or undefined when the event is illegal there. */
export function nextStatus(from: WorkloadStatus, event: StatusEvent): WorkloadStatus | undefined {
  return transitions[from][event]
}

/** Where each event leads to from a status. */
type Moves = Readonly<Partial<Record<StatusEvent, WorkloadStatus>>>

/** In every status one may ask for the end. */
const ends = { stop: 'stopping', delete: 'removing' } as const

/** What may happen while a supervisor works on it. */
const supervised = {
  ...ends,
  launch: 'starting',
  ready: 'running',
  exit: 'starting',
  down: 'unhealthy',
  denied: 'unauthenticated',
  delayed: 'auth_retrying',
  fail: 'error',
  orphaned: 'unhealthy',
} as const

/**
 * The table. Absence means the event is illegal in that status: the caller has a
 * bug or lost a race, and must not write.
 */
const transitions: Readonly<Record<WorkloadStatus, Moves>> = {
  starting: { ...supervised, orphaned: 'error' },
  running: supervised,
  unhealthy: supervised,
  unauthenticated: supervised,
  auth_retrying: supervised,
  stopping: { ...ends, stopped: 'stopped', launch: 'starting', fail: 'error', orphaned: 'stopped' },
  stopped: { ...ends, launch: 'starting', stopped: 'stopped' },
  error: { ...ends, launch: 'starting', stopped: 'stopped' },
  unknown: { ...ends, launch: 'starting' },
  policy_stopped: { ...ends, launch: 'starting' },
  // A removal that was begun is carried on; only its own death lets go of the workload.
  removing: { stop: 'removing', delete: 'removing', stopped: 'removing', orphaned: 'error' },
}
