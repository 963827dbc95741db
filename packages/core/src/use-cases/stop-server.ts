import type { ServerRecord } from '../domain/server-record.ts'
import type { ProcessIdentity } from '../domain/workload-status.ts'
import { ThvError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Clock } from '../ports/clock.ts'
import type { ProcessTable } from '../ports/process-table.ts'
import type { ServerRecordStore } from '../ports/server-records.ts'
import { withdrawServer } from './announce-server.ts'
import { evaluateServer, type EvaluateServerDeps } from './evaluate-server.ts'

/** What {@link stopServer} needs. */
export interface StopServerDeps extends EvaluateServerDeps {
  records: ServerRecordStore
  processes: Pick<ProcessTable, 'identify' | 'isAlive' | 'signal'>
  clock: Clock
}

/**
 * Ends the user's API server and resolves to its record when it is gone; to undefined when none ran. The workloads go on.
 * Only a process that is surely the server is signalled: the one whose start time is in the record or, for a record without
 * (ToolHive's), one that has just answered with its nonce. A record that was left behind is removed. Rejects with
 * `server-record-refused`, `api-server-unverified`, `stop-timeout`, `state-…` or the signal's reason.
 */
export async function stopServer(deps: StopServerDeps, signal: AbortSignal): Promise<ServerRecord | undefined> {
  const found = await evaluateServer(deps, signal)
  if (found.state === 'not_found') return undefined
  if (found.state === 'refused') {
    throw new ThvError('server-record-refused', `'${deps.records.path}' is not believed: ${found.reason}`, {
      hint: 'look at it, and remove it if nobody needs it',
    })
  }
  const { record } = found
  const isHung = found.state === 'unhealthy'
  if (found.state !== 'stale') await end(deps, await requireProcess(deps, record, isHung), isHung, signal)
  await withdrawServer(deps, record.nonce, signal)
  return found.state === 'stale' ? undefined : record
}

async function requireProcess(
  { processes }: StopServerDeps,
  record: ServerRecord,
  isHung: boolean,
): Promise<ProcessIdentity> {
  const found = await processes.identify(record.pid)
  const isSure = record.thv === undefined ? !isHung : record.thv.started === found?.started
  if (found !== undefined && isSure) return found
  throw new ThvError(
    'api-server-unverified',
    `process ${record.pid} cannot be shown to be the API server at ${record.url}, and is left alone`,
    { hint: `look at it with 'ps -p ${record.pid}', and end it yourself if it is the server` },
  )
}

async function end(deps: StopServerDeps, server: ProcessIdentity, isHung: boolean, signal: AbortSignal): Promise<void> {
  const { processes } = deps
  if (!(await processes.signal(server, 'SIGTERM')) && (await processes.isAlive(server))) {
    throw new ThvError('state-denied', `the API server process ${server.pid} cannot be signalled`, {
      hint: 'it belongs to another user; stop it as that user',
    })
  }
  const politeMs = isHung ? limits.hungServerStopMs : limits.serverStopMs
  if (await isGoneWithin(deps, server, politeMs, signal)) return
  await processes.signal(server, 'SIGKILL')
  if (await isGoneWithin(deps, server, limits.supervisorGraceMs, signal)) return
  throw new ThvError('stop-timeout', `the API server process ${server.pid} cannot be ended`, {
    hint: `look at it with 'ps -p ${server.pid}'; it may hang in the kernel`,
  })
}

async function isGoneWithin(
  { processes, clock }: StopServerDeps,
  server: ProcessIdentity,
  withinMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const deadline = clock.monotonicMs() + withinMs
  while (await processes.isAlive(server)) {
    if (clock.monotonicMs() > deadline) return false
    await clock.sleep(limits.endPollMs, signal)
  }
  return true
}
