import type { Dispatcher } from 'undici'
import type { ProxyLimits } from '../limits.ts'
import type { HttpBackend } from './http-backend.ts'
import { inTime } from './in-time.ts'
import { pingQuestion } from './ping-question.ts'
import { lookOfError } from './remote-failure.ts'

/** What an HTTP server of this machine said to a question; `message` is one sentence. */
export interface HttpSign {
  readonly code: 'alive' | 'silent' | 'refused' | 'server-error'
  readonly message: string
}

/**
 * Asks a local server that speaks HTTP whether it lives: a `ping` to its endpoint. Every status below 500 is life, because
 * nothing stands between. Where only a stream could be opened at the endpoint, the root is asked instead.
 */
export async function probeHttp(
  { backend, limits, stateless }: { backend: HttpBackend; limits: ProxyLimits; stateless: boolean },
  signal: AbortSignal,
): Promise<HttpSign> {
  const question =
    backend.transport === 'sse'
      ? ({ path: '/', method: 'GET' } as const)
      : { ...pingQuestion(stateless ? 'newcomer' : 'nobody'), path: backend.endpoint }
  try {
    const ask = async (inner: AbortSignal): Promise<Dispatcher.ResponseData> => {
      // An abort surfaces as whatever it interrupted; why it was aborted is the better reason.
      return await backend.pool.request({ ...question, signal: inner }).catch((error: unknown) => {
        inner.throwIfAborted()
        throw error
      })
    }
    const { statusCode, body } = await inTime(ask, limits.healthTimeoutMs, signal)
    // The head says enough, and a stream would never end.
    body.on('error', () => undefined).destroy()
    if (statusCode < 500) return { code: 'alive', message: 'it answers' }
    return { code: 'server-error', message: `it answers HTTP ${statusCode}` }
  } catch (error) {
    signal.throwIfAborted()
    const { code, message } = lookOfError('it', error)
    return code === 'timeout' ? { code: 'silent', message: 'it did not answer in time' } : { code: 'refused', message }
  }
}
