/**
 * A signal that aborts with `signal`, or after `timeoutMs` with a `TimeoutError`. It keeps no
 * process alive.
 *
 * `AbortSignal.any` holds its sources weakly, and nothing else knows the timeout: once collected, it
 * never fires (nodejs/node 57736). A listener keeps it until it has fired.
 */
export function withTimeLimit(signal: AbortSignal, timeoutMs: number): AbortSignal {
  const late = AbortSignal.timeout(timeoutMs)
  late.addEventListener('abort', ignore, { once: true })
  return AbortSignal.any([signal, late])
}

function ignore(): void {}
