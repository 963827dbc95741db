import type { IncomingMessage, ServerResponse } from 'node:http'
import { buildErrorText, type WireError } from '../errors.ts'
import { headerOf, mediaProblem, type FrontDoor, type RequestTarget } from '../front-door.ts'
import { parseClientText, type Message } from '../mcp/message.ts'
import { receiveBody } from '../receive-body.ts'
import { hostNameOf } from '../request-guard.ts'
import { sendError, sendMethodNotAllowed, sendText } from '../respond.ts'
import type { Session } from '../session/session.ts'
import { normalizePrefix, readForwarded } from './public-view.ts'
import { encodeSseEvent, encodeSseMessage } from './sse-codec.ts'
import type { FrontDoorParts } from './streamable-http.ts'

/** Where the front door is reached when a request does not say. */
export interface LegacySseParts extends FrontDoorParts {
  authority(): string
  /** Whether a proxy in front is believed about where clients reach us. */
  readonly trustsForwarded: boolean
  /** Path in front of the endpoint told to clients; empty without. */
  readonly endpointPrefix: string
}

/** The server side of the 2024-11-05 HTTP+SSE transport: `/sse` and `/messages`. */
export function createLegacySseFront(parts: LegacySseParts): FrontDoor {
  return {
    handle(req, res, target) {
      if (target.path === '/sse') {
        if (req.method === 'GET') openStream(parts, req, res)
        else sendMethodNotAllowed(res, 'GET')
        return true
      }
      if (target.path !== '/messages') return false
      if (req.method === 'POST') post(parts, { req, res }, target)
      else sendMethodNotAllowed(res, 'POST')
      return true
    },
  }
}

function openStream(parts: LegacySseParts, req: IncomingMessage, res: ServerResponse): void {
  const { bridge, streams } = parts
  const session = bridge.sessions.open()
  if (session === undefined) return sendError(res, { name: 'too-many-sessions', message: 'Too many sessions' })
  const stream = streams.open(res)
  session.stream = stream
  // In this transport the stream is the session: no other way leads back to the client.
  res.once('close', () => bridge.sessions.end(session))
  stream.send(
    encodeSseEvent({ event: 'endpoint', data: `${publicBase(parts, req)}/messages?session_id=${session.id}` }),
  )
}

function publicBase(parts: LegacySseParts, req: IncomingMessage): string {
  const forwarded = parts.trustsForwarded ? readForwarded(req) : { prefix: '' }
  const prefix = parts.endpointPrefix === '' ? forwarded.prefix : normalizePrefix(parts.endpointPrefix)
  if (forwarded.origin !== undefined) return forwarded.origin + prefix
  const host = req.headers.host
  const authority = host !== undefined && hostNameOf(host) !== undefined ? host : parts.authority()
  const scheme = headerOf(req, 'x-forwarded-proto') === 'https' ? 'https' : 'http'
  return `${scheme}://${authority}${prefix}`
}

function post(
  parts: LegacySseParts,
  request: { req: IncomingMessage; res: ServerResponse },
  target: RequestTarget,
): void {
  const { req, res } = request
  const query = new URLSearchParams(target.query)
  const id = query.get('session_id') ?? query.get('sessionId')
  if (id === null) return sendError(res, { name: 'session-required', message: 'Bad Request: session_id is required' })
  const session = parts.bridge.sessions.table.touch(id)
  if (session === undefined) return sendError(res, { name: 'session-unknown', message: 'Session not found' })
  const problem = mediaProblem(req)
  if (problem !== undefined) return sendError(res, problem)
  receiveBody(request, { limits: parts.limits, log: parts.log }, (text) => {
    const parsed = parseClientText(text)
    if (parsed.kind === 'invalid') return sendError(res, { name: parsed.name, message: parsed.reason }, parsed.idText)
    if (parsed.kind === 'batch' && parsed.items.length > parts.limits.batchItems) {
      return sendError(res, { name: 'batch-refused', message: 'Invalid Request: the batch is too long' })
    }
    sendText(res, 202, 'Accepted')
    if (parsed.kind === 'message') return take(parts, session, parsed.message)
    for (const item of parsed.items) {
      const member = parseClientText(item)
      if (member.kind === 'message') take(parts, session, member.message)
    }
  })
}

function take({ bridge }: LegacySseParts, session: Session, message: Message): void {
  const send = (text: string): void => void session.stream?.send(encodeSseMessage(text))
  if (message.kind !== 'request') return bridge.notify(session, message)
  const { idText } = message
  const refused = (error: WireError): void => send(buildErrorText(error, idText))
  if (message.method !== 'initialize') {
    const related = (text: string): boolean => session.stream?.send(encodeSseMessage(text)) ?? false
    bridge.request(session, message, { progress: send, related, response: send, refused, cancelled: () => undefined })
    return
  }
  bridge.sessions.initialize(message, {
    begin: (protocolVersion) => {
      // The stream may have ended, and the session with it, while a server was started.
      if (bridge.sessions.table.get(session.id) !== session) return undefined
      session.protocolVersion = protocolVersion
      return session
    },
    accepted: send,
    rejected: send,
    refused,
  })
}
