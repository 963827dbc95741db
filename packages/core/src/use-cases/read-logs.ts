import { ThvError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { LogFiles, LogKind } from '../ports/state-store.ts'
import { getWorkload, type ReadWorkloadDeps } from './list-workloads.ts'

/**
 * The last lines of a workload's output (`limits.logTailLines`). A server that has written
 * nothing gives nothing; a supervisor always writes, so its missing log is `logs-not-found`.
 * `workload-not-found`, `invalid-name`.
 */
export async function readLogs(
  deps: ReadWorkloadDeps & { logs: LogFiles },
  name: string,
  which: LogKind,
): Promise<string> {
  await getWorkload(deps, name)
  const text = await deps.logs.readTail(name, which, limits.logTailLines)
  if (text !== undefined) return text
  if (which === 'server') return ''
  throw new ThvError('logs-not-found', `proxy logs of workload '${name}' not found`, {
    hint: 'start the workload, and look again',
  })
}
