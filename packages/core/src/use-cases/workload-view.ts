import { isOwned, type StatusRecord } from '../domain/workload-status.ts'
import type { ProcessTable } from '../ports/process-table.ts'

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
