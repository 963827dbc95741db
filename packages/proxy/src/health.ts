import type { IncomingMessage, ServerResponse } from 'node:http'
import type { HealthStatus } from './proxy-config.ts'
import { sendJson, sendText } from './respond.ts'

/** What the health answer says beside what was found. */
export interface HealthContext {
  /** Transport of the server behind the proxy. */
  readonly transport: string
  /** Whether a server is in use. */
  readonly isAttached: boolean
}

/** What `/health` tells (spec/local 4.7). It judges nothing: how a server is, is decided by who runs it. */
export class Health {
  #status: HealthStatus = 'unhealthy'
  #problem = 'no server is attached yet'
  #responseTimeMs: number | undefined
  #lastCheckedMs = Date.now()

  /** The server was asked something; undefined: it did not answer as it should. */
  asked(responseTimeMs: number | undefined): void {
    if (responseTimeMs !== undefined) this.#responseTimeMs = Math.round(responseTimeMs)
    this.#lastCheckedMs = Date.now()
  }

  /** What is to be said from now on. */
  note(status: HealthStatus, problem: string): void {
    this.#status = status
    this.#problem = problem
  }

  /** Answers `/health`: 200 while a server is attached and not held for down, 503 otherwise. */
  answer(req: IncomingMessage, res: ServerResponse, { transport, isAttached }: HealthContext): void {
    if (req.method !== 'GET') return sendText(res, 405, 'Method not allowed\n', { Allow: 'GET' })
    const status = isAttached ? this.#status : 'unhealthy'
    const mcp = {
      available: status !== 'unhealthy',
      ...(status === 'healthy' ? { response_time_ms: this.#responseTimeMs } : { error: this.#problem }),
      last_checked: new Date(this.#lastCheckedMs).toISOString(),
    }
    const body = { status, timestamp: new Date().toISOString(), transport, mcp }
    sendJson(res, status === 'unhealthy' ? 503 : 200, JSON.stringify(body), { 'Cache-Control': 'no-store' })
  }
}
