import type { WorkloadStatus } from '../domain/state-machine.ts'
import type { StatusRecord } from '../domain/workload-status.ts'
import { assessStatus, type ProcessIdentity } from '../domain/workload-status.ts'
import { limits } from '../limits.ts'
import { messageOf, ThvError } from '../errors.ts'
import type { LaunchedSupervisor, ProcessExit, SupervisorLauncher } from '../ports/supervisor-launcher.ts'
import { applyEvent, changeStatus, type ChangeStatusDeps } from './change-status.ts'
import { announce, endOwner } from './stop-workload.ts'
import { readAssessed, type AssessedRecord } from './workload-view.ts'

/** What launching a supervisor needs. */
export interface LaunchDeps extends ChangeStatusDeps {
  launcher: SupervisorLauncher
}

/**
 * Launches the supervisor of a workload whose status is `starting` and owned by
 * the caller, hands ownership over, and waits until the server really serves.
 * Throws what the supervisor recorded when it does not. Once the signal has aborted
 * nothing is launched, and what was launched is ended before this rejects; the status
 * is then `stopping` or `stopped`, for the caller to bring to its end.
 */
export async function launchAndWait(
  deps: LaunchDeps,
  name: string,
  options: { debug: boolean },
  signal: AbortSignal,
): Promise<StatusRecord> {
  signal.throwIfAborted()
  const supervisor = await launch(deps, name, options)
  await handOver(deps, name, supervisor.identity)
  try {
    return await waitUntilServing(deps, name, signal)
  } catch (error) {
    if (signal.aborted) await abandon(deps, name, supervisor.identity)
    throw (await deadWithoutWord(deps, name, supervisor)) ?? error
  }
}

/** Puts the new supervisor on record. One that cannot be recorded is ended: nothing would ever stop it. */
async function handOver(deps: LaunchDeps, name: string, supervisor: ProcessIdentity): Promise<void> {
  try {
    await changeStatus(
      deps,
      name,
      ({ record }) => {
        // The supervisor may have claimed, or even failed, before we got here: then it has the word.
        if (record === undefined || record.status !== 'starting' || record.process_id !== 0) return undefined
        return applyEvent(record, 'launch', deps.clock.now(), {
          processId: supervisor.pid,
          extension: { owner: supervisor },
        })
      },
      // Not the caller's: an interrupted command must know on record what it has to end.
      AbortSignal.timeout(limits.lockMs),
    )
  } catch (error) {
    await abandon(deps, name, supervisor)
    throw error
  }
}

/** Ends a supervisor that nobody waits for any more, whether or not that can be written down. */
async function abandon(deps: LaunchDeps, name: string, supervisor: ProcessIdentity): Promise<void> {
  const undo = AbortSignal.timeout(limits.undoMs)
  try {
    await announce(deps, name, { event: 'stop', timeoutMs: limits.deleteMs }, undo)
  } catch {
    // The supervisor then gives its server the usual time, and is killed when ours is over.
  }
  await endOwner(deps, supervisor, limits.deleteMs, undo)
}

/**
 * The error for a supervisor that died and left `starting` behind: only its parent knows how it ended, and puts that on
 * record. Undefined for one that lives, or has said itself what went wrong.
 */
async function deadWithoutWord(
  deps: LaunchDeps,
  name: string,
  supervisor: LaunchedSupervisor,
): Promise<ThvError | undefined> {
  const isOurs = ({ record, ownerAlive }: AssessedRecord): boolean =>
    !ownerAlive && record?.status === 'starting' && record.process_id === supervisor.identity.pid
  if (!isOurs(await readAssessed(deps, name))) return undefined
  const late = deps.clock.sleep(limits.exitKnownMs, new AbortController().signal)
  const context = describeExit(await Promise.race([supervisor.exit(), late]))
  const code = 'supervisor-failed'
  await changeStatus(
    deps,
    name,
    (view) => {
      if (view.record === undefined || !isOurs(view)) return undefined
      return applyEvent(view.record, 'fail', deps.clock.now(), {
        context,
        reason: 'start-interrupted',
        processId: 0,
        extension: { error_code: code },
      })
    },
    AbortSignal.timeout(limits.lockMs),
    // What cannot be written can still be told.
  ).catch(() => undefined)
  return new ThvError(code, `'${name}' did not start: ${context}`, { hint: seeLogs(name) })
}

function describeExit(exit: ProcessExit | void): string {
  if (exit === undefined) return 'its supervisor ended'
  return exit.signal === null
    ? `its supervisor ended with exit code ${exit.code}`
    : `its supervisor was killed by ${exit.signal}`
}

async function launch(deps: LaunchDeps, name: string, options: { debug: boolean }): Promise<LaunchedSupervisor> {
  try {
    return await deps.launcher.launch(name, options)
  } catch (error) {
    const context = messageOf(error)
    await changeStatus(
      deps,
      name,
      ({ record }) => (record === undefined ? undefined : applyEvent(record, 'fail', deps.clock.now(), { context })),
      AbortSignal.timeout(limits.lockMs),
    )
    throw error
  }
}

/**
 * Waits until it serves, or for a remote server until it is known how that is: `running`, `unhealthy` or
 * `unauthenticated` under a living supervisor. `server-exited`, `server-start-timeout` or `supervisor-failed` otherwise.
 */
export async function waitUntilServing(
  deps: ChangeStatusDeps,
  name: string,
  signal: AbortSignal,
): Promise<StatusRecord> {
  const deadline = deps.clock.monotonicMs() + limits.startMs
  const done = new AbortController()
  let wake = (): void => {}
  deps.statuses.watch(name, () => wake(), AbortSignal.any([signal, done.signal]))
  try {
    for (;;) {
      const changed = new Promise<void>((resolve) => {
        wake = resolve
      })
      signal.throwIfAborted()
      const view = await readAssessed(deps, name)
      const settled = judge(name, view)
      if (settled !== undefined) return settled
      const leftMs = deadline - deps.clock.monotonicMs()
      if (leftMs <= 0) throw startTimeout(name, view.record)
      const pause = deps.clock.sleep(Math.min(leftMs, limits.servingPollMs), AbortSignal.any([signal, done.signal]))
      await Promise.race([changed, pause])
    }
  } finally {
    done.abort()
  }
}

function judge(name: string, { record, ownerAlive }: AssessedRecord): StatusRecord | undefined {
  if (record === undefined) {
    throw new ThvError('workload-not-found', `workload '${name}' was removed while it started`, {
      hint: "run it again with 'thv run'",
    })
  }
  const assessed = assessStatus(name, record, ownerAlive)
  // A server that served and crashed is being restarted: that may still end well. One that never
  // served ends in `error` at its first failure.
  if (assessed.status === 'starting') return undefined
  if (servingStatuses.has(assessed.status) && ownerAlive) return record
  if (assessed.status === 'stopping' || assessed.status === 'stopped') {
    throw new ThvError('cancelled', `'${name}' was stopped while it started`, { hint: `run 'thv start ${name}'` })
  }
  throw startFailed(name, record, assessed.context)
}

/** A supervisor keeps it so: of a remote server that is down or wants a login there is nothing more to wait for. */
const servingStatuses: ReadonlySet<WorkloadStatus> = new Set([
  'running',
  'auth_retrying',
  'unauthenticated',
  'unhealthy',
])

function startFailed(name: string, record: StatusRecord, context: string | undefined): ThvError {
  const code = record.thv?.error_code ?? 'server-exited'
  return new ThvError(code, `'${name}' did not start: ${context ?? `it is ${record.status}`}`, {
    hint: seeLogs(name),
    detail: record.thv?.last_stderr ?? [],
  })
}

function seeLogs(name: string): string {
  return `see 'thv logs ${name}' and 'thv logs ${name} --proxy'`
}

function startTimeout(name: string, record: StatusRecord | undefined): ThvError {
  return new ThvError('server-start-timeout', `'${name}' did not answer within ${limits.startMs / 1000} s`, {
    hint: `it is still starting; see 'thv status ${name}' and 'thv logs ${name}'`,
    detail: record?.thv?.last_stderr ?? [],
  })
}
