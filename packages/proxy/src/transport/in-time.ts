/**
 * Some work that is aborted with `signal`, or after the time with a `TimeoutError`. As `withTimeLimit`, but nothing stays
 * behind when it ends earlier: for what is done every few seconds for months.
 */
export async function inTime<T>(
  work: (signal: AbortSignal) => Promise<T>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<T> {
  const end = new AbortController()
  const follow = (): void => end.abort(signal.reason)
  const late = (): void => end.abort(new DOMException('no answer came in time', 'TimeoutError'))
  const timer = setTimeout(late, timeoutMs)
  signal.addEventListener('abort', follow, { once: true })
  try {
    if (signal.aborted) follow()
    return await work(end.signal)
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', follow)
  }
}
