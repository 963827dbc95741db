import type { RunConfig } from '../domain/run-config.ts'
import { isContainer, type ProcessIdentity, type StatusRecord } from '../domain/workload-status.ts'
import { limits } from '../limits.ts'
import { isThvError, messageOf, ThvError, type ErrorCode } from '../errors.ts'
import type { ContainerTable } from '../ports/container-table.ts'
import type { RunConfigStore } from '../ports/state-store.ts'
import { applyEvent, changeStatus, type ChangeStatusDeps } from './change-status.ts'
import { assertRunsHere } from './build-run-config.ts'
import { workloadNotFound } from './list-workloads.ts'
import { readAssessed } from './workload-view.ts'

/** What {@link stopWorkload} needs. */
export interface StopWorkloadDeps extends ChangeStatusDeps {
  configs: RunConfigStore
  containers: ContainerTable
}

/**
 * Stops a workload: the supervisor is asked, and has `timeoutMs` (default 30 s) to
 * end the server politely, then firmly; a supervisor that does not obey is killed
 * and the tree with it. Stopping what does not run is fine; `workload-not-found`
 * for a name that does not exist; `runtime-unsupported` for one that another program
 * runs. A disk that takes no status does not keep a server running: it is ended all
 * the same, and the error says so.
 */
export async function stopWorkload(
  deps: StopWorkloadDeps,
  name: string,
  options: { timeoutMs?: number },
  signal: AbortSignal,
): Promise<void> {
  const timeoutMs = options.timeoutMs ?? limits.stopMs
  await assertRunsHere(deps.configs, name, 'stop')
  const { owner, unwritten } = await tryAnnounce(deps, name, { event: 'stop', timeoutMs }, signal)
  if (owner === 'absent') {
    if (await isSaved(deps, name)) return
    throw workloadNotFound(name)
  }
  if (owner === 'stopped') return
  if (owner !== undefined) await endOwnerOf(deps, { name, owner, timeoutMs }, signal)
  await reapLeftovers(deps, name, signal)
  if (unwritten !== undefined) throw stoppedUnwritten(name, unwritten)
  try {
    await recordStopped(deps, name, signal)
  } catch (error) {
    if (isWriteFailure(error)) throw stoppedUnwritten(name, error)
    throw error
  }
}

async function recordStopped(deps: ChangeStatusDeps, name: string, signal: AbortSignal): Promise<void> {
  const self = await deps.processes.self()
  await changeStatus(
    deps,
    name,
    ({ record, ownerAlive }) => {
      // A supervisor that could not end its server has said so; it is ended now.
      if (record?.status !== 'stopping' && record?.status !== 'error') return undefined
      if (ownerAlive && ownerOf(record)?.pid !== self.pid) return undefined
      return stoppedRecord(record, deps.clock.now())
    },
    signal,
  )
}

/** What a state store says when it cannot write, whatever the record is. */
const writeFailures: readonly ErrorCode[] = ['state-full', 'state-denied', 'state-failed']

function isWriteFailure(error: unknown): error is ThvError {
  return isThvError(error) && writeFailures.includes(error.code)
}

/** The error for a server that was ended although that could not be written down. */
function stoppedUnwritten(name: string, cause: ThvError): ThvError {
  return new ThvError(cause.code, `'${name}' was stopped, but its status could not be written: ${messageOf(cause)}`, {
    hint: cause.hint ?? 'mend the disk, then stop it again',
    cause,
  })
}

/**
 * As {@link announce}; when the disk does not take the status, the record that stands
 * there still says which process must end.
 */
export async function tryAnnounce(
  deps: ChangeStatusDeps,
  name: string,
  intent: { event: 'stop' | 'delete'; timeoutMs: number },
  signal: AbortSignal,
): Promise<{ owner: AnnouncedTo; unwritten?: ThvError }> {
  try {
    return { owner: await announce(deps, name, intent, signal) }
  } catch (unwritten) {
    if (!isWriteFailure(unwritten)) throw unwritten
    const { record, ownerAlive } = await readAssessed(deps, name)
    if (record === undefined) return { owner: 'absent', unwritten }
    const owner = ownerAlive ? await otherThanSelf(deps, ownerOf(record)) : undefined
    return { owner, unwritten }
  }
}

/** The record of a workload that was stopped on purpose. */
export function stoppedRecord(record: StatusRecord, now: Date): StatusRecord | undefined {
  // A supervisor may be ended by a signal of the system, with no stop announced before.
  const stopping = applyEvent(record, 'stop', now) ?? record
  const stopped = applyEvent(stopping, 'stopped', now, { processId: 0 })
  if (stopped?.thv === undefined) return stopped
  const {
    owner: _owner,
    server: _server,
    lanes: _lanes,
    stop_deadline: _deadline,
    restarts: _restarts,
    error_code: _code,
    ...kept
  } = stopped.thv
  return { ...stopped, thv: kept }
}

/**
 * The process that must end: undefined when none lives but the calling one (a command that takes its own
 * start back owns the record and must not end itself), `'absent'` when there is no record, `'stopped'` when
 * it was stopped before, so that nothing of it is left.
 */
export type AnnouncedTo = ProcessIdentity | 'absent' | 'stopped' | undefined

/** Writes `stopping` (or `removing`). */
export async function announce(
  deps: ChangeStatusDeps,
  name: string,
  intent: { event: 'stop' | 'delete'; timeoutMs: number },
  signal: AbortSignal,
): Promise<AnnouncedTo> {
  const { event, timeoutMs } = intent
  const self = await deps.processes.self()
  let result: AnnouncedTo
  await changeStatus(
    deps,
    name,
    ({ record, ownerAlive }) => {
      if (record === undefined) {
        result = 'absent'
        return undefined
      }
      const owner = ownerAlive ? ownerOf(record) : undefined
      result = owner?.pid === self.pid ? undefined : owner
      if (!ownerAlive && record.status === 'stopped') result = 'stopped'
      if (event === 'stop' && result === 'stopped') return undefined
      const stopDeadline = new Date(deps.clock.now().getTime() + timeoutMs).toISOString()
      return applyEvent(record, event, deps.clock.now(), { extension: { stop_deadline: stopDeadline } })
    },
    signal,
  )
  return result
}

/**
 * Ends the owner of a workload as {@link endOwner}; a shared one is waited for until it has let
 * go, and whoever it has handed the workload to is ended. `workload-busy` when it does not.
 */
export async function endOwnerOf(
  deps: ChangeStatusDeps,
  announced: { name: string; owner: ProcessIdentity; timeoutMs: number },
  signal: AbortSignal,
): Promise<void> {
  const { name, timeoutMs } = announced
  let owner: ProcessIdentity | undefined = announced.owner
  const deadline = deps.clock.monotonicMs() + timeoutMs + limits.supervisorGraceMs
  while (owner?.shared === true) {
    if (deps.clock.monotonicMs() >= deadline) {
      throw new ThvError('workload-busy', `the API server (pid ${owner.pid}) is still working on '${name}'`, {
        hint: 'try again in a moment',
      })
    }
    await deps.clock.sleep(limits.endPollMs, signal)
    const { record, ownerAlive } = await readAssessed(deps, name)
    owner = record === undefined || !ownerAlive ? undefined : ownerOf(record)
  }
  if (owner !== undefined) await endOwner(deps, owner, timeoutMs, signal)
}

/** Ends the owner: asks, waits, then kills. Resolves when it is gone; never ends the calling process. */
export async function endOwner(
  deps: ChangeStatusDeps,
  announced: ProcessIdentity,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  const found = announced.started === '' ? await deps.processes.identify(announced.pid) : announced
  const owner = await otherThanSelf(deps, found)
  if (owner === undefined) return
  if (!(await deps.processes.signal(owner, 'SIGTERM'))) {
    if (!(await deps.processes.isAlive(owner))) return
    throw new ThvError('state-denied', `the supervisor process ${owner.pid} cannot be signalled`, {
      hint: 'it belongs to another user; stop the workload as that user',
    })
  }
  if (await waitForEnd(deps, owner, timeoutMs + limits.supervisorGraceMs, signal)) return
  await deps.processes.signal(owner, 'SIGKILL')
  if (await waitForEnd(deps, owner, limits.supervisorGraceMs, signal)) return
  throw new ThvError('stop-timeout', `the supervisor process ${owner.pid} cannot be ended`, {
    hint: `look at it with 'ps -p ${owner.pid}'; it may hang in the kernel`,
  })
}

/** Ends what is left of the servers whose supervisor is dead. */
export async function reapLeftovers(deps: StopWorkloadDeps, name: string, signal: AbortSignal): Promise<void> {
  const config = await tolerateUnusable(async () => await deps.configs.load(name))
  await reapServers(deps, { name, record: await deps.statuses.read(name), config }, signal)
}

/**
 * Ends every server of a workload: the process trees that its record names, and its
 * containers. Those are asked for by the workload's name, because a supervisor that is
 * killed while it creates one has not put it on record yet.
 */
export async function reapServers(
  deps: Pick<StopWorkloadDeps, 'processes' | 'containers'>,
  left: { name: string; record: StatusRecord | undefined; config: RunConfig | undefined },
  signal: AbortSignal,
): Promise<void> {
  // Whoever writes that has ended everything, and no engine is needed to know it.
  if (left.record?.status === 'stopped') return
  const { server, lanes = [] } = left.record?.thv ?? {}
  const all = server === undefined ? lanes : [server, ...lanes]
  const processes = all.flatMap((one) => (isContainer(one) ? [] : [one]))
  await Promise.all(processes.map(async (one) => await deps.processes.reap(one, signal)))
  // Where they were started: the engine that is found now may be another one.
  const engines = new Set(all.flatMap((one) => (isContainer(one) ? [one.engine] : [])))
  if (left.config?.thv?.runtime !== 'container' && engines.size === 0) return
  await deps.containers.reap(left.name, [...engines], signal)
}

/** A config that cannot be used tells nothing, and the record may still do. */
async function tolerateUnusable<T>(load: () => Promise<T | undefined>): Promise<T | undefined> {
  try {
    return await load()
  } catch (error) {
    if (isThvError(error)) return undefined
    throw error
  }
}

/** The process, unless it is the calling one: a pid is enough, because the calling process lives. */
async function otherThanSelf(
  deps: ChangeStatusDeps,
  owner: ProcessIdentity | undefined,
): Promise<ProcessIdentity | undefined> {
  return owner?.pid === (await deps.processes.self()).pid ? undefined : owner
}

function ownerOf(record: StatusRecord): ProcessIdentity | undefined {
  if (record.thv?.owner !== undefined) return record.thv.owner
  // Written by ToolHive: no start time is known, its command line was checked a moment ago.
  return record.process_id > 0 ? { pid: record.process_id, started: '' } : undefined
}

async function waitForEnd(
  deps: ChangeStatusDeps,
  owner: ProcessIdentity,
  withinMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const deadline = deps.clock.monotonicMs() + withinMs
  for (;;) {
    if (!(await deps.processes.isAlive(owner))) return true
    if (deps.clock.monotonicMs() >= deadline) return false
    await deps.clock.sleep(limits.endPollMs, signal)
  }
}

async function isSaved(deps: StopWorkloadDeps, name: string): Promise<boolean> {
  return (await deps.configs.load(name)) !== undefined
}
