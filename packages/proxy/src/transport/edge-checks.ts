import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ProxyLimits } from '../limits.ts'
import { refuseBody } from '../refuse-body.ts'
import { sendError, sendMethodNotAllowed } from '../respond.ts'

/**
 * Answers what must not reach the backend, and says whether it did. Node's parser
 * has refused most of request smuggling by now (Content-Length with
 * Transfer-Encoding, lengths that differ, bare line ends); the rest is here.
 */
export function refuseAtEdge(req: IncomingMessage, res: ServerResponse, limits: ProxyLimits): boolean {
  const problem = framingProblem(req) ?? targetProblem(req)
  if (problem !== undefined) {
    const message = `Bad Request: ${problem}`
    sendError(res, { name: 'invalid-request', message }, '', { Connection: 'close' })
    return true
  }
  if (req.method === 'TRACE' || req.method === 'CONNECT') {
    // A TRACE answer would repeat credentials to whoever can read it.
    sendMethodNotAllowed(res, 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS')
    return true
  }
  if (isModernQuery(req)) {
    sendMethodNotAllowed(res, 'POST, OPTIONS')
    return true
  }
  if (Number(req.headers['content-length'] ?? 0) > limits.bodyBytes) {
    refuseBody({ req, res }, limits)
    return true
  }
  return false
}

function framingProblem(req: IncomingMessage): string | undefined {
  const coding = req.headers['transfer-encoding']
  if (coding !== undefined) {
    if (coding.toLowerCase() !== 'chunked') return 'the transfer coding is not supported'
    if (req.headers['content-length'] !== undefined) return 'the length of the body is ambiguous'
    if (req.httpVersion !== '1.1') return 'HTTP/1.0 has no transfer codings'
  }
  let hosts = 0
  const raw = req.rawHeaders
  for (let index = 0; index < raw.length; index += 2) {
    if (raw[index]?.length === 4 && raw[index]?.toLowerCase() === 'host') hosts += 1
  }
  return hosts > 1 ? 'there is more than one Host' : undefined
}

/**
 * Only a path may travel on. `http://other/` would make a proxy of the backend,
 * and `//other/` is a host to every URL parser.
 */
function targetProblem(req: IncomingMessage): string | undefined {
  const url = req.url ?? ''
  if (!url.startsWith('/')) return 'the request target must be a path'
  return /^\/[/\\]/.test(url) ? 'the path begins with two slashes' : undefined
}

/** The revision of 2026-07-28 knows POST only (spec 3.5: GET, HEAD and DELETE get 405). */
function isModernQuery(req: IncomingMessage): boolean {
  return (
    req.headers['mcp-protocol-version'] === '2026-07-28' &&
    (req.method === 'GET' || req.method === 'HEAD' || req.method === 'DELETE')
  )
}
