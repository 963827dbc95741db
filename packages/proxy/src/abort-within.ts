/**
 * A signal that aborts with another one, or after a time with a `TimeoutError`. Not
 * `AbortSignal.any([signal, AbortSignal.timeout(ms)])`: on Node 20 nothing holds the inner signal, so that it may be
 * collected before it fires, and a wait that was meant to be bounded has no end.
 */
export function abortWithin(signal: AbortSignal, milliseconds: number): AbortSignal {
  const late = new AbortController()
  const expire = (): void => late.abort(new DOMException('The operation timed out', 'TimeoutError'))
  // The timer holds the controller, and with it the signal.
  setTimeout(expire, milliseconds).unref()
  return AbortSignal.any([signal, late.signal])
}
