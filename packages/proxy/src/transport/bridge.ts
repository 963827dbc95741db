import type { Chain } from '../chain.ts'
import { buildErrorText, type WireError } from '../errors.ts'
import { declaresAskableFeature, unaskableCapabilities } from '../mcp/client-features.ts'
import { withoutEnvelope } from '../mcp/envelope.ts'
import { buildResultText, idKey, param, paramText, parseText, type Message } from '../mcp/message.ts'
import { unknownMethod } from '../mcp/modern-methods.ts'
import { applySplices, findValue } from '../mcp/raw-message.ts'
import { prepareRequest } from '../mcp/readdress.ts'
import { negotiateRevision, newestRevision, type Era } from '../mcp/revision.ts'
import type { Attachment, ProxyLog, SessionJournal } from '../proxy-config.ts'
import { BridgeArchive } from '../session/bridge-archive.ts'
import type { Session } from '../session/session.ts'
import { announcedLists } from '../session/session-records.ts'
import { SessionTable } from '../session/session-table.ts'
import { adaptLegacyCall } from './call-adapters.ts'
import { Call, type CallSink } from './call.ts'
import { enterChain } from './enter-chain.ts'
import { toLaneError } from './lane-error.ts'
import { LanePool, type LanePoolOptions } from './lane-pool.ts'
import type { Lane } from './lane.ts'
import { ModernProcess } from './modern-process.ts'
import { withServedRevision, type Handshake } from './server-handshake.ts'
import type { CreatePeer } from './server-peer.ts'
import { SessionNotices } from './session-notices.ts'
import { SharedServer, type ListenSink, type ModernCall } from './shared-server.ts'

/** Answers to `initialize`: either all of the first two, or one of the others. */
export interface InitializeSink {
  /** Returns the session that begins; undefined when its client has left or there is no room for it. */
  begin(protocolVersion: string): Session | undefined
  /** Called after `begin` returned a session, which by now is written down. */
  accepted(text: string, session: Session): void
  /** The client's own server said no, in these words. */
  rejected(text: string): void
  refused(error: WireError): void
}

/** The answer to an `initialize` that begins nothing. */
interface SessionlessSink {
  accepted(text: string): void
  refused(error: WireError): void
}

/** A lane, and what its client asked it for. */
interface OwnServer {
  readonly lane: Lane
  readonly initialize: Message
}

/** What a bridge is made of. */
export interface BridgeOptions extends LanePoolOptions {
  /** Looks at what clients send, and at the answers they get. */
  readonly chain: Chain
  readonly journal?: SessionJournal | undefined
  /** How the server is to be spoken to; `auto` (the default) finds out. */
  readonly era?: Era | 'auto' | undefined
}

/** Many clients over one server, and over one more for each client that servers may ask something. */
export class Bridge {
  readonly sessions: SessionTable
  /** The server that all clients share who need none of their own. */
  readonly shared: SharedServer
  readonly #archive: BridgeArchive | undefined
  readonly #lanes: LanePool
  readonly #notices: SessionNotices
  readonly #modern: ModernProcess
  readonly #era: Era | 'auto'
  readonly #name: string
  readonly #log: ProxyLog
  readonly #chain: Chain
  readonly #capabilitiesBytes: number

  constructor(options: BridgeOptions) {
    const { name, limits, log, journal, era = 'auto' } = options
    this.#chain = options.chain
    this.#era = era
    this.#name = name
    this.#log = log
    this.#capabilitiesBytes = limits.capabilitiesBytes
    this.#lanes = new LanePool(options)
    this.#archive = journal === undefined ? undefined : new BridgeArchive(journal, limits)
    this.sessions = new SessionTable({
      wake: (id) => this.#wake(id),
      maximum: limits.sessions,
      ttlMs: limits.sessionTtlMs,
      unusedTtlMs: Math.min(limits.unusedSessionTtlMs, limits.sessionTtlMs),
    })
    this.shared = new SharedServer({
      ...options,
      sessions: this.sessions,
      notified: (message) => this.#notices.publish(message),
      replaced: (handshake) => this.#notices.publishLists(handshake),
    })
    const { sessions, shared } = this
    this.#notices = new SessionNotices({ sessions, shared, log })
    const lanes = this.#lanes
    const mayOpen = lanes.isAvailable && era === 'auto'
    const openServer = mayOpen ? (signal: AbortSignal) => lanes.openServer(signal) : undefined
    this.#modern = new ModernProcess({ ...options, shared, openServer })
  }

  /** Calls sent or waiting. */
  get inFlight(): number {
    return this.shared.inFlight + this.#modern.inFlight + this.#lanes.inFlight
  }

  /** Whether a server is ready. */
  get isAttached(): boolean {
    return this.shared.link.handshake !== undefined
  }

  /** A new session on the shared server. The longest idle one makes room for it; undefined when all are busy. */
  openSession(): Session | undefined {
    return this.#place()
  }

  /** Ends a session and takes back what it had asked the server for. */
  endSession(session: Session): void {
    if (!this.sessions.delete(session)) return
    this.#archive?.end(session)
    session.stream?.end()
    session.events?.close()
    // A lane refuses what waits for it; it is left with nothing to abandon.
    session.lane?.close()
    for (const call of session.calls.values()) call.abandon()
    this.shared.state.release(session)
  }

  /** Ends the sessions that were idle for too long. */
  sweep(): void {
    for (const session of this.sessions.idle()) this.endSession(session)
    const now = Date.now()
    for (const session of this.sessions.values()) session.events?.prune(now)
    this.#archive?.sweep(this.sessions.values())
  }

  /**
   * Answers a client's `initialize` from the server's own answer, or from that of a
   * server of its own. The returned function ends the wait of a client that left.
   */
  initialize(message: Message, sink: InitializeSink): () => void {
    if (this.#lanes.isAvailable && declaresAskableFeature(message)) {
      const era = this.shared.era ?? this.#era
      if (era === 'auto') return this.#initializeLater(message, sink)
      // A Modern server asks nobody, so a process for one client would be of no use.
      if (era === 'legacy') return this.#initializeLane(message, sink)
    }
    return this.shared.link.whenReady(
      (handshake) => {
        const { version, text } = answerInitialize(message, handshake)
        const session = sink.begin(version)
        if (session === undefined) return
        session.capabilitiesText = unaskableCapabilities(message, this.#capabilitiesBytes)
        this.#begin(session, { sink, text })
      },
      (error) => sink.refused(error),
      Buffer.byteLength(message.text),
    )
  }

  /**
   * Answers the `initialize` of a client that gets no session. Nothing of it is kept, so the client
   * shares the server whatever it declares. The returned function ends the wait of a client that left.
   */
  initializeSessionless(message: Message, sink: SessionlessSink): () => void {
    return this.shared.link.whenReady(
      (handshake) => sink.accepted(answerInitialize(message, handshake).text),
      (error) => sink.refused(error),
    )
  }

  /**
   * Answers or forwards one request. Without a session it is a call on its own.
   * Returns the call when there is something to wait for.
   */
  request(session: Session | undefined, message: Message, sink: CallSink): Call | undefined {
    if (!this.#chain.readsMessages) return this.#take(session, message, sink)
    const entered = enterChain(this.#chain, message, sink)
    return entered === undefined ? undefined : this.#take(session, entered.message, entered.sink)
  }

  #take(session: Session | undefined, message: Message, sink: CallSink): Call | undefined {
    if (session?.calls.has(keyOf(message)) === true) {
      refuse(sink, 'the id is in use by another request of this session')
      return undefined
    }
    switch (message.method) {
      case 'ping':
        this.#pong(session, message.idText, sink)
        return undefined
      case 'resources/subscribe':
      case 'resources/unsubscribe':
      case 'logging/setLevel':
        return this.#requestState(session, message, this.#archive?.watch(session, message, sink) ?? sink)
      default:
        if (session?.lane === undefined && message.method.startsWith('tasks/')) {
          // Tasks belong to a connection, and this one is shared: whoever asks would see the tasks of all.
          sink.response(buildErrorText(unknownMethod(message.method), message.idText), true)
          return undefined
        }
        return this.#forward(session, message, sink)
    }
  }

  /** Serves one request of a Modern client. The returned function cancels it, when its client leaves. */
  requestModern(given: ModernCall, answered: CallSink): () => void {
    const entered = enterChain(this.#chain, given.message, answered)
    if (entered === undefined) return () => undefined
    const { message, sink } = entered
    return this.#chooseModern({ message, sink }, (server) => {
      if (message.method === 'server/discover') return server.discover(message, sink)
      return server.request({ ...given, message }, sink)
    })
  }

  /** Serves `subscriptions/listen` of a Modern client. The returned function ends it, when its client leaves. */
  listen(message: Message, sink: ListenSink): () => void {
    return this.#chooseModern({ message, sink }, (server) => server.listen(message, sink))
  }

  /** Ends the subscriptions of Modern clients in good order. */
  endListens(): void {
    this.shared.endListens()
    this.#modern.endListens()
  }

  /** Takes a notification or a response of a client. */
  notify(session: Session | undefined, given: Message): void {
    const passage = this.#chain.fromClient?.(given) ?? { message: given }
    // Nothing can be answered to what is no request.
    if ('refused' in passage) return
    const { message } = passage
    if (message.kind === 'notification' && message.method === 'notifications/cancelled') {
      return this.#cancel(session, message)
    }
    if (session?.lane !== undefined) {
      this.#archive?.note(session, message)
      return session.lane.take(message)
    }
    // The shared server asks clients nothing, so a response answers nothing.
    if (message.kind !== 'notification') return
    switch (message.method) {
      case 'notifications/initialized':
      case 'notifications/roots/list_changed':
      case 'notifications/progress':
        // Part of the conversation between client and proxy; the server had its own.
        return
      default:
        return (session?.link ?? this.shared.link).notify(message.text)
    }
  }

  /** Takes a server into use. */
  async attach(createPeer: CreatePeer, signal: AbortSignal): Promise<Attachment> {
    const { handshake, lost } = await this.shared.link.attach(createPeer, this.#era, signal)
    this.#modern.forgetVerdict()
    return { ...handshake.info, lost }
  }

  /** Gives the server up. */
  detach(reason: string): void {
    this.shared.link.detach(reason)
  }

  /** Has a session told that everything may have changed: what it was sent is not known. */
  noteEverything(session: Session): void {
    for (const list of session.lists) session.missed.noteList(list)
    for (const uri of session.lane?.subscribed() ?? session.subscriptions) session.missed.noteResource(uri)
  }

  /** The client of a session opened a stream, or came back to one. */
  streamOpened(session: Session): void {
    session.lane?.streamOpened()
  }

  /** Refuses everything in flight, and ends the servers of single clients within the time given. */
  async close(withinMs: number): Promise<void> {
    this.shared.link.close()
    this.#modern.close()
    await this.#lanes.close(withinMs)
  }

  /** Has a request of a Modern client served by the server that it gets. The returned function is for when its client leaves. */
  #chooseModern(
    { message, sink }: { message: Message; sink: Pick<CallSink, 'refused'> },
    serve: (server: SharedServer) => () => void,
  ): () => void {
    let leave: (() => void) | undefined
    const chosen = (server: SharedServer): void => {
      leave = serve(server)
    }
    const refused = (error: WireError): void => sink.refused(error)
    const unwait = this.#modern.choose(chosen, refused, Buffer.byteLength(message.text))
    return () => {
      unwait()
      leave?.()
    }
  }

  /** Before the first server was attached nobody knows its era. */
  #initializeLater(message: Message, sink: InitializeSink): () => void {
    let leave: (() => void) | undefined
    const unwait = this.shared.link.whenReady(
      () => {
        leave = this.initialize(message, sink)
      },
      (error) => sink.refused(error),
      Buffer.byteLength(message.text),
    )
    return () => {
      unwait()
      leave?.()
    }
  }

  #initializeLane(message: Message, sink: InitializeSink): () => void {
    const served = withServedRevision(message)
    const initialize = prepareRequest(served)
    if (initialize === undefined) {
      sink.refused(invalidError('the progress token is ambiguous'))
      return () => undefined
    }
    const lane = this.#lanes.create(initialize)
    const wait = { isOver: false }
    void this.#openLane({ lane, initialize: served }, wait, sink)
    return () => {
      if (wait.isOver) return
      wait.isOver = true
      lane.close()
    }
  }

  async #openLane(own: OwnServer, wait: { isOver: boolean }, sink: InitializeSink): Promise<void> {
    const { lane } = own
    try {
      const { text, protocolVersion } = await lane.open()
      if (wait.isOver) return
      wait.isOver = true
      const session = sink.begin(protocolVersion)
      if (session === undefined) lane.close()
      else this.#begin(session, { sink, text, own })
    } catch (error) {
      if (wait.isOver) return
      wait.isOver = true
      lane.close()
      const { message, wire, responseText } = toLaneError(error, this.#name)
      this.#log('warn', 'a client got no server of its own', { reason: message })
      if (responseText === undefined) sink.refused(wire)
      else sink.rejected(responseText)
    }
  }

  #begin(session: Session, answer: { sink: InitializeSink; text: string; own?: OwnServer }): void {
    const { sink, text, own } = answer
    session.lists = announcedLists(text)
    this.#archive?.begin(session, own?.initialize)
    sink.accepted(text, session)
    this.#bind(session, own?.lane)
  }

  /** The session of an earlier life of the proxy goes on; its server is opened with its next call. */
  #wake(id: string): Session | undefined {
    const stored = this.#archive?.wake(id)
    if (stored === undefined) return undefined
    const initialize = stored.initialize === undefined ? undefined : prepareRequest(stored.initialize)
    const session = this.#place(id)
    if (session === undefined) return undefined
    this.#log('info', 'a session of an earlier life of the proxy goes on', { sessions: this.sessions.size })
    const { protocolVersion, lists, capabilitiesText } = stored
    Object.assign(session, { protocolVersion, lists, capabilitiesText, wasUsed: true })
    const lane = initialize !== undefined && this.#lanes.isAvailable ? this.#lanes.create(initialize) : undefined
    lane?.adopt(stored)
    this.#bind(session, lane)
    session.logLevel = lane === undefined ? stored.logLevel : undefined
    if (lane === undefined) this.shared.state.adopt(session, stored.uris)
    this.noteEverything(session)
    return session
  }

  #place(id?: string): Session | undefined {
    const created = this.sessions.create(this.shared.link, id)
    if (created !== undefined) return created
    const given = this.sessions.mostIdle()
    if (given === undefined) return undefined
    this.#log('debug', 'ended the longest idle session to make room for a new one')
    this.endSession(given)
    return this.sessions.create(this.shared.link, id)
  }

  /** Over the old SSE transport a client may initialize again, with other capabilities. */
  #bind(session: Session, lane: Lane | undefined): void {
    if (session.lane !== lane) session.lane?.close()
    session.lane = lane
    session.link = lane ?? this.shared.link
    lane?.bind(session)
  }

  #requestState(session: Session | undefined, message: Message, sink: CallSink): Call | undefined {
    if (session?.lane !== undefined) return this.#requestLane(session, session.lane, { message, sink })
    return this.#requestShared(session, message, sink)
  }

  #requestLane(session: Session, lane: Lane, request: { message: Message; sink: CallSink }): Call | undefined {
    const sink = lane.watch(request.message, request.sink)
    if (sink !== undefined) return this.#forward(session, request.message, sink)
    request.sink.refused({
      name: 'invalid-request',
      message: 'too many subscriptions in this session, or no room for one so long',
    })
    return undefined
  }

  #pong(session: Session | undefined, idText: string, sink: CallSink): void {
    // A lane starts its server again when the next call comes.
    if (session?.lane !== undefined) return sink.response(buildResultText(idText, '{}'), false)
    // What a ping asks is whether there is somebody who could answer the next call.
    this.shared.link.whenReady(
      () => sink.response(buildResultText(idText, '{}'), false),
      (error) => sink.refused(error),
    )
  }

  #requestShared(session: Session | undefined, message: Message, sink: CallSink): Call | undefined {
    const answer =
      message.method === 'logging/setLevel'
        ? this.shared.state.setLevel(session, message, sink)
        : message.method === 'resources/subscribe'
          ? this.shared.state.subscribe(session, message, sink)
          : this.shared.state.unsubscribe(session, message, sink)
    if (answer.kind === 'forward') return this.#forward(session, message, answer.sink)
    if (answer.kind === 'result') sink.response(answer.text, false)
    else if (answer.kind === 'refused') sink.refused(answer.error)
    return undefined
  }

  #forward(session: Session | undefined, message: Message, sink: CallSink): Call | undefined {
    const request = prepareRequest(withoutHopKeys(message))
    if (request === undefined) {
      refuse(sink, 'the progress token is ambiguous')
      return undefined
    }
    const call = new Call(request, sink, session?.calls, keyOf(message))
    if (session?.lane === undefined) call.adapt = adaptLegacyCall(session)
    ;(session?.link ?? this.shared.link).send(call)
    return call
  }

  #cancel(session: Session | undefined, message: Message): void {
    const idText = paramText(message, 'requestId')
    if (session === undefined || idText === undefined) return
    const call = session.calls.get(idKey(param(message, 'requestId'), idText))
    const reason = param(message, 'reason')
    if (call !== undefined) session.link.cancel(call, typeof reason === 'string' ? reason : undefined)
  }
}

/** The server's own answer, with the version and the id of this client. */
function answerInitialize(message: Message, { era, info, resultText }: Handshake): { version: string; text: string } {
  const served = era === 'modern' ? newestRevision : info.protocolVersion
  const version = negotiateRevision(param(message, 'protocolVersion'), served)
  const span = findValue(resultText, 0, ['protocolVersion'])
  const result =
    span === undefined ? resultText : applySplices(resultText, [{ ...span, text: JSON.stringify(version) }])
  return { version, text: buildResultText(message.idText, result) }
}

/** What only the client and the proxy have to do with. */
function withoutHopKeys(message: Message): Message {
  const text = withoutEnvelope(message)
  const parsed = text === message.text ? undefined : parseText(text)
  return parsed?.kind === 'message' ? parsed.message : message
}

function keyOf(message: Message): string {
  return idKey(message.value['id'], message.idText)
}

function refuse(sink: CallSink, reason: string): void {
  sink.refused(invalidError(reason))
}

function invalidError(reason: string): WireError {
  return { name: 'invalid-request', message: `Invalid Request: ${reason}` }
}
