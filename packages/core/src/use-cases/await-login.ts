import type { Workload } from '../domain/workload.ts'
import { limits } from '../limits.ts'
import type { Clock } from '../ports/clock.ts'
import { getWorkload, type ReadWorkloadDeps } from './list-workloads.ts'

/**
 * How a workload is once its supervisor has taken a new login up, or `limits.loginTakenMs` are over. `workload-not-found`,
 * and the signal's reason.
 */
export async function awaitLogin(
  deps: ReadWorkloadDeps & { clock: Clock },
  name: string,
  signal: AbortSignal,
): Promise<Workload> {
  const deadline = deps.clock.monotonicMs() + limits.loginTakenMs
  for (;;) {
    const workload = await getWorkload(deps, name)
    const isWaiting = workload.status === 'unauthenticated' || workload.status === 'auth_retrying'
    if (!isWaiting || workload.supervisor_pid === undefined || deps.clock.monotonicMs() >= deadline) return workload
    await deps.clock.sleep(limits.loginPollMs, signal)
  }
}
