import { randomUUID } from 'node:crypto'
import type { WireError } from './errors.ts'
import type { ProxyLog } from './proxy-config.ts'

/** Logs a fault of ours under a random number, and gives the refusal that names the number and nothing else. */
export function describeFault(error: unknown, log: ProxyLog): WireError {
  const requestId = randomUUID()
  const stack = error instanceof Error ? error.stack : String(error)
  log('error', 'a request failed inside the proxy', { requestId, error: stack })
  return { name: 'internal', message: `Internal error, request ${requestId}` }
}
