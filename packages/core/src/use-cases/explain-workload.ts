import { isRemote, type RunConfig } from '../domain/run-config.ts'
import { statusReasons, type ReasonCode } from '../domain/status-reason.ts'
import { buildWorkload, type Workload } from '../domain/workload.ts'
import type { ProbeRun, StatusRecord } from '../domain/workload-status.ts'
import { getWorkload, type ReadWorkloadDeps } from './list-workloads.ts'
import { readAssessed } from './workload-view.ts'

/** One link of the chain that led to a state. */
export interface Cause {
  /** Since when, RFC 3339; absent where that is not known. */
  at?: string
  message: string
}

/** Why a workload is as it is. */
export interface Explanation extends Pick<Workload, 'name' | 'status' | 'reason' | 'reason_message' | 'since'> {
  /** What is seen comes first, what led to it after. */
  causes: Cause[]
  /** What probes of its server found, oldest first. The last run goes on only as long as a supervisor lives. */
  probes: ProbeRun[]
  supervisor_pid?: number
  last_error?: Workload['last_error']
  server_card?: Workload['server_card']
  last_stderr?: string[]
  /** What can be done; empty when nothing needs to be. */
  todo: string
}

/** Explains the present state of a workload. Reads only; `workload-not-found`. */
export async function explainWorkload(deps: ReadWorkloadDeps, name: string): Promise<Explanation> {
  const config = await deps.configs.load(name).catch(() => undefined)
  // A status that cannot be read is a state too, and `getWorkload` knows which.
  const { record, ownerAlive } = await readAssessed(deps, name).catch(() => unread)
  if (record === undefined) return explain(await getWorkload(deps, name), undefined, config)
  // From the record that was read, so that its parts are of one moment.
  return explain(buildWorkload({ name, config, record, ownerAlive }), record, config)
}

const unread = { record: undefined, ownerAlive: false }

function explain(workload: Workload, record: StatusRecord | undefined, config: RunConfig | undefined): Explanation {
  const { name, status, reason, reason_message, since, last_error, server_card, last_stderr, supervisor_pid } = workload
  const probes = record?.thv?.probes ?? []
  return {
    name,
    status,
    reason,
    reason_message,
    since,
    causes: [
      { at: since, message: `it is ${status}: ${reason_message}` },
      ...causesOfProbes(probes, supervisor_pid !== undefined),
      ...causesOfServer(workload),
      ...causesOfScopes(record),
      causeOfSupervisor(workload, config),
    ],
    probes,
    ...(supervisor_pid === undefined ? {} : { supervisor_pid }),
    ...(last_error === undefined ? {} : { last_error }),
    ...(server_card === undefined ? {} : { server_card }),
    ...(last_stderr === undefined ? {} : { last_stderr }),
    todo: todoOf(reason, name, record),
  }
}

/** The last run, which goes on when somebody asks, and what it followed. */
function causesOfProbes(probes: readonly ProbeRun[], goesOn: boolean): Cause[] {
  const [before, last] = [probes.at(-2), probes.at(-1)]
  if (last === undefined) return []
  const say = goesOn ? 'since then its probes have found' : 'its last probes found'
  const found: Cause[] = [{ at: last.since, message: `${say}: ${last.message}` }]
  if (before === undefined) return found
  const times = before.count === 1 ? 'once' : `${before.count} times`
  return [...found, { at: before.since, message: `before that, ${times}: ${before.message}` }]
}

function causesOfServer({ status, restarts = 0, last_error: error }: Workload): Cause[] {
  const causes: Cause[] = []
  const times = restarts === 1 ? 'once' : `${restarts} times`
  if (restarts > 0) causes.push({ message: `its server was restarted ${times} since its last stable run` })
  if (error !== undefined && (status === 'running' || status === 'stopped')) {
    causes.push({ at: error.at, message: `the last thing that went wrong: ${error.message}` })
  }
  return causes
}

/** Some calls are refused while all others work: nothing else shows it. */
function causesOfScopes(record: StatusRecord | undefined): Cause[] {
  const scopes = record?.thv?.wanted_scopes ?? []
  if (scopes.length === 0) return []
  return [{ message: `calls were refused because the login lacks a scope: ${scopes.join(', ')}` }]
}

function causeOfSupervisor({ supervisor_pid: pid }: Workload, config: RunConfig | undefined): Cause {
  const work = config !== undefined && isRemote(config) ? 'asks the remote server and serves its proxy' : 'runs it'
  return { message: pid === undefined ? 'no process supervises it' : `process ${pid} ${work}` }
}

function todoOf(reason: ReasonCode, name: string, record: StatusRecord | undefined): string {
  const isLacking = (record?.thv?.wanted_scopes ?? []).length > 0
  const { todo } = statusReasons[reason === 'serving' && isLacking ? 'scope-missing' : reason]
  return todo.replaceAll('NAME', name)
}
