import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { WireError } from '../errors.ts'
import { eraHeaders, headerOf, mediaProblem, parseAccept, type Accepted, type FrontDoor } from '../front-door.ts'
import type { HeldBytes } from '../held-bytes.ts'
import type { ProxyLimits } from '../limits.ts'
import { classifyRequest } from '../mcp/classify-request.ts'
import { parseClientText, type Message, type ParsedText } from '../mcp/message.ts'
import { isServedRevision, legacyRevisions } from '../mcp/revision.ts'
import type { ProxyLog } from '../proxy-config.ts'
import { unsupportedVersionError } from '../protocol-version.ts'
import { receiveBody } from '../receive-body.ts'
import { sendEmpty, sendError, sendMethodNotAllowed } from '../respond.ts'
import type { Session } from '../session/session.ts'
import type { Bridge } from './bridge.ts'
import { answerGet, storeOf } from './get-stream.ts'
import { serveModern } from './modern-front.ts'
import { PostAnswer, type PostAnswerOptions } from './post-answer.ts'
import type { SseStreams } from './sse-stream.ts'

/** What the front door stands before. */
export interface FrontDoorParts {
  readonly bridge: Bridge
  readonly streams: SseStreams
  readonly limits: ProxyLimits
  readonly held: HeldBytes
  readonly log: ProxyLog
  /** Clients get no sessions, and the ids they send are ignored. Default false. */
  readonly stateless?: boolean | undefined
}

/** The server side of Streamable HTTP, on the exact path `/mcp`. */
export function createStreamableFront(frontParts: FrontDoorParts): FrontDoor {
  const parts = { ...frontParts, epoch: randomBytes(4).toString('hex') }
  return {
    handle(req, res, { path }) {
      if (path !== '/mcp') return false
      if (req.method === 'POST') {
        post({ parts, req, res })
        return true
      }
      const era = classifyRequest({ httpMethod: req.method ?? '', headers: eraHeaders(req) })
      const refused = versionProblem(parts, req)
      if (era.kind === 'refused' || parts.stateless === true) sendMethodNotAllowed(res, 'POST, OPTIONS')
      else if (refused !== undefined) sendError(res, refused)
      else if (req.method === 'GET') get(parts, req, res)
      else if (req.method === 'DELETE') end(parts, req, res)
      else sendMethodNotAllowed(res, 'GET, POST, DELETE')
      return true
    },
  }
}

/** With what tells the event ids of this front door from those of one before. */
interface StreamableParts extends FrontDoorParts {
  readonly epoch: string
}

/** One POST under way. */
interface Post {
  readonly parts: StreamableParts
  readonly req: IncomingMessage
  readonly res: ServerResponse
}

function get(parts: StreamableParts, req: IncomingMessage, res: ServerResponse): void {
  const session = knownSession(parts.bridge, req, res)
  if (session !== undefined) answerGet({ ...parts, session, req, res })
}

function end({ bridge }: StreamableParts, req: IncomingMessage, res: ServerResponse): void {
  const session = knownSession(bridge, req, res)
  if (session === undefined) return
  bridge.sessions.end(session)
  sendEmpty(res, 204)
}

function knownSession(bridge: Bridge, req: IncomingMessage, res: ServerResponse): Session | undefined {
  const id = headerOf(req, 'mcp-session-id')
  if (id === undefined) {
    sendError(res, { name: 'session-required', message: 'Bad Request: Mcp-Session-Id header is required' })
    return undefined
  }
  const session = bridge.sessions.table.touch(id)
  if (session === undefined) sendError(res, unknownSession)
  return session
}

function post(request: Post): void {
  const { req, res, parts } = request
  const problem = mediaProblem(req)
  if (problem !== undefined) return sendError(res, problem)
  const accepted = parseAccept(req.headers.accept)
  if (!accepted.json && !accepted.events) {
    const message = 'Not Acceptable: the client must accept application/json or text/event-stream'
    return sendError(res, { name: 'not-acceptable', message })
  }
  receiveBody(request, parts, (text) => take(request, accepted, parseClientText(text)))
}

function take(request: Post, accepted: Accepted, parsed: ParsedText): void {
  const { req, res, parts } = request
  const sessionRevision = parts.bridge.sessions.table.get(sessionIdOf(parts, req) ?? '')?.protocolVersion
  const era = classifyRequest({ httpMethod: 'POST', headers: eraHeaders(req), body: parsed, sessionRevision })
  if (era.kind === 'refused') return sendError(res, era.error, era.idText)
  if (era.kind === 'modern') return serveModern({ parts, req, res, accepted }, era)
  const refused = versionProblem(parts, req)
  if (refused !== undefined) return sendError(res, refused, parsed.kind === 'message' ? parsed.message.idText : '')
  if (parsed.kind === 'invalid') return sendError(res, { name: parsed.name, message: parsed.reason }, parsed.idText)
  if (parsed.kind === 'batch') return takeBatch(request, accepted, parsed.items)
  takeMessage(request, accepted, parsed.message)
}

function takeMessage(request: Post, accepted: Accepted, message: Message): void {
  const { req, res, parts } = request
  const { bridge } = parts
  const sessionId = sessionIdOf(parts, req)
  const session = sessionId === undefined ? undefined : bridge.sessions.table.touch(sessionId)
  if (message.kind !== 'request') {
    bridge.notify(session, message)
    return sendEmpty(res, 202)
  }
  const isInitialize = message.method === 'initialize'
  if (sessionId !== undefined && session === undefined && !isInitialize) {
    return sendError(res, unknownSession, message.idText)
  }
  if (isInitialize) {
    // The answer to `initialize` carries the session in its head, so the head waits for it.
    const { streams, held, stateless } = parts
    const answer = new PostAnswer(res, { accepted, streams, held })
    return stateless === true ? initializeSessionless(request, message, answer) : initialize(request, message, answer)
  }
  const answer = new PostAnswer(res, answerOptions(parts, { accepted, session, idTexts: [message.idText] }))
  answer.track(bridge.request(session, message, answer.sinkFor(message.idText)))
}

function answerOptions(
  parts: StreamableParts,
  what: { accepted: Accepted; session: Session | undefined; idTexts: readonly string[] },
): PostAnswerOptions {
  const { streams, limits, held } = parts
  const { accepted, session, idTexts } = what
  const resumable = session === undefined ? undefined : { events: () => storeOf(session, parts), waitsFor: idTexts }
  return { accepted, streams, held, streamAfterMs: limits.streamAfterMs, resumable }
}

function initialize({ parts, res }: Post, message: Message, answer: PostAnswer): void {
  const { idText } = message
  const { bridge } = parts
  const leave = bridge.sessions.initialize(message, {
    begin: (protocolVersion) => {
      if (res.destroyed) return undefined
      const session = bridge.sessions.open()
      if (session === undefined) {
        answer.refuse({ name: 'too-many-sessions', message: 'Too many sessions' }, idText)
        return undefined
      }
      session.protocolVersion = protocolVersion
      return session
    },
    accepted: (text, session) => answer.respond(text, { 'Mcp-Session-Id': session.id }),
    rejected: (text) => answer.respond(text),
    refused: (error) => answer.refuse(error, idText),
  })
  // Nobody would ever use or end the session of a client that left while it waited.
  res.once('close', leave)
}

function initializeSessionless({ parts, res }: Post, message: Message, answer: PostAnswer): void {
  const leave = parts.bridge.sessions.initializeSessionless(message, {
    accepted: (text) => answer.respond(text),
    refused: (error) => answer.refuse(error, message.idText),
  })
  res.once('close', leave)
}

function takeBatch(request: Post, accepted: Accepted, items: readonly string[]): void {
  const { req, res, parts } = request
  const { bridge, limits } = parts
  const session = bridge.sessions.table.touch(headerOf(req, 'mcp-session-id') ?? '')
  // The session was known a moment ago, when the batch was let through because of it.
  if (session === undefined) return sendError(res, unknownSession)
  if (items.length === 0 || items.length > limits.batchItems) {
    const message = `Invalid Request: a batch has 1 to ${limits.batchItems} messages`
    return sendError(res, { name: 'batch-refused', message })
  }
  const parsed = items.map((item) => parseClientText(item))
  const answered = parsed.filter((item) => item.kind !== 'message' || item.message.kind === 'request')
  for (const item of parsed) {
    if (item.kind === 'message' && item.message.kind !== 'request') bridge.notify(session, item.message)
  }
  if (answered.length === 0) return sendEmpty(res, 202)
  const idTexts = answered.map((item) => (item.kind === 'message' ? item.message.idText : ''))
  const what = { accepted, session, idTexts: idTexts.filter((idText) => idText !== '') }
  const answer = new PostAnswer(res, { ...answerOptions(parts, what), batchSize: answered.length })
  for (const item of answered) takeBatchItem(bridge, session, { item, answer })
}

function takeBatchItem(bridge: Bridge, session: Session, part: { item: ParsedText; answer: PostAnswer }): void {
  const { item, answer } = part
  if (item.kind === 'invalid') return answer.refuse({ name: item.name, message: item.reason }, item.idText)
  if (item.kind === 'batch') return answer.refuse(nestedBatch, '')
  const { message } = item
  if (message.method !== 'initialize') {
    return answer.track(bridge.request(session, message, answer.sinkFor(message.idText)))
  }
  answer.refuse(
    { name: 'invalid-request', message: 'Invalid Request: initialize must not be in a batch' },
    message.idText,
  )
}

const unknownSession: WireError = { name: 'session-unknown', message: 'Session not found' }
const nestedBatch: WireError = { name: 'invalid-request', message: 'Invalid Request: a batch inside a batch' }

function sessionIdOf({ stateless }: FrontDoorParts, req: IncomingMessage): string | undefined {
  return stateless === true ? undefined : headerOf(req, 'mcp-session-id')
}

/** A version is good when the proxy knows it, or has told it this client itself because its server speaks nothing else. */
function versionProblem(parts: FrontDoorParts, req: IncomingMessage): WireError | undefined {
  const requested = headerOf(req, 'mcp-protocol-version')
  if (requested === undefined || isServedRevision(requested)) return undefined
  const session = parts.bridge.sessions.table.get(sessionIdOf(parts, req) ?? '')
  return session?.protocolVersion === requested ? undefined : unsupportedVersionError(requested, legacyRevisions)
}
