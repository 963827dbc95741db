import type { IncomingMessage, ServerResponse } from 'node:http'
import { buildErrorText, type WireError } from '../errors.ts'
import { headerOf, parseAccept } from '../front-door.ts'
import { sendEmpty, sendError } from '../respond.ts'
import { parseEventId, type EventId } from '../session/event-id.ts'
import { EventStore, type EventStoreDeps } from '../session/event-store.ts'
import type { ResumableStream } from '../session/resumable-stream.ts'
import type { Session } from '../session/session.ts'
import type { Bridge } from './bridge.ts'
import { encodeSseEvent, encodeSseMessage } from './sse-codec.ts'
import type { SseStreams } from './sse-stream.ts'

/** What a GET needs. */
export interface GetStreamParts extends EventStoreDeps {
  readonly bridge: Bridge
  readonly streams: SseStreams
}

/** One GET of a session under way. */
interface Get extends GetStreamParts {
  readonly session: Session
  readonly req: IncomingMessage
  readonly res: ServerResponse
}

/** Answers the GET of a session: its stream for what belongs to no request, or the rest of a stream that was lost. */
export function answerGet(get: Get): void {
  const { req, res, session } = get
  const accept = headerOf(req, 'accept')
  if (accept !== undefined && !accept.includes('*/*') && !parseAccept(accept).events) {
    return sendError(res, { name: 'not-acceptable', message: 'Not Acceptable: a GET is answered as text/event-stream' })
  }
  const presented = headerOf(req, 'last-event-id')
  if (presented === undefined || storeOf(session, get) === undefined) return openGetStream(get)
  const last = parseEventId(presented)
  const stream = last === undefined ? undefined : session.events?.find(last)
  if (last?.kind === 'end') return sendEmpty(res, 204)
  if (last !== undefined && stream !== undefined) return resume(get, stream, last)
  if (last?.kind === 'post') return answerLost(get, last)
  if (isReplaced(get, last)) return sendError(res, replacedError)
  get.bridge.sessions.noteEverything(session)
  openGetStream(get)
}

/** The store of a session that can resume streams; they came with revision 2025-03-26. */
export function storeOf(session: Session, deps: EventStoreDeps): EventStore | undefined {
  if (session.protocolVersion < '2025-03-26') return undefined
  session.events ??= new EventStore(deps, { primes: session.protocolVersion >= '2025-11-25' })
  return session.events
}

/** A new stream. The client that opens a second one knows better than we do that the first is dead. */
function openGetStream(get: Get): void {
  const { session, streams, res } = get
  session.stream?.replace()
  const connect = () => streams.open(res)
  session.stream = storeOf(session, get)?.open({ kind: 'get', waitsFor: [] }, connect) ?? connect()
  opened(get)
  tellMissed(session)
}

function resume(get: Get, stream: ResumableStream, last: EventId): void {
  const { session, streams, res, bridge } = get
  const rest = stream.restAfter(last.position)
  // Nothing is left to say: 204 is what tells a client of event streams not to come back.
  if (rest === 'nothing') return sendEmpty(res, 204)
  if (rest === 'lost') return answerLost(get, last)
  const isWhole = stream.attach(streams.open(res), last.position)
  const isGet = stream.beginning.kind === 'get'
  if (!isWhole) bridge.sessions.noteEverything(session)
  // What was noted while nobody read the stream has just been sent.
  else if (isGet) session.missed.take()
  opened(get)
  if (isGet) tellMissed(session)
}

function opened({ bridge, session, res }: Get): void {
  res.flushHeaders()
  session.lane?.streamOpened()
  res.once('close', () => bridge.sessions.table.touch(session.id))
}

function tellMissed(session: Session): void {
  for (const text of session.missed.take()) session.stream?.send(encodeSseMessage(text))
}

/** The proxy that had the calls is gone, or keeps their answers no longer. */
function answerLost({ res, streams, session }: Get, { waitsFor }: EventId): void {
  const stream = streams.open(res)
  for (const idText of waitsFor) {
    const id = session.events?.endId() ?? ''
    stream.send(encodeSseEvent({ event: 'message', id, data: buildErrorText(lostError, idText) }))
  }
  stream.end()
}

/** Whether the session went on with another stream, which somebody reads: then both would take turns without end. */
function isReplaced({ session, epoch }: Get, last: EventId | undefined): boolean {
  return last?.epoch === epoch && session.stream?.isClosed === false
}

const lostError: WireError = {
  name: 'server-stopped',
  message: 'The answer to this call was lost with the connection it was sent on; the call may have run',
  data: { outcome: 'unknown' },
}
const replacedError: WireError = {
  name: 'stream-replaced',
  message: 'Conflict: this session has opened another event stream since',
}
