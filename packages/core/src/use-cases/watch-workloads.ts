import type { Workload } from '../domain/workload.ts'
import { isThvError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { StatusWatch } from '../ports/status-watch.ts'
import { getWorkload, listWorkloads, type ReadWorkloadDeps } from './list-workloads.ts'

/** What {@link watchWorkloads} needs. */
export interface WatchWorkloadsDeps extends ReadWorkloadDeps {
  statusWatch: StatusWatch
}

/** What happened to a workload. */
export interface WorkloadChange {
  change: 'added' | 'changed' | 'removed'
  /** As it is now; of a removed one, as it was. */
  workload: Workload
  /** As it was before a change. */
  previous?: Workload
}

/** What a watch knows, and whom it tells. */
export interface WorkloadWatch {
  /** Workloads by name as they were seen last; kept true. What it holds at the beginning is what changes are told against. */
  known: Map<string, Workload>
  changed: (change: WorkloadChange) => void
  /** A look failed with this error; undefined when one succeeded. */
  looked: (error?: unknown) => void
}

/**
 * Tells what happens to workloads until the signal aborts: the same view as the list's, read anew when a
 * status may have changed. While one look is under way, what comes is gathered for the next. Resolves when
 * it has looked at all of them once; rejects when that look fails.
 */
export async function watchWorkloads(
  deps: WatchWorkloadsDeps,
  watch: WorkloadWatch,
  signal: AbortSignal,
): Promise<void> {
  const names = new Set<string>()
  let isAll = false
  let isLooking = true

  async function look(): Promise<void> {
    isLooking = true
    try {
      while (!signal.aborted && (isAll || names.size > 0)) {
        const some = isAll ? undefined : [...names]
        isAll = false
        names.clear()
        if (some === undefined) await lookAtAll(deps, watch, signal)
        else await Promise.all(some.map(async (name) => await lookAt(deps, watch, { name, signal })))
      }
    } finally {
      isLooking = false
    }
  }

  deps.statusWatch.watch((name) => {
    if (name === undefined || names.size >= limits.statusBurst) isAll = true
    else names.add(name)
    if (!isLooking) void look().catch(watch.looked)
  }, signal)
  await lookAtAll(deps, watch, signal)
  await look()
}

async function lookAtAll(deps: WatchWorkloadsDeps, watch: WorkloadWatch, signal: AbortSignal): Promise<void> {
  const { workloads } = await listWorkloads(deps, { all: true })
  if (signal.aborted) return
  const names = new Set(workloads.map(({ name }) => name))
  for (const name of watch.known.keys()) if (!names.has(name)) tell(watch, name, undefined)
  for (const workload of workloads) tell(watch, workload.name, workload)
  watch.looked()
}

async function lookAt(
  deps: WatchWorkloadsDeps,
  watch: WorkloadWatch,
  { name, signal }: { name: string; signal: AbortSignal },
): Promise<void> {
  const workload = await getWorkload(deps, name).catch((error: unknown) => {
    if (isThvError(error) && error.code === 'workload-not-found') return undefined
    throw error
  })
  if (!signal.aborted) tell(watch, name, workload)
}

function tell({ known, changed }: WorkloadWatch, name: string, workload: Workload | undefined): void {
  const previous = known.get(name)
  if (workload === undefined) {
    if (previous === undefined) return
    known.delete(name)
    changed({ change: 'removed', workload: previous })
    return
  }
  known.set(name, workload)
  if (previous === undefined) changed({ change: 'added', workload })
  else if (JSON.stringify(previous) !== JSON.stringify(workload)) changed({ change: 'changed', workload, previous })
}
