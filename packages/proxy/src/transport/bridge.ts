import type { Chain } from '../chain.ts'
import { buildErrorText, type WireError } from '../errors.ts'
import { withoutEnvelope } from '../mcp/envelope.ts'
import { buildResultText, idKey, param, paramText, parseText, type Message } from '../mcp/message.ts'
import { unknownMethod } from '../mcp/modern-methods.ts'
import { prepareRequest } from '../mcp/readdress.ts'
import type { Era } from '../mcp/revision.ts'
import type { Attachment, BackendSign, SessionJournal } from '../proxy-config.ts'
import { BridgeArchive } from '../session/bridge-archive.ts'
import type { Session } from '../session/session.ts'
import { SessionTable } from '../session/session-table.ts'
import { BridgeSessions } from './bridge-sessions.ts'
import { adaptLegacyCall } from './call-adapters.ts'
import { invalidError } from './call-errors.ts'
import { Call, type CallSink } from './call.ts'
import { enterChain } from './enter-chain.ts'
import { LanePool, type LanePoolOptions } from './lane-pool.ts'
import type { Lane } from './lane.ts'
import { ModernProcess } from './modern-process.ts'
import type { CreatePeer } from './server-peer.ts'
import type { QuestionResult } from './server-question.ts'
import { SessionNotices } from './session-notices.ts'
import { SharedServer, type ListenSink, type ModernCall } from './shared-server.ts'

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
  readonly sessions: BridgeSessions
  /** The server that all clients share who need none of their own. */
  readonly shared: SharedServer
  readonly #archive: BridgeArchive | undefined
  readonly #lanes: LanePool
  readonly #notices: SessionNotices
  readonly #modern: ModernProcess
  readonly #era: Era | 'auto'
  readonly #chain: Chain

  constructor(options: BridgeOptions) {
    const { name, limits, log, journal, era = 'auto' } = options
    this.#chain = options.chain
    this.#era = era
    this.#lanes = new LanePool(options)
    this.#archive = journal === undefined ? undefined : new BridgeArchive(journal, limits)
    const table = new SessionTable({
      wake: (id) => this.sessions.wake(id),
      maximum: limits.sessions,
      ttlMs: limits.sessionTtlMs,
      unusedTtlMs: Math.min(limits.unusedSessionTtlMs, limits.sessionTtlMs),
    })
    this.shared = new SharedServer({
      ...options,
      sessions: table,
      notified: (message) => this.#notices.publish(message),
      replaced: (handshake) => this.#notices.publishLists(handshake),
    })
    const { shared } = this
    const lanes = this.#lanes
    this.#notices = new SessionNotices({ sessions: table, shared, log })
    this.sessions = new BridgeSessions({ name, limits, log, era, table, archive: this.#archive, shared, lanes })
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

  /** Asks the server that all share whether it lives. Processes of single clients are not asked. */
  async probe(signal: AbortSignal): Promise<BackendSign> {
    const isBusy = this.shared.inFlight > 0
    const result = await this.shared.link.ask(signal)
    signal.throwIfAborted()
    return { ...signs[result ?? 'absent'], isBusy }
  }

  /** Messages of the server so far. */
  get heard(): number {
    return this.shared.link.heard
  }

  /** Gives the server up. */
  detach(reason: string): void {
    this.shared.link.detach(reason)
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

const signs = {
  absent: { code: 'absent', message: 'no server is attached' },
  answered: { code: 'alive', message: 'it answers' },
  heard: { code: 'alive', message: 'it answers its clients' },
  silent: { code: 'silent', message: 'it did not answer in time' },
  refused: { code: 'refused', message: 'it does not read its input' },
} as const satisfies Record<QuestionResult | 'absent', Omit<BackendSign, 'isBusy'>>

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
