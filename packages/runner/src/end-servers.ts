import { limits, type Deployment } from '@thv/core'
import { runnerLimits } from './limits.ts'
import type { Supervision } from './supervision.ts'

/**
 * Ends the servers politely within the time the stop was given: first the calls in
 * flight, then all process trees in parallel. The status says `stopping` from the
 * start. May be called again when nothing is left to end.
 */
export async function endServers(supervision: Supervision, deployment: Deployment | undefined): Promise<void> {
  const { deps, proxy, reporter, lanes } = supervision
  await reporter.report('stop', {}, AbortSignal.timeout(runnerLimits.finalWriteMs))
  const deadline = await reporter.stopDeadline()
  const leftMs = deadline === undefined ? limits.stopMs : deadline.getTime() - deps.clock.now().getTime()
  const budgetMs = Math.max(0, Math.min(leftMs, limits.maxStopMs))
  const drainMs = Math.min(runnerLimits.drainMs, budgetMs / 2)
  const begun = deps.clock.monotonicMs()
  lanes.limit(budgetMs)
  await proxy.close(drainMs)
  const restMs = Math.max(0, budgetMs - (deps.clock.monotonicMs() - begun))
  await Promise.all([deployment?.stop(restMs), lanes.close()])
}
