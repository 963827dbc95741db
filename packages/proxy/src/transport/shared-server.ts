import type { WireError } from '../errors.ts'
import { Hold, type HeldBytes } from '../held-bytes.ts'
import type { ProxyLimits } from '../limits.ts'
import type { Envelope } from '../mcp/envelope.ts'
import { isLogLevel, passesLevel, type LogLevel } from '../mcp/log-level.ts'
import { buildResultText, isRecord, param, parseText, type Message } from '../mcp/message.ts'
import { unknownMethod } from '../mcp/modern-methods.ts'
import { prepareRequest } from '../mcp/readdress.ts'
import type { Era } from '../mcp/revision.ts'
import { buildDiscoverResult } from '../mcp/to-modern.ts'
import type { HeaderValues } from '../mcp/tool-headers.ts'
import type { ProxyLog } from '../proxy-config.ts'
import { honourFilter, parseListenFilter, type ListenFilter } from '../session/listen-filter.ts'
import { listChangedMethod, listNames } from '../session/missed-changes.ts'
import type { Session } from '../session/session.ts'
import type { SessionTable } from '../session/session-table.ts'
import { Subscriptions } from '../session/subscriptions.ts'
import { adaptModernCall } from './call-adapters.ts'
import { memoryError } from './call-errors.ts'
import { watchSink } from './call-sinks.ts'
import { Call, type CallSink } from './call.ts'
import { Listen, type ListenWay } from './listen.ts'
import type { Handshake } from './server-handshake.ts'
import { ServerLink } from './server-link.ts'
import { SharedState } from './shared-state.ts'
import { ToolHeaderCheck } from './tool-header-check.ts'

/** What a shared server needs and reports. */
export interface SharedServerDeps {
  readonly name: string
  readonly limits: ProxyLimits
  readonly log: ProxyLog
  readonly held: HeldBytes
  /** The Legacy sessions on this server. */
  readonly sessions: SessionTable
  /** A notification of the server, as sessions may see it. */
  notified(message: Message): void
  /** A server took the place of another one, or changes were missed: what clients remember may be wrong. */
  replaced(handshake: Handshake): void
  /** The server answered a Modern call as a Legacy server would. */
  contradicted?(): void
}

/** One request of a Modern client. */
export interface ModernCall {
  readonly message: Message
  readonly envelope: Envelope
  readonly headers: HeaderValues
}

/** Answers to a `subscriptions/listen`: one of both is called. */
export interface ListenSink {
  /** The stream to the client; undefined when it has left. */
  open(): ListenWay | undefined
  refused(error: WireError): void
}

/**
 * One server for many clients: Legacy sessions see it through the bridge, and Modern
 * clients through this. Each of their requests is a call of its own, and each of their
 * subscriptions hears what the server tells the proxy.
 */
export class SharedServer {
  readonly link: ServerLink
  readonly subscriptions: Subscriptions<Session | Listen>
  readonly state: SharedState
  readonly #deps: SharedServerDeps
  /** Calls of Modern clients without an answer, and the level of log messages each wants. */
  readonly #calls = new Map<Call, LogLevel | undefined>()
  readonly #listens = new Set<Listen>()
  readonly #headers: ToolHeaderCheck
  #era: Era | undefined

  constructor(deps: SharedServerDeps) {
    this.#deps = deps
    const { sessions, limits, held } = deps
    this.subscriptions = new Subscriptions(limits.subscriptionsPerSession, held)
    this.link = new ServerLink({
      ...deps,
      notified: (message) => this.#notified(message),
      attached: (peer, handshake, isFirst) => {
        this.#era = handshake.era
        this.#headers.forget()
        this.state.restore(peer, handshake)
        if (!isFirst) this.#replaced()
      },
    })
    const { link, subscriptions } = this
    this.state = new SharedState({ sessions, subscriptions, link, limits, interrupted: () => this.#replaced() })
    this.#headers = new ToolHeaderCheck({ ...deps, link, contradicted: () => this.#contradicted() })
  }

  /** The era of the server, or of the last one while none is there. */
  get era(): Era | undefined {
    return this.#era
  }

  /** Calls of clients, sent or waiting. */
  get inFlight(): number {
    return this.link.inFlight - this.state.openListens
  }

  /** Whether clients are subscribed to changes. */
  get isListening(): boolean {
    return this.#listens.size > 0
  }

  /** Whether clients use it at the moment. */
  get isInUse(): boolean {
    return this.inFlight > 0 || this.isListening
  }

  /** Answers `server/discover`. The returned function ends the wait of a client that left. */
  discover({ idText }: Message, sink: CallSink): () => void {
    return this.link.whenReady(
      ({ resultText }) => sink.response(buildResultText(idText, buildDiscoverResult(resultText)), false),
      (error) => sink.refused(error),
    )
  }

  /** Forwards one request of a Modern client. The returned function cancels it, when its client leaves. */
  request(request: ModernCall, sink: CallSink): () => void {
    const { method } = request.message
    if (method === 'tools/list') return this.#send(request, this.#headers.learning(sink))
    if (method !== 'tools/call') return this.#send(request, sink)
    return this.#headers.isKnown ? this.#sendChecked(request, sink) : this.#sendLater(request, sink)
  }

  /**
   * Serves `subscriptions/listen`: first what is honoured, then each change of it, across
   * restarts of the server. The returned function is to be called when the client has left.
   */
  listen(message: Message, sink: ListenSink): () => void {
    const asked = parseListenFilter(param(message, 'notifications'))
    if (asked === undefined) {
      sink.refused({ name: 'params-invalid', message: 'Invalid params: notifications must be a subscription filter' })
      return () => undefined
    }
    if (this.#listens.size >= this.#deps.limits.listens) {
      sink.refused({ name: 'too-many-listens', message: 'Too many subscriptions are open' })
      return () => undefined
    }
    let listen: Listen | undefined
    const leave = this.link.whenReady(
      ({ capabilities }) => {
        const way = sink.open()
        if (way === undefined) return
        listen = new Listen(message.idText, way)
        this.#listens.add(listen)
        void this.#beginListen(listen, honourFilter(asked, capabilities))
      },
      (error) => sink.refused(error),
      Buffer.byteLength(message.text),
    )
    return () => {
      leave()
      if (listen !== undefined && this.#listens.delete(listen)) this.state.release(listen)
    }
  }

  /** Ends every subscription in good order. */
  endListens(): void {
    for (const listen of this.#listens) this.#end(listen)
  }

  /** Sends a call when the list of tools is there to check it by. */
  #sendLater(request: ModernCall, sink: CallSink): () => void {
    const hold = new Hold(this.#deps.held)
    if (!hold.tryAdd(Buffer.byteLength(request.message.text))) {
      sink.refused(memoryError)
      return nothing
    }
    let leave: (() => void) | undefined
    const unwait = this.#headers.whenKnown(
      () => {
        hold.release()
        leave = this.#sendChecked(request, sink)
      },
      (error) => {
        hold.release()
        sink.refused(error)
      },
    )
    return () => {
      hold.release()
      unwait()
      leave?.()
    }
  }

  #sendChecked(request: ModernCall, sink: CallSink): () => void {
    const refusal = this.#headers.refusalOf(request.message, request.headers)
    if (refusal === undefined) return this.#send(request, sink)
    sink.refused(refusal)
    return nothing
  }

  #send({ message, envelope }: ModernCall, sink: CallSink): () => void {
    const { capabilities } = this.link.handshake ?? {}
    const era = this.#era
    // Legacy tasks belong to a connection, and this one is shared.
    if (era === 'legacy' && message.method.startsWith('tasks/')) {
      sink.refused(unknownMethod(message.method))
      return nothing
    }
    const request = prepareRequest(message)
    if (request === undefined) {
      sink.refused({ name: 'invalid-request', message: 'Invalid Request: the progress token is ambiguous' })
      return nothing
    }
    const { logLevel } = envelope
    const needsLevel = logLevel !== undefined && era === 'legacy' && isRecord(capabilities?.['logging'])
    const letGo = needsLevel ? this.state.holdLevel(logLevel) : undefined
    const call: Call = new Call(
      request,
      watchSink(sink, () => {
        this.#calls.delete(call)
        letGo?.()
      }),
    )
    call.adapt = adaptModernCall(envelope, () => this.#contradicted())
    this.#calls.set(call, logLevel)
    this.link.send(call)
    return () => this.link.cancel(call, 'the client closed the response')
  }

  async #beginListen(listen: Listen, { lists, uris }: ListenFilter): Promise<void> {
    const taken = await this.state.watch(listen, uris)
    listen.acknowledge({ lists, uris: taken })
    // With nothing to tell, there is nothing to wait for.
    if (lists.length + taken.length === 0) this.#end(listen)
  }

  #end(listen: Listen): void {
    this.#listens.delete(listen)
    listen.end(this.link.handshake?.serverInfoText ?? '')
    this.state.release(listen)
  }

  #notified(given: Message): void {
    const text = this.state.hear(given)
    if (text === undefined) return
    const message = text === given.text ? given : reparse(text)
    if (message === undefined) return
    const list = listNames.find((name) => message.method === listChangedMethod(name))
    if (list === 'tools') this.#headers.forget()
    if (list !== undefined) for (const listen of this.#listens) listen.listChanged(list, text)
    const uri = param(message, 'uri')
    if (message.method === 'notifications/resources/updated' && typeof uri === 'string') {
      for (const subscriber of this.subscriptions.subscribers(uri)) {
        if (subscriber instanceof Listen) subscriber.resourceChanged(uri, text)
      }
    }
    if (message.method === 'notifications/message') this.#log(message)
    this.#deps.notified(message)
  }

  /** A log message names no call. With one call in flight there is no doubt; otherwise it could be about another client. */
  #log(message: Message): void {
    const level = param(message, 'level')
    const [only, ...others] = this.#calls
    if (only === undefined || others.length > 0 || this.inFlight > 1 || !isLogLevel(level)) return
    const [call, wanted] = only
    if (wanted !== undefined && passesLevel(level, wanted)) call.sink.related(message.text)
  }

  #replaced(): void {
    this.#headers.forget()
    const { handshake } = this.link
    if (handshake !== undefined) this.#deps.replaced(handshake)
    for (const listen of this.#listens) listen.everythingChanged()
  }

  #contradicted(): void {
    this.#deps.log('warn', 'a server that should be Modern answered without a result type', { name: this.#deps.name })
    this.#deps.contradicted?.()
  }
}

/** There is nothing to cancel. */
function nothing(): void {
  return
}

function reparse(text: string): Message | undefined {
  const parsed = parseText(text)
  return parsed.kind === 'message' ? parsed.message : undefined
}
