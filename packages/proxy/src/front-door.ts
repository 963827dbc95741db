import type { IncomingMessage, ServerResponse } from 'node:http'
import type { WireError } from './errors.ts'
import type { RequestFacts } from './mcp/classify-request.ts'

/** A request target, cut at the question mark. */
export interface RequestTarget {
  readonly path: string
  /** Without the question mark. */
  readonly query: string
}

/** One protocol spoken to clients. */
export interface FrontDoor {
  /** Answers a request, or returns false when the path is not one of its own. */
  handle(req: IncomingMessage, res: ServerResponse, target: RequestTarget): boolean
}

/** Cuts a request target. */
export function parseTarget(url: string): RequestTarget {
  const mark = url.indexOf('?')
  return mark === -1 ? { path: url, query: '' } : { path: url.slice(0, mark), query: url.slice(mark + 1) }
}

/** The only value of a header, undefined when it is absent. */
export function headerOf(req: IncomingMessage, name: string): string | undefined {
  const value = req.headers[name]
  return typeof value === 'string' ? value : undefined
}

/** The headers that say of which era a request is. */
export function eraHeaders(req: IncomingMessage): RequestFacts['headers'] {
  return {
    version: headerOf(req, 'mcp-protocol-version'),
    method: headerOf(req, 'mcp-method'),
    name: headerOf(req, 'mcp-name'),
  }
}

/** Why a request body cannot be read as JSON, or undefined when it can. */
export function mediaProblem(req: IncomingMessage): WireError | undefined {
  const encoding = headerOf(req, 'content-encoding')
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    return { name: 'media-type-unsupported', message: 'Unsupported Media Type: the body must not be compressed' }
  }
  if (isJsonContent(req.headers['content-type'])) return undefined
  return {
    name: 'media-type-unsupported',
    message: 'Unsupported Media Type: Content-Type must be application/json',
  }
}

function isJsonContent(type: string | undefined): boolean {
  return type === 'application/json' || (type !== undefined && /^application\/json\s*(?:;|$)/i.test(type))
}

/** What a client can read, by its Accept header. */
export interface Accepted {
  readonly json: boolean
  readonly events: boolean
}

/**
 * Reads an Accept header leniently: without one, and with wildcards, JSON is
 * what every client of a POST can read; events only when they are named.
 */
export function parseAccept(header: string | undefined): Accepted {
  if (header === undefined) return { json: true, events: false }
  const accept = header.toLowerCase()
  return {
    json: accept.includes('application/json') || accept.includes('*/*') || accept.includes('application/*'),
    events: accept.includes('text/event-stream') || accept.includes('text/*'),
  }
}
