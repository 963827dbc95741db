import type { IncomingMessage, ServerResponse } from 'node:http'
import { sendJson, sendText } from './respond.ts'

/** What the health answer is made of. */
export interface HealthState {
  /** Transport of the server behind the proxy. */
  readonly transport: string
  readonly isAvailable: boolean
  /** Why not, while it is not. */
  readonly problem: string
  /** How long the last successful handshake took. */
  readonly responseTimeMs: number | undefined
  readonly lastCheckedMs: number
}

/** Answers `/health`: 200 while a server is attached, 503 while none is. */
export function answerHealth(req: IncomingMessage, res: ServerResponse, state: HealthState): void {
  if (req.method !== 'GET') return sendText(res, 405, 'Method not allowed\n', { Allow: 'GET' })
  const mcp = {
    available: state.isAvailable,
    ...(state.isAvailable ? { response_time_ms: state.responseTimeMs } : { error: state.problem }),
    last_checked: new Date(state.lastCheckedMs).toISOString(),
  }
  const body = {
    status: state.isAvailable ? 'healthy' : 'unhealthy',
    timestamp: new Date().toISOString(),
    transport: state.transport,
    mcp,
  }
  sendJson(res, state.isAvailable ? 200 : 503, JSON.stringify(body), { 'Cache-Control': 'no-store' })
}
