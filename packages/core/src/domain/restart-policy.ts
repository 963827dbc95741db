import { limits } from '../limits.ts'

/** What to do after a server's exit: try again after a wait, or give up. */
export type RestartDecision = { restart: true; delayMs: number; attempt: number } | { restart: false }

/**
 * The first restart is at once, because clients wait for it; from the second on
 * capped exponential back-off with full jitter on the upper half, so that many
 * servers that died together do not come back together. A run of `restartStableMs`
 * or more counts as a fresh start; after `restartAttempts` short runs in a row the
 * workload is in a crash loop.
 *
 * @param random in [0, 1)
 */
export function decideRestart(previousAttempts: number, ranMs: number, random: number): RestartDecision {
  const attempt = ranMs >= limits.restartStableMs ? 1 : previousAttempts + 1
  if (attempt > limits.restartAttempts) return { restart: false }
  if (attempt === 1) return { restart: true, delayMs: 0, attempt }
  const ceiling = Math.min(limits.restartMaxMs, limits.restartInitialMs * 2 ** (attempt - 2))
  return { restart: true, delayMs: Math.round(ceiling / 2 + (ceiling / 2) * random), attempt }
}
