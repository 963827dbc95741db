import type { ServerResponse } from 'node:http'
import { buildErrorText, wireErrors, type WireError } from './errors.ts'
import { describeFault } from './fault.ts'
import type { ProxyLog } from './proxy-config.ts'
import { noteRefusal } from './refusals.ts'

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
  noteRefusal(res, error.name)
  const { retryAfterS } = error
  const all = retryAfterS === undefined ? headers : { ...headers, 'Retry-After': String(retryAfterS) }
  sendJson(res, wireErrors[error.name].status, buildErrorText(error, idText), all)
}

/** Answers 405 with what would be allowed. */
export function sendMethodNotAllowed(res: ServerResponse, allow: string): void {
  sendError(res, { name: 'method-not-allowed', message: 'Method not allowed' }, '', { Allow: allow })
}

/** Answers a fault of ours with a number that the log explains, and keeps the process alive. */
export function sendFault(res: ServerResponse, error: unknown, log: ProxyLog): void {
  const fault = describeFault(error, log)
  if (res.headersSent) res.destroy()
  else sendError(res, fault)
}

/**
 * Begins an answer with the headers of a backend, a flat list of names and values.
 * What the proxy has set before wins: who may read the answer is its decision.
 */
export function writeForwardedHead(res: ServerResponse, status: number, headers: string[]): void {
  if (res.getHeaderNames().length === 0) return void res.writeHead(status, headers)
  const own = res.getHeaders()
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? ''
    const key = name.toLowerCase()
    // Not a list for `writeHead`: beside headers that were set before, Node would keep the last of several.
    if (key === 'vary' || !(key in own || key.startsWith('access-control-'))) {
      res.appendHeader(name, headers[index + 1] ?? '')
    }
  }
  res.writeHead(status)
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
