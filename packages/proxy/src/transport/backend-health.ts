import type { ProxyLimits } from '../limits.ts'
import type { ProxyLog } from '../proxy-config.ts'
import type { HttpBackend } from './http-backend.ts'
import { withTimeLimit } from './with-time-limit.ts'

/** What the last looks at a server found. */
export interface BackendCondition {
  readonly status: 'healthy' | 'degraded' | 'unhealthy'
  readonly problem: string
  readonly responseTimeMs: number | undefined
  readonly lastCheckedMs: number
}

/**
 * Looks at an attached server at an interval: `GET /`, or a `ping` where only POST is
 * answered, and any answer below 500 is life (spec/local 4.7). It only tells: whether a server is restarted is decided
 * by who runs it, and a server that answers again is healthy again at once.
 */
export class BackendHealth {
  readonly #limits: ProxyLimits
  readonly #log: ProxyLog
  readonly #stateless: boolean
  #stop = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #failures = 0
  #problem = ''
  #responseTimeMs: number | undefined
  #lastCheckedMs = 0

  constructor({ limits, log, stateless }: { limits: ProxyLimits; log: ProxyLog; stateless: boolean }) {
    this.#limits = limits
    this.#log = log
    this.#stateless = stateless
  }

  /** The condition of the attached server. */
  get condition(): BackendCondition {
    const isDown = this.#failures >= this.#limits.healthFailures
    return {
      status: this.#failures === 0 ? 'healthy' : isDown ? 'unhealthy' : 'degraded',
      problem: this.#problem,
      responseTimeMs: this.#responseTimeMs,
      lastCheckedMs: this.#lastCheckedMs,
    }
  }

  /** Begins with a server that has just answered. */
  watch(backend: HttpBackend, responseTimeMs: number): void {
    this.close()
    this.#stop = new AbortController()
    this.#failures = 0
    this.#succeeded(responseTimeMs)
    this.#schedule(backend, this.#limits.healthIntervalMs)
  }

  /** Looks no more. */
  close(): void {
    clearTimeout(this.#timer)
    this.#stop.abort()
  }

  #schedule(backend: HttpBackend, delayMs: number): void {
    this.#timer = setTimeout(() => void this.#look(backend), delayMs).unref()
  }

  async #look(backend: HttpBackend): Promise<void> {
    const { healthTimeoutMs, healthIntervalMs, healthRetryMs } = this.#limits
    const stop = this.#stop.signal
    const began = performance.now()
    try {
      const signal = withTimeLimit(stop, healthTimeoutMs)
      const question = this.#stateless ? { ...ping, path: backend.endpoint } : ({ path: '/', method: 'GET' } as const)
      const { statusCode, body } = await backend.pool.request({ ...question, signal })
      // The head says enough, and a stream would never end.
      body.on('error', () => undefined).destroy()
      if (statusCode >= 500) throw new Error(`the server answered ${statusCode}`)
      this.#succeeded(Math.round(performance.now() - began))
    } catch (error) {
      if (!stop.aborted) this.#failed(error instanceof Error ? error.message : String(error))
    }
    if (!stop.aborted) this.#schedule(backend, this.#failures === 0 ? healthIntervalMs : healthRetryMs)
  }

  #succeeded(responseTimeMs: number): void {
    if (this.#failures >= this.#limits.healthFailures) this.#log('info', 'the server answers again')
    this.#failures = 0
    this.#problem = ''
    this.#responseTimeMs = responseTimeMs
    this.#lastCheckedMs = Date.now()
  }

  #failed(problem: string): void {
    this.#failures += 1
    this.#problem = problem
    this.#lastCheckedMs = Date.now()
    if (this.#failures === this.#limits.healthFailures) {
      this.#log('warn', 'the server does not answer health checks', { failures: this.#failures, problem })
    }
  }
}

const ping = {
  method: 'POST',
  headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
  body: '{"jsonrpc":"2.0","id":0,"method":"ping"}',
} as const
