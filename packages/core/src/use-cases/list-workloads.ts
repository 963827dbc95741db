import { matchesLabels } from '../domain/label.ts'
import { buildWorkload, zeroTime, type Workload } from '../domain/workload.ts'
import { isListedByDefault, type StatusRecord } from '../domain/workload-status.ts'
import { isThvError, messageOf, ThvError } from '../errors.ts'
import type { RunConfig } from '../domain/run-config.ts'
import type { ProcessTable } from '../ports/process-table.ts'
import type { RunConfigStore, StateProblem, StatusStore } from '../ports/state-store.ts'
import { readAssessed } from './workload-view.ts'

/** What reading workloads needs. Reading never writes. */
export interface ReadWorkloadDeps {
  configs: RunConfigStore
  statuses: StatusStore
  processes: ProcessTable
}

/** Which workloads to list; everything that is not stopped by default. */
export interface ListFilter {
  all?: boolean
  group?: string
  labels?: readonly [key: string, value: string][]
}

/** Workloads sorted by name, and files that had to be passed over. */
export interface WorkloadListing {
  workloads: Workload[]
  problems: StateProblem[]
}

/** Lists workloads as they are now. A file that cannot be read becomes a problem, never a failure of the list. */
export async function listWorkloads(deps: ReadWorkloadDeps, filter: ListFilter): Promise<WorkloadListing> {
  const [statuses, configs] = await Promise.all([deps.statuses.list(), deps.configs.list()])
  const problems = [...statuses.problems, ...configs.problems]
  const names = [...new Set([...statuses.names, ...configs.names])].sort()
  const views = await Promise.all(names.map((name) => view(deps, name, problems)))
  const workloads = views.filter((workload) => workload !== undefined).filter((workload) => isWanted(workload, filter))
  return { workloads, problems }
}

/** One workload as it is now. `workload-not-found`. */
export async function getWorkload(deps: ReadWorkloadDeps, name: string): Promise<Workload> {
  const problems: StateProblem[] = []
  const workload = await view(deps, name, problems)
  if (workload !== undefined) return workload
  throw workloadNotFound(name)
}

/** The one wording of "no such workload"; tools match on `not found`. */
export function workloadNotFound(name: string): ThvError {
  return new ThvError('workload-not-found', `workload '${name}' not found`, {
    hint: "see 'thv list --all' for what there is",
  })
}

async function view(deps: ReadWorkloadDeps, name: string, problems: StateProblem[]): Promise<Workload | undefined> {
  const before = problems.length
  const assessed = await tolerate(() => readAssessed(deps, name), `statuses/${name}.json`, problems)
  const statusUnreadable = problems.length > before
  const config = await tolerate(() => deps.configs.load(name), `runconfigs/${name}.json`, problems)
  if (assessed?.record === undefined) return withoutStatus(name, config, statusUnreadable)
  return buildWorkload({ name, config, record: assessed.record, ownerAlive: assessed.ownerAlive })
}

/**
 * Without a status there is only a guess: a config alone was never started, an
 * unreadable status hides whatever is true (a live supervisor writes it again within seconds).
 */
function withoutStatus(name: string, config: RunConfig | undefined, unreadable: boolean): Workload | undefined {
  if (config === undefined && !unreadable) return undefined
  const record: StatusRecord = {
    status: unreadable ? 'unknown' : 'stopped',
    status_context: unreadable ? 'the status file cannot be read' : 'no status recorded',
    created_at: zeroTime,
    updated_at: zeroTime,
    process_id: 0,
  }
  return buildWorkload({ name, config, record, ownerAlive: false })
}

async function tolerate<T>(
  load: () => Promise<T | undefined>,
  file: string,
  problems: StateProblem[],
): Promise<T | undefined> {
  try {
    return await load()
  } catch (error) {
    if (!isThvError(error)) throw error
    problems.push({ file, reason: messageOf(error) })
    return undefined
  }
}

function isWanted(workload: Workload, filter: ListFilter): boolean {
  if (filter.all !== true && !isListedByDefault(workload.status)) return false
  if (filter.group !== undefined && (workload.group ?? '') !== filter.group) return false
  return matchesLabels(workload.labels ?? {}, filter.labels ?? [])
}
