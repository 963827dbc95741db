import { isThvError, messageOf } from '@thv/core'
import { runnerLimits } from './limits.ts'
import type { Supervision } from './supervision.ts'

/**
 * Checks now and then that the workload is still ours to run; aborts `lost` when
 * it was deleted behind our back or another supervisor has taken over. Returns the
 * function that ends the watch.
 */
export function watchOwnership(supervision: Supervision, lost: AbortController): () => void {
  const { deps, config, reporter } = supervision
  let checking = false
  const timer = setInterval(() => {
    if (checking || supervision.signal.aborted) return
    checking = true
    void check()
      .catch((error: unknown) => deps.log('warn', 'the status could not be verified', { error: messageOf(error) }))
      .finally(() => {
        checking = false
      })
  }, runnerLimits.ownershipCheckMs)
  return () => clearInterval(timer)

  async function check(): Promise<void> {
    const ownership = await reporter.verify(isSaved, AbortSignal.timeout(runnerLimits.finalWriteMs))
    if (ownership === 'ours') return
    if (ownership === 'ended') {
      lost.abort(new Error('a stop was announced'))
      return
    }
    const reason = ownership === 'taken' ? 'another process owns this workload now' : 'the workload was deleted'
    deps.log('warn', 'giving up the workload', { reason })
    reporter.relinquish()
    lost.abort(new Error(reason))
  }

  async function isSaved(): Promise<boolean> {
    try {
      return (await deps.configs.load(config.name)) !== undefined
    } catch (error) {
      // A file that cannot be read is still there.
      return isThvError(error)
    }
  }
}
