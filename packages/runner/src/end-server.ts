import { limits, type Deployment } from '@thv/core'
import { runnerLimits } from './limits.ts'
import type { Supervision } from './supervision.ts'

/**
 * Ends the server politely within the time the stop was given: first the calls in
 * flight, then the process tree. The status says `stopping` from the start.
 */
export async function endServer(supervision: Supervision, deployment: Deployment): Promise<void> {
  const { deps, proxy, reporter } = supervision
  await reporter.report('stop', {}, AbortSignal.timeout(runnerLimits.finalWriteMs))
  const deadline = await reporter.stopDeadline()
  const leftMs = deadline === undefined ? limits.stopMs : deadline.getTime() - deps.clock.now().getTime()
  const budgetMs = Math.max(0, Math.min(leftMs, limits.maxStopMs))
  const drainMs = Math.min(runnerLimits.drainMs, budgetMs / 2)
  const begun = deps.clock.monotonicMs()
  await proxy.close(drainMs)
  await deployment.stop(Math.max(0, budgetMs - (deps.clock.monotonicMs() - begun)))
}
