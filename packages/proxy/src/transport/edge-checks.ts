import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ProxyLimits } from '../limits.ts'
import { modernRevision } from '../mcp/revision.ts'
import { refuseBody } from '../refuse-body.ts'
import { sendError, sendMethodNotAllowed } from '../respond.ts'

/** What is refused beside what no backend may see. */
export interface EdgeRules {
  readonly limits: ProxyLimits
  /** Whether there are no sessions, and with them no streams and nothing to end. */
  readonly stateless: boolean
}

/**
 * Answers what must not reach the backend, and says whether it did. Node's parser
 * has refused most of request smuggling by now (Content-Length with
 * Transfer-Encoding, lengths that differ, bare line ends); the rest is here.
 */
export function refuseAtEdge(req: IncomingMessage, res: ServerResponse, rules: EdgeRules): boolean {
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
  if ((rules.stateless || isModern(req)) && needsSession.has(req.method ?? '')) {
    sendMethodNotAllowed(res, 'POST, OPTIONS')
    return true
  }
  if (Number(req.headers['content-length'] ?? 0) > rules.limits.bodyBytes) {
    refuseBody({ req, res }, rules.limits)
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

/** The revision of 2026-07-28 knows POST only. */
function isModern(req: IncomingMessage): boolean {
  return req.headers['mcp-protocol-version'] === modernRevision
}

/** GET opens a stream of a session, DELETE ends one; spec/local 4.3. */
const needsSession: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE'])
