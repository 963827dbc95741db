/** Time and waiting, so that logic can be tested without either. */
export interface Clock {
  /** Wall-clock time. */
  now(): Date
  /** Milliseconds that only ever grow; for measuring. */
  monotonicMs(): number
  /** Resolves after `ms`; rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
}
