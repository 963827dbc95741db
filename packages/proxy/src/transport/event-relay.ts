import type { IncomingMessage, ServerResponse } from 'node:http'
import { buildResponseHeaders } from '../header-rules.ts'
import { Hold } from '../held-bytes.ts'
import { sendError, sendFault, sendText, writeForwardedHead } from '../respond.ts'
import {
  absentError,
  redialMsOf,
  requestHeaders,
  waitForChange,
  whenReady,
  type ForwardParts,
  type Readiness,
} from './forward-parts.ts'
import { backendTarget } from './backend-target.ts'
import type { HttpBackend } from './http-backend.ts'
import type { HttpSession } from './http-sessions.ts'
import { LoginRefused } from './login-interceptor.ts'
import { isEventStream, sseKeepAlive } from './sse-codec.ts'
import { SteppedAnswer } from './stepped-answer.ts'
import { UnreadBound } from './unread-bound.ts'
import { Upstream, type ReplyHead, type ReplyTaker } from './upstream.ts'
import { WholeEvents } from './whole-events.ts'

/**
 * The stream a client opened with GET for a session. When the server dies the
 * client's side stays open, kept alive by comments, until the session lives in
 * the next server; only whole events are passed on, so nothing is left half said.
 */
export class EventRelay implements ReplyTaker {
  readonly #parts: ForwardParts
  readonly #req: IncomingMessage
  readonly #res: ServerResponse
  readonly #session: HttpSession
  readonly #events: WholeEvents
  readonly #unread: UnreadBound
  /** Undefined when no step of the chain looks at answers. */
  readonly #stepped: SteppedAnswer | undefined
  #deadlineMs: number
  #upstream: Upstream | undefined
  /** `plain` for answers that are no event stream: they pass as they are. */
  #state: 'opening' | 'events' | 'plain' = 'opening'
  #backend: HttpBackend | undefined
  #sentId = ''
  #mayRevive = true
  #tries = 0
  #isQuiet = true
  /** Whether the client's `Last-Event-ID` is passed on. */
  #hasPosition: boolean

  constructor(parts: ForwardParts, session: HttpSession, req: IncomingMessage, res: ServerResponse) {
    this.#parts = parts
    this.#req = req
    this.#res = res
    this.#session = session
    this.#hasPosition = req.headers['last-event-id'] !== undefined
    const { chain, limits } = parts
    if (chain.fromServer !== undefined) this.#stepped = new SteppedAnswer(parts)
    this.#events = new WholeEvents(
      this.#stepped === undefined ? limits.eventBytes : limits.lineBytes,
      new Hold(parts.held),
    )
    this.#unread = new UnreadBound(res, limits.answerUnreadMs)
    this.#deadlineMs = performance.now() + limits.backendWaitMs
  }

  /** Whether it is an event stream, or will be one as soon as the server says something. */
  get isStream(): boolean {
    return this.#state !== 'plain'
  }

  /** Begins. */
  start(): void {
    this.#session.active += 1
    this.#res.once('close', () => {
      this.#upstream?.abort()
      this.#unread.stop()
      this.#events.restart()
      this.#parts.sessions.release(this.#session)
    })
    this.#req.resume()
    this.#whenReady()
  }

  /** Sends a comment if nothing was sent since the last look. */
  keepAlive(): void {
    if (this.#state !== 'events' || !this.#events.isWhole || this.#res.writableNeedDrain) return
    if (this.#isQuiet) this.#res.write(sseKeepAlive)
    this.#isQuiet = true
  }

  /** Ends it from our side. */
  cut(): void {
    this.#res.destroy()
  }

  head(head: ReplyHead): boolean {
    const { 'content-type': type, 'content-encoding': coding } = head.headers
    const isEvents = head.status === 200 && isEventStream(type) && coding === undefined
    // Many servers say 400 of a session that they have forgotten; it is no other trouble where a stream was open before.
    const isForgotten = head.status === 404 || (head.status === 400 && this.#state === 'events')
    if (isForgotten && this.#retake()) return false
    if (this.#state === 'events') {
      // Conflict: the server has not noticed yet that its end of the lost stream is gone.
      if (!isEvents) this.#retry()
      return isEvents
    }
    if (!isEvents && this.#dropPosition()) return false
    if (!isEvents && head.status === 200 && this.#stepped !== undefined) {
      // The chain could not look at it.
      this.#upstream?.abort()
      sendError(this.#res, { name: 'backend-unreachable', message: 'Bad Gateway: the answer is no plain event stream' })
      return false
    }
    this.#state = isEvents ? 'events' : 'plain'
    const without = isEvents ? streamHeaders : sessionHeader
    const kept = buildResponseHeaders(head.raw, without)
    if (head.headers['mcp-session-id'] !== undefined) kept.push('mcp-session-id', this.#session.clientId)
    writeForwardedHead(this.#res, head.status, kept)
    this.#res.flushHeaders()
    return true
  }

  data(chunk: Buffer): boolean {
    if (this.#state === 'plain') return this.#write(chunk)
    const events = this.#events.push(chunk)
    if (this.#stepped !== undefined && !this.#events.isWhole) {
      // What is too long to be looked at as a whole must not pass.
      this.#res.destroy()
      return true
    }
    const bytes = this.#stepped?.rewrite(events) ?? events
    if (bytes.length === 0) return true
    this.#isQuiet = false
    this.#tries = 0
    return this.#write(bytes)
  }

  end(): void {
    const rest = this.#events.rest()
    this.#res.end(this.#stepped?.rewrite(rest) ?? rest)
  }

  fail(error: Error): void {
    if (this.#res.destroyed) return
    if (this.#state === 'plain' || !this.#events.isWhole) return void this.#res.destroy()
    if (this.#state === 'opening' && error instanceof LoginRefused) {
      return sendError(this.#res, error.tell(this.#parts.name))
    }
    if (this.#state === 'events') {
      this.#parts.log('debug', 'the event stream of a session was lost and will be opened again', {
        error: error.message,
      })
    }
    // A GET changes nothing in the server, so it may be sent again whatever became of it.
    this.#retry({ isLost: true })
  }

  #write(bytes: Buffer): boolean {
    return this.#res.write(bytes) || this.#unread.wait(() => this.#upstream?.resume())
  }

  #retry({ isLost = false } = {}): void {
    this.#upstream?.abort()
    this.#upstream = undefined
    this.#events.restart()
    const { limits, gate } = this.#parts
    // Whether a remote server that cannot be reached is given up is decided by its health, not by one stream.
    const isFarAway = isLost && this.#backend?.remote !== undefined
    if (!isFarAway) this.#tries += 1
    // Some servers send the head with the first event, so the stream may be old by now.
    this.#deadlineMs = performance.now() + limits.backendWaitMs
    if (this.#tries > limits.streamTries && gate.current === this.#backend) return this.#giveUp()
    const growingMs = Math.min(limits.redialMs * 2 ** Math.min(this.#tries - 1, 6), limits.probeMaxMs * 8)
    const atMostMs = isFarAway ? redialMsOf(this.#parts) : growingMs
    const done = (readiness: Readiness): void => this.#proceed(readiness)
    waitForChange(this.#parts, this.#journey(), { atMostMs, done })
  }

  #giveUp(): void {
    if (this.#state === 'events') this.#res.end()
    else sendError(this.#res, absentError(this.#parts))
  }

  #whenReady(): void {
    whenReady(this.#parts, this.#journey(), (readiness) => this.#proceed(readiness))
  }

  #journey(): Parameters<typeof whenReady>[1] {
    const isStream = this.#state === 'events'
    return { req: this.#req, session: this.#session, deadlineMs: this.#deadlineMs, isStream, res: this.#res }
  }

  #proceed(readiness: Readiness): void {
    if (this.#res.destroyed) return
    if (readiness === 'gone') {
      if (this.#state === 'events') return void this.#res.end()
      return sendError(this.#res, { name: 'session-unknown', message: 'Session not found' })
    }
    if (readiness === 'absent') {
      // The client's stream costs little; it waits for as long as somebody tries to restart the server.
      if (this.#state !== 'events' || this.#parts.isClosed()) return this.#giveUp()
      this.#deadlineMs = performance.now() + this.#parts.limits.backendWaitMs
      return this.#whenReady()
    }
    try {
      this.#send(readiness)
    } catch (error) {
      sendFault(this.#res, error, this.#parts.log)
    }
  }

  #send(backend: HttpBackend): void {
    const { limits } = this.#parts
    const path = backendTarget(backend, { method: 'GET', url: this.#req.url ?? '/' })
    if (path === undefined) return sendText(this.#res, 404, 'Not found\n')
    const isSameSession = this.#sentId === '' || this.#sentId === this.#session.backendId
    this.#sentId = this.#session.backendId
    this.#backend = backend
    const isReattached = this.#state === 'events'
    const headers = requestHeaders(
      this.#parts,
      this.#req,
      backend,
      this.#hasPosition && !isReattached ? firstHeaders : withoutPosition,
    )
    headers.push('mcp-session-id', this.#sentId)
    // Another server's event store knows nothing of these ids.
    if (isReattached && isSameSession && this.#events.lastId !== '') headers.push('last-event-id', this.#events.lastId)
    this.#upstream = new Upstream(
      {
        pool: backend.pool,
        origin: backend.origin,
        method: 'GET',
        path,
        headers,
        body: { kind: 'none' },
        redirects: limits.redirects,
        discardBytes: limits.discardBytes,
      },
      this,
    )
    this.#upstream.send()
  }

  /** A server that took the session up again cannot know the events of the one before: the stream goes on from now. */
  #dropPosition(): boolean {
    if (!this.#hasPosition || !this.#session.wasRevived) return false
    this.#hasPosition = false
    this.#upstream?.abort()
    this.#whenReady()
    return true
  }

  /** The server has forgotten the session: takes it up again, once per loss. */
  #retake(): boolean {
    const session = this.#session
    if (!this.#mayRevive || session.initBody === undefined || this.#req.url !== session.path) return false
    this.#mayRevive = this.#state === 'events'
    if (session.backendId === this.#sentId) session.backend = undefined
    if (this.#state === 'events') this.#retry()
    else this.#whenReady()
    return true
  }
}

const sessionHeader: ReadonlySet<string> = new Set(['mcp-session-id'])
const firstHeaders: ReadonlySet<string> = new Set(['mcp-session-id', 'accept-encoding'])
const streamHeaders: ReadonlySet<string> = new Set(['mcp-session-id', 'content-length'])
// Compressed events could not be told apart, and compression would begin anew in the middle.
const withoutPosition: ReadonlySet<string> = new Set(['mcp-session-id', 'accept-encoding', 'last-event-id'])
