import type { IncomingMessage, ServerResponse } from 'node:http'
import { sendJson, sendText } from './respond.ts'

/** What the health answer is made of. */
export interface HealthState {
  /** Transport of the server behind the proxy. */
  readonly transport: string
  /** `degraded` when the last check failed, but not yet as often as it takes. */
  readonly status: 'healthy' | 'degraded' | 'unhealthy'
  /** Why it is not healthy. */
  readonly problem: string
  /** How long the last successful handshake or check took. */
  readonly responseTimeMs: number | undefined
  readonly lastCheckedMs: number
}

/** Answers `/health`: 200 while a server is attached and answers, 503 otherwise. */
export function answerHealth(req: IncomingMessage, res: ServerResponse, state: HealthState): void {
  if (req.method !== 'GET') return sendText(res, 405, 'Method not allowed\n', { Allow: 'GET' })
  const mcp = {
    available: state.status !== 'unhealthy',
    ...(state.status === 'healthy' ? { response_time_ms: state.responseTimeMs } : { error: state.problem }),
    last_checked: new Date(state.lastCheckedMs).toISOString(),
  }
  const body = {
    status: state.status,
    timestamp: new Date().toISOString(),
    transport: state.transport,
    mcp,
  }
  sendJson(res, state.status === 'unhealthy' ? 503 : 200, JSON.stringify(body), { 'Cache-Control': 'no-store' })
}
