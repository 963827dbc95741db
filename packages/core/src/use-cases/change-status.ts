import { nextStatus, type StatusEvent } from '../domain/state-machine.ts'
import { isReasonOf, reasonOfEvent, statusReasons, type ReasonCode } from '../domain/status-reason.ts'
import type { StatusExtension, StatusRecord } from '../domain/workload-status.ts'
import { ThvError } from '../errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { ProcessTable } from '../ports/process-table.ts'
import type { StatusChange, StatusStore } from '../ports/state-store.ts'
import { limits } from '../limits.ts'
import { isOwnerAlive, type AssessedRecord } from './workload-view.ts'

/** What writing a status needs. */
export interface ChangeStatusDeps {
  statuses: StatusStore
  processes: ProcessTable
  clock: Clock
}

/**
 * Changes a status knowing whether its owner lives. Looking a process up cannot
 * happen under the lock (it may take long), so the change is applied only when the
 * record is still the one that was looked at, and looked at again otherwise.
 */
export async function changeStatus(
  deps: ChangeStatusDeps,
  name: string,
  change: (view: AssessedRecord) => StatusChange,
  signal: AbortSignal,
): Promise<StatusRecord | undefined> {
  for (let attempt = 0; attempt < limits.statusConflicts; attempt += 1) {
    const seen = await readTolerantly(deps.statuses, name)
    const ownerAlive = seen === undefined ? false : await isOwnerAlive(deps.processes, name, seen)
    let conflict = false
    const result = await deps.statuses.update(
      name,
      (current) => {
        conflict = JSON.stringify(current) !== JSON.stringify(seen)
        return conflict ? undefined : change({ record: current, ownerAlive })
      },
      signal,
    )
    if (!conflict) return result
  }
  throw new ThvError('workload-busy', `the status of '${name}' keeps changing`, {
    hint: 'another thv command works on it; try again in a moment',
  })
}

/** A record beyond repair counts as none: the store has kept a copy. */
async function readTolerantly(statuses: StatusStore, name: string): Promise<StatusRecord | undefined> {
  try {
    return await statuses.read(name)
  } catch (error) {
    if (error instanceof ThvError && error.code === 'state-corrupt') return undefined
    throw error
  }
}

/** What is known beside an event. */
export interface EventDetails {
  /** The sentence that is shown with the status. */
  context?: string
  /** Why, where more is known than the event; one that does not belong to the new status is not taken. */
  reason?: ReasonCode
  processId?: number
  extension?: Partial<StatusExtension>
}

/**
 * The record after an event, or undefined when the event is illegal now.
 * `since` moves only when the status does. Pure.
 */
export function applyEvent(
  record: StatusRecord,
  event: StatusEvent,
  now: Date,
  more: EventDetails = {},
): StatusRecord | undefined {
  const status = nextStatus(record.status, event)
  if (status === undefined) return undefined
  const stamp = now.toISOString()
  const since = status === record.status ? (record.thv?.since ?? stamp) : stamp
  const known = more.reason !== undefined && isReasonOf(more.reason, status) ? more.reason : undefined
  const reason = known ?? reasonOfEvent(event, record.status, status)
  const next: StatusRecord = {
    status,
    created_at: record.created_at,
    updated_at: stamp,
    process_id: more.processId ?? record.process_id,
    thv: { ...record.thv, ...more.extension, since, reason },
  }
  if (troubles.has(event) && next.thv !== undefined) {
    next.thv.last_error = { at: stamp, reason, message: more.context ?? statusReasons[reason].says }
  }
  if (more.context !== undefined && more.context !== '') next.status_context = more.context
  return next
}

/** The first record of a workload, owned by whoever launches it. */
export function firstRecord(now: Date, extension: StatusExtension): StatusRecord {
  const stamp = now.toISOString()
  return {
    status: 'starting',
    created_at: stamp,
    updated_at: stamp,
    process_id: 0,
    thv: { since: stamp, reason: 'launching', ...extension },
  }
}

/** Events after which something is wrong. */
const troubles: ReadonlySet<StatusEvent> = new Set(['exit', 'down', 'denied', 'delayed', 'fail'])
