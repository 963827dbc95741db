import type { Clock } from '@thv/core'

/** The clock of this machine. A sleep keeps the process alive. */
export function createSystemClock(): Clock {
  return {
    now() {
      return new Date()
    },
    monotonicMs() {
      return performance.now()
    },
    async sleep(ms, signal) {
      signal.throwIfAborted()
      await new Promise<void>((resolve, reject) => {
        function abort(): void {
          clearTimeout(timer)
          reject(asError(signal.reason))
        }
        const timer = setTimeout(() => {
          signal.removeEventListener('abort', abort)
          resolve()
        }, ms)
        signal.addEventListener('abort', abort, { once: true })
      })
    },
  }
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason))
}
