/** A local server without a sign of life. */
export interface Silence {
  /** When the first question to it failed, on the monotonic clock. */
  sinceMs: number
  /** Questions that failed since then. */
  failures: number
  /** Whether it fell silent when it had calls to work on. */
  isBusy: boolean
}

/**
 * A silence after one more question failed. Calls that came when the server had been silent for a while are not what it is busy
 * with; one that came just after a question may be, which the second question shows. Pure.
 */
export function prolongSilence(silence: Silence | undefined, hasCalls: boolean, nowMs: number): Silence {
  if (silence === undefined) return { sinceMs: nowMs, failures: 1, isBusy: hasCalls }
  const failures = silence.failures + 1
  return { ...silence, failures, isBusy: silence.isBusy || (failures === 2 && hasCalls) }
}

/**
 * Whether a server that is down is to be restarted: at once when it had nothing to do, otherwise only when it has been silent for
 * longer than any call may take. Pure.
 */
export function endsPatience(silence: Silence, { nowMs, busyMs }: { nowMs: number; busyMs: number }): boolean {
  return !silence.isBusy || nowMs - silence.sinceMs >= busyMs
}
