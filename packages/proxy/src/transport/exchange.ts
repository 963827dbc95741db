import type { IncomingMessage, ServerResponse } from 'node:http'
import { buildErrorText, type WireError } from '../errors.ts'
import { headerOf, parseAccept } from '../front-door.ts'
import { Hold } from '../held-bytes.ts'
import { buildResponseHeaders } from '../header-rules.ts'
import { refuseBody } from '../refuse-body.ts'
import { sendEmpty, sendError, sendFault, sendText, writeForwardedHead } from '../respond.ts'
import { backendTarget } from './backend-target.ts'
import { droppedOfAnswer, droppedOfRequest } from './dropped-headers.ts'
import { refuseByEra, watchEra, type EraWatch } from './era-watch.ts'
import { ExchangeSteps } from './exchange-steps.ts'
import {
  absentError,
  redialMsOf,
  requestHeaders,
  waitForChange,
  whenReady,
  type ForwardParts,
  type Readiness,
} from './forward-parts.ts'
import { ForgottenWatch } from './forgotten-watch.ts'
import type { HttpBackend } from './http-backend.ts'
import type { HttpSession } from './http-sessions.ts'
import { LoginRefused } from './login-interceptor.ts'
import { lostError, silenceError, type Fate } from './lost-call.ts'
import { requestIdIn, type PeekedBody } from './peek-body.ts'
import { isReplayable, receiveRequestBody, type RequestBody } from './request-body.ts'
import { memoryError } from './call-errors.ts'
import { AnswerToInitialize, beginSession } from './session-beginning.ts'
import { lookUpSession, unknownSession } from './session-lookup.ts'
import { encodeSseMessage, isEventStream } from './sse-codec.ts'
import { SseOpening } from './sse-opening.ts'
import { UnreadBound } from './unread-bound.ts'
import { isSilence, Upstream, type ReplyHead, type ReplyTaker } from './upstream.ts'

/** One request as it came in. */
export interface Arrival {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  /** Monotonic time at which it waits for a backend no longer. */
  readonly deadlineMs: number
}

/** One request of a client, from its arrival to the last byte of its answer. */
export class Exchange implements ReplyTaker {
  readonly #parts: ForwardParts
  readonly #req: IncomingMessage
  readonly #res: ServerResponse
  readonly #deadlineMs: number
  readonly #hold: Hold
  readonly #unread: UnreadBound
  /** Whether a client waits for what it asked for. A subscription of the new protocol is a POST that waits for nothing. */
  readonly #isCall: boolean
  #session: HttpSession | undefined
  #body: RequestBody = { kind: 'none' }
  #peeked: PeekedBody = { kind: 'other' }
  /** Undefined when no step of the chain looks at messages. */
  readonly #steps: ExchangeSteps | undefined
  #heldHead: ReplyHead | undefined
  #upstream: Upstream | undefined
  #backend: HttpBackend | undefined
  #sentId = ''
  #mayRevive = true
  #opening: SseOpening | undefined
  #isStream = false
  #tail = ''
  /** As declared by the server; -1 without. */
  #length = -1
  #eraWatch: EraWatch | undefined
  #answerToInitialize: AnswerToInitialize | undefined

  constructor(parts: ForwardParts, { req, res, deadlineMs }: Arrival) {
    this.#parts = parts
    this.#req = req
    this.#res = res
    this.#deadlineMs = deadlineMs
    this.#isCall = req.method === 'POST' && req.headers['mcp-method'] !== 'subscriptions/listen'
    this.#hold = new Hold(parts.held)
    this.#unread = new UnreadBound(res, parts.limits.answerUnreadMs)
    if (parts.chain.readsMessages) this.#steps = new ExchangeSteps(parts, req, res)
  }

  /** Begins. */
  start(): void {
    this.#parts.traffic.begin(this.#isCall)
    this.#res.once('close', () => this.#close())
    const { bodyBytes, collectBytes } = this.#parts.limits
    const limits = { bodyBytes, collectBytes: this.#steps === undefined ? collectBytes : bodyBytes }
    receiveRequestBody({ req: this.#req, hold: this.#hold }, limits, (received) => {
      try {
        if (received === 'full') return this.#refuse(memoryError)
        if (this.#isRefusedByEra(received)) return
        const body = this.#steps === undefined ? received : this.#steps.pass(received)
        if (body !== undefined) this.#received(body)
      } catch (error) {
        sendFault(this.#res, error, this.#parts.log)
      }
    })
  }

  head(head: ReplyHead): boolean {
    if (head.status === 404 && this.#session !== undefined && this.#retake(this.#session)) return false
    this.#isStream = isEventStream(head.headers['content-type'])
    if (this.#isStream) this.#parts.traffic.streams.add(this)
    const backend = this.#backend
    const isInitialize = this.#peeked.kind === 'initialize'
    this.#eraWatch = watchEra(this.#req, { status: head.status, isInitialize }, this.#parts.limits.collectBytes)
    try {
      if (this.#steps?.head(head) === true) {
        this.#heldHead = head
        return true
      }
    } catch (error) {
      this.#refuseAnswer(error)
      return false
    }
    if (this.#isStream && backend?.transport === 'sse' && this.#req.method === 'GET')
      return this.#openSse(backend, head)
    this.#sendHead(head)
    return true
  }

  data(chunk: Buffer): boolean {
    this.#parts.traffic.heard += 1
    this.#answerToInitialize?.note(chunk)
    this.#eraWatch?.note(chunk)
    const bytes = this.#step(chunk)
    if (bytes.length === 0) return true
    if (this.#opening !== undefined) return this.#pushSse(this.#opening, bytes)
    if (this.#isStream) this.#tail = (this.#tail + bytes.subarray(-4).toString('latin1')).slice(-4)
    // Most answers come in one piece, and go out with their head in one write.
    if (bytes.length === this.#length) this.#res.end(bytes)
    else if (!this.#res.write(bytes)) return this.#waitForDrain()
    return true
  }

  end(): void {
    if (this.#eraWatch?.isContradiction === true) this.#parts.contradicted()
    if (this.#opening !== undefined && !this.#res.headersSent) {
      return this.#refuseAnswer(new TypeError('the event stream ended before its endpoint'))
    }
    const rest = this.#steps?.end()
    if (this.#heldHead !== undefined) this.#sendHead(this.#heldHead, rest?.length)
    if (rest !== undefined) this.#answerToInitialize?.note(rest)
    this.#res.end(rest)
  }

  fail(error: Error, wasSent: boolean): void {
    if (this.#res.destroyed) return
    if (this.#body.kind === 'streamed' && this.#body.stream.isTooLarge && !this.#res.headersSent) {
      return refuseBody({ req: this.#req, res: this.#res }, this.#parts.limits)
    }
    if (error instanceof LoginRefused) return this.#refuse(error.tell(this.#parts.name))
    if (!wasSent && isReplayable(this.#body)) {
      const atMostMs = redialMsOf(this.#parts)
      return waitForChange(this.#parts, this.#journey(), { atMostMs, done: (readiness) => this.#proceed(readiness) })
    }
    this.#parts.log('warn', 'a request to the HTTP backend failed', { error: error.message, wasSent })
    if (isSilence(error)) return this.#refuse(silenceError(this.#parts.name))
    const isWhole = this.#body.kind !== 'streamed' || this.#body.stream.isWhole
    this.#lose(!wasSent ? 'not-sent' : isWhole ? 'unknown' : 'sent-in-part')
  }

  /** Ends it from our side: no answer will come any more. */
  cut(): void {
    this.#res.destroy()
  }

  #received(body: RequestBody): void {
    this.#body = body
    // Before the session is looked up: one that only a bridge knows must not be told to begin anew.
    if (this.#parts.gate.refusal !== undefined) return this.#refuse(absentError(this.#parts))
    const found = lookUpSession(this.#parts, this.#req, body)
    if (found.kind === 'refused') return this.#refuse(found.error)
    if (found.kind === 'ended') return sendEmpty(this.#res, 200)
    this.#peeked = found.peeked
    this.#session = found.session
    if (found.session !== undefined) found.session.active += 1
    whenReady(this.#parts, this.#journey(), (readiness) => this.#proceed(readiness))
  }

  #journey(): Parameters<typeof whenReady>[1] {
    return { req: this.#req, session: this.#session, deadlineMs: this.#deadlineMs, isStream: false, res: this.#res }
  }

  #proceed(readiness: Readiness): void {
    if (this.#res.destroyed) return
    if (readiness === 'absent') return this.#refuse(absentError(this.#parts))
    if (readiness === 'gone') return this.#refuse(unknownSession)
    if (!isReplayable(this.#body)) return this.#lose('not-sent')
    try {
      this.#send(readiness)
    } catch (error) {
      sendFault(this.#res, error, this.#parts.log)
    }
  }

  #send(backend: HttpBackend): void {
    const { limits } = this.#parts
    const { method = 'GET', url = '/' } = this.#req
    const path = backendTarget(backend, { method, url })
    if (path === undefined) return sendText(this.#res, 404, 'Not found\n')
    this.#backend = backend
    const opensSseStream = backend.transport === 'sse' && method === 'GET'
    const isInitialize = this.#peeked.kind === 'initialize'
    const ours = droppedOfRequest(this.#req, { opensSseStream, isInitialize, stateless: this.#parts.stateless })
    const without = this.#steps?.withoutHeaders(ours) ?? ours
    const headers = requestHeaders(this.#parts, this.#req, backend, without)
    if (this.#steps !== undefined) headers.push(...this.#steps.newHeaders)
    this.#sentId = this.#session?.backendId ?? ''
    if (this.#session !== undefined) headers.push('mcp-session-id', this.#sentId)
    this.#upstream = new Upstream(
      {
        pool: backend.pool,
        origin: backend.origin,
        method,
        path,
        headers,
        body: this.#body,
        headMs: this.#headMs(opensSseStream),
        redirects: limits.redirects,
        discardBytes: limits.discardBytes,
      },
      this.#taker(),
    )
    this.#upstream.send()
  }

  #taker(): ReplyTaker {
    const session = this.#session
    if (session === undefined || !this.#mayRevive || session.initBody === undefined) return this
    const retake = (): boolean => this.#retake(session)
    return new ForgottenWatch({ taker: this, retake, limitBytes: this.#parts.limits.collectBytes })
  }

  /** How long the server may keep quiet; one that serves a stream may send its head with the first event. */
  #headMs(opensSseStream: boolean): number {
    const { endpointMs, answerHeadMs } = this.#parts.limits
    if (opensSseStream) return endpointMs
    return this.#req.method === 'GET' && parseAccept(this.#req.headers.accept).events ? 0 : answerHeadMs
  }

  /** The server has forgotten the session: takes it up again and sends the request once more, which never ran. */
  #retake(session: HttpSession): boolean {
    const { sessions } = this.#parts
    // To any other method a server says 404 that knows the session well.
    const isOfSessions = this.#req.method === 'POST' || this.#req.method === 'GET'
    if (!isOfSessions || this.#req.url !== session.path) return false
    if (!this.#mayRevive || session.initBody === undefined) {
      sessions.delete(session)
      return false
    }
    this.#mayRevive = false
    // Unless somebody else was faster.
    if (session.backendId === this.#sentId) session.backend = undefined
    whenReady(this.#parts, this.#journey(), (readiness) => this.#proceed(readiness))
    return true
  }

  /** `length` when it is not the one that the server told. */
  #sendHead(head: ReplyHead, length?: number): void {
    const { status, headers, raw } = head
    const session = this.#session ?? this.#beginSession(head)
    if (session !== undefined && this.#req.method === 'DELETE' && (status === 404 || (status >= 200 && status < 300))) {
      this.#parts.sessions.delete(session)
    }
    const dropped = droppedOfAnswer(this.#parts.stateless, this.#steps?.isUntouched ?? true)
    const kept = buildResponseHeaders(raw, dropped)
    if (length !== undefined) kept.push('Content-Length', String(length))
    if (session !== undefined && headers['mcp-session-id'] !== undefined) kept.push('mcp-session-id', session.clientId)
    writeForwardedHead(this.#res, status, kept)
    // A short answer goes out with its head in one write; any other must not keep the client waiting for the head.
    const told = length ?? (this.#steps?.isUntouched === false ? undefined : headers['content-length'])
    if (told === undefined) this.#res.flushHeaders()
    else this.#length = Number(told)
  }

  #waitForDrain(): false {
    return this.#unread.wait(() => this.#upstream?.resume())
  }

  /** Judges what the client wrote, before anything is changed in it. */
  #isRefusedByEra(body: RequestBody): boolean {
    const id = headerOf(this.#req, 'mcp-session-id')
    const known = id === undefined ? undefined : this.#parts.sessions.get(id)
    const refused = refuseByEra(this.#req, body, known?.protocolVersion)
    if (refused !== undefined) sendError(this.#res, refused.error, refused.idText)
    return refused !== undefined
  }

  #beginSession(head: ReplyHead): HttpSession | undefined {
    const session = beginSession(this.#parts, {
      req: this.#req,
      peeked: this.#peeked,
      head,
      backend: this.#backend,
      backendPath: this.#upstream?.path ?? '/',
    })
    if (session !== undefined && this.#peeked.kind === 'initialize') {
      this.#answerToInitialize = new AnswerToInitialize(this.#parts, session, this.#isStream)
    }
    return session
  }

  #step(chunk: Buffer): Buffer {
    if (this.#steps === undefined) return chunk
    try {
      return this.#steps.push(chunk)
    } catch (error) {
      this.#refuseAnswer(error)
      return nothing
    }
  }

  #openSse(backend: HttpBackend, head: ReplyHead): boolean {
    try {
      this.#opening = new SseOpening(this.#parts, { req: this.#req, res: this.#res }, backend, head)
      this.#opening.start((error) => this.#refuseAnswer(error))
      return true
    } catch (error) {
      this.#refuseAnswer(error)
      return false
    }
  }

  #pushSse(opening: SseOpening, chunk: Buffer): boolean {
    try {
      return opening.push(chunk) || this.#waitForDrain()
    } catch (error) {
      this.#refuseAnswer(error)
      return true
    }
  }

  #refuseAnswer(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error)
    this.#parts.log('error', 'an answer of the HTTP backend was refused', { reason })
    this.#upstream?.abort()
    if (this.#res.headersSent) return void this.#res.destroy()
    this.#refuse({ name: 'backend-unreachable', message: `Bad Gateway: ${reason}` })
  }

  /** No answer will come. An event stream that stands between two events can still say so. */
  #lose(fate: Fate): void {
    const error = lostError(this.#parts.name, fate)
    if (!this.#res.headersSent) return this.#refuse(error)
    const idText = requestIdIn(this.#req.method, this.#body)
    const isBetweenEvents = this.#tail === '' || /(?:\n\n|\r\r|\n\r\n)$/.test(this.#tail)
    if (this.#isStream && this.#req.method === 'POST' && idText !== '' && isBetweenEvents) {
      this.#res.end(encodeSseMessage(buildErrorText(error, idText)))
    } else this.#res.destroy()
  }

  #refuse(error: WireError): void {
    sendError(this.#res, error, requestIdIn(this.#req.method, this.#body))
    this.#req.resume()
  }

  #close(): void {
    this.#parts.traffic.end(this, this.#isCall)
    this.#upstream?.abort()
    this.#unread.stop()
    this.#hold.release()
    this.#steps?.close()
    if (this.#session !== undefined) this.#parts.sessions.release(this.#session)
  }
}

const nothing = Buffer.alloc(0)
