import { randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { buildErrorText, wireErrors, type WireError } from './errors.ts'
import type { ProxyLog } from './proxy-config.ts'

/** Answers with JSON text, as one write. Does nothing when an answer was begun or the client is gone. */
export function sendJson(res: ServerResponse, status: number, text: string, headers?: Record<string, string>): void {
  send(res, { status, type: 'application/json', text, headers })
}

/** Answers with plain text. */
export function sendText(res: ServerResponse, status: number, text: string, headers?: Record<string, string>): void {
  send(res, { status, type: 'text/plain; charset=utf-8', text, headers })
}

/** Answers without a body. */
export function sendEmpty(res: ServerResponse, status: number): void {
  if (res.headersSent || res.destroyed) return
  res.writeHead(status, status === 204 ? {} : { 'Content-Length': 0 })
  res.end()
}

/** Answers with a refusal as JSON-RPC error, under the status of its name. */
export function sendError(res: ServerResponse, error: WireError, idText = '', headers?: Record<string, string>): void {
  sendJson(res, wireErrors[error.name].status, buildErrorText(error, idText), headers)
}

/** Answers 405 with what would be allowed. */
export function sendMethodNotAllowed(res: ServerResponse, allow: string): void {
  sendError(res, { name: 'method-not-allowed', message: 'Method not allowed' }, '', { Allow: allow })
}

/** Answers a fault of ours with a number that the log explains, and keeps the process alive. */
export function sendFault(res: ServerResponse, error: unknown, log: ProxyLog): void {
  const requestId = randomUUID()
  const stack = error instanceof Error ? error.stack : String(error)
  log('error', 'a request failed inside the proxy', { requestId, error: stack })
  if (res.headersSent) res.destroy()
  else sendError(res, { name: 'internal', message: `Internal error, request ${requestId}` })
}

function send(
  res: ServerResponse,
  answer: { status: number; type: string; text: string; headers: Record<string, string> | undefined },
): void {
  if (res.headersSent || res.destroyed) return
  res.writeHead(answer.status, {
    'Content-Type': answer.type,
    'Content-Length': Buffer.byteLength(answer.text),
    ...answer.headers,
  })
  res.end(answer.text)
}
