import { isOwned, type StatusRecord } from '../domain/workload-status.ts'
import type { ProcessTable } from '../ports/process-table.ts'
import type { StatusStore } from '../ports/state-store.ts'

/** A record and whether its owner lives, as one consistent view. */
export interface AssessedRecord {
  record: StatusRecord | undefined
  ownerAlive: boolean
}

/**
 * Reads a record and looks whether its owner lives. An owner may write its last word
 * and exit between the two, so a dead owner's record is read again: what it said at
 * last is the reason, not that it is gone.
 */
export async function readAssessed(
  deps: { statuses: StatusStore; processes: ProcessTable },
  name: string,
): Promise<AssessedRecord> {
  const first = await deps.statuses.read(name)
  if (first === undefined) return { record: undefined, ownerAlive: false }
  if (await isOwnerAlive(deps.processes, name, first)) return { record: first, ownerAlive: true }
  if (!isOwned(first.status)) return { record: first, ownerAlive: false }
  const record = await deps.statuses.read(name)
  if (record === undefined) return { record: undefined, ownerAlive: false }
  if (JSON.stringify(record) === JSON.stringify(first)) return { record, ownerAlive: false }
  return { record, ownerAlive: await isOwnerAlive(deps.processes, name, record) }
}

/**
 * Whether the process that keeps a status true still lives. Records written by
 * ToolHive carry only a pid, so its command line decides.
 */
export async function isOwnerAlive(processes: ProcessTable, name: string, record: StatusRecord): Promise<boolean> {
  if (!isOwned(record.status)) return false
  if (record.thv?.owner !== undefined) return await processes.isAlive(record.thv.owner)
  if (record.process_id > 0) return await processes.isSupervisorOf(record.process_id, name)
  return false
}
