import type { IncomingMessage, ServerResponse } from 'node:http'
import { sendEmpty } from './respond.ts'

/**
 * Lets a page read the answers (Fetch standard, CORS protocol). Only for requests
 * whose Origin is on the list of the listener. True when the request was a preflight,
 * which is answered. Cookies are never asked for, so credentials are not allowed.
 */
export function answerCors(req: IncomingMessage, res: ServerResponse): boolean {
  const { origin } = req.headers
  if (origin === undefined) return false
  res.setHeader('Access-Control-Allow-Origin', origin)
  res.setHeader('Access-Control-Expose-Headers', 'Mcp-Session-Id, MCP-Protocol-Version')
  res.setHeader('Vary', 'Origin')
  if (req.method !== 'OPTIONS' || req.headers['access-control-request-method'] === undefined) return false
  res.setHeader('Access-Control-Allow-Methods', 'GET, POST, DELETE, OPTIONS')
  res.setHeader('Access-Control-Allow-Headers', allowedHeaders(req.headers['access-control-request-headers']))
  res.setHeader('Access-Control-Max-Age', '600')
  sendEmpty(res, 204)
  return true
}

/** The headers MCP knows, and those the page asks for: which ones its server wants is not ours to say. */
function allowedHeaders(asked: string | undefined): string {
  const names = new Map(known.map((name) => [name.toLowerCase(), name]))
  for (const part of asked?.split(',') ?? []) {
    const name = part.trim()
    if (/^[\w!#$%&'*+.^`|~-]+$/.test(name) && !names.has(name.toLowerCase())) names.set(name.toLowerCase(), name)
  }
  return [...names.values()].join(', ')
}

const known = [
  'Content-Type',
  'Accept',
  'Authorization',
  'Last-Event-ID',
  'Mcp-Session-Id',
  'MCP-Protocol-Version',
  'Mcp-Method',
  'Mcp-Name',
]
