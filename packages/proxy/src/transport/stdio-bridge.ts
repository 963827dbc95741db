import type { Readable, Writable } from 'node:stream'
import type { WireError } from '../errors.ts'
import type { ProxyLimits } from '../limits.ts'
import { isLogLevel, passesLevel } from '../mcp/log-level.ts'
import { buildResultText, idKey, param, paramText, type Message } from '../mcp/message.ts'
import { applySplices, findValue } from '../mcp/raw-message.ts'
import { negotiateRevision } from '../mcp/revision.ts'
import type { BackendInfo, ProxyLog } from '../proxy-config.ts'
import type { Session } from '../session/session.ts'
import { SessionTable } from '../session/session-table.ts'
import { Subscriptions } from '../session/subscriptions.ts'
import { Call, type CallSink } from './call.ts'
import type { Handshake } from './server-handshake.ts'
import { ServerLink } from './server-link.ts'
import { SharedState } from './shared-state.ts'
import { encodeSseMessage } from './sse-codec.ts'

/** Answers to `initialize`; exactly one is called. */
export interface InitializeSink {
  accepted(text: string, protocolVersion: string): void
  refused(error: WireError): void
}

/** Many client sessions over the one message stream of a stdio server. */
export class StdioBridge {
  readonly sessions: SessionTable
  readonly #link: ServerLink
  readonly #subscriptions: Subscriptions
  readonly #shared: SharedState
  readonly #log: ProxyLog

  constructor(options: { name: string; limits: ProxyLimits; log: ProxyLog }) {
    const { limits, log } = options
    this.#log = log
    this.sessions = new SessionTable({ maximum: limits.sessions, ttlMs: limits.sessionTtlMs })
    this.#subscriptions = new Subscriptions(limits.subscriptionsPerSession)
    this.#link = new ServerLink({
      ...options,
      notified: (message) => this.#publish(message),
      attached: (connection, handshake, isFirst) => {
        this.#shared.restore(connection)
        if (!isFirst) this.#publishLists(handshake)
      },
    })
    this.#shared = new SharedState({ sessions: this.sessions, subscriptions: this.#subscriptions, link: this.#link })
  }

  /** Calls sent or waiting. */
  get inFlight(): number {
    return this.#link.inFlight
  }

  /** Whether a server is ready. */
  get isAttached(): boolean {
    return this.#link.handshake !== undefined
  }

  /** A new session on the shared server, or undefined when there are too many. */
  openSession(): Session | undefined {
    return this.sessions.create(this.#link)
  }

  /** Ends a session and takes back what it had asked the server for. */
  endSession(session: Session): void {
    if (!this.sessions.delete(session)) return
    session.stream?.end()
    this.#shared.release(session)
  }

  /** Ends the sessions that were idle for too long. */
  sweep(): void {
    for (const session of this.sessions.idle()) this.endSession(session)
  }

  /** Answers a client's `initialize` from the server's own answer. */
  initialize(message: Message, sink: InitializeSink): void {
    this.#link.whenReady(
      ({ info, resultText }) => {
        const version = negotiateRevision(param(message, 'protocolVersion'), info.protocolVersion)
        const span = findValue(resultText, 0, ['protocolVersion'])
        const result =
          span === undefined ? resultText : applySplices(resultText, [{ ...span, text: JSON.stringify(version) }])
        sink.accepted(buildResultText(message.idText, result), version)
      },
      (error) => sink.refused(error),
    )
  }

  /** Answers or forwards one request. Without a session it is a call on its own. */
  request(session: Session | undefined, message: Message, sink: CallSink): void {
    switch (message.method) {
      case 'ping':
        return sink.response(buildResultText(message.idText, '{}'), false)
      case 'resources/subscribe':
      case 'resources/unsubscribe':
      case 'logging/setLevel':
        return this.#requestShared(session, message, sink)
      default:
        return this.#forward(session, message, sink)
    }
  }

  /** Takes a notification or a response of a client. */
  notify(session: Session | undefined, message: Message): void {
    // The proxy asks clients nothing, so a response answers nothing.
    if (message.kind !== 'notification') return
    switch (message.method) {
      case 'notifications/cancelled':
        return this.#cancel(session, message)
      case 'notifications/initialized':
      case 'notifications/roots/list_changed':
      case 'notifications/progress':
        // Part of the conversation between client and proxy; the server had its own.
        return
      default:
        return (session?.link ?? this.#link).notify(message.text)
    }
  }

  /** Takes a server into use. */
  async attach(streams: { input: Writable; output: Readable }, signal: AbortSignal): Promise<BackendInfo> {
    const { info } = await this.#link.attach(streams, signal)
    return info
  }

  /** Gives the server up. */
  detach(reason: string): void {
    this.#link.detach(reason)
  }

  /** Refuses everything in flight. */
  close(): void {
    this.#link.close()
  }

  #requestShared(session: Session | undefined, message: Message, sink: CallSink): void {
    const answer =
      message.method === 'logging/setLevel'
        ? this.#shared.setLevel(session, message, sink)
        : message.method === 'resources/subscribe'
          ? this.#shared.subscribe(session, message, sink)
          : this.#shared.unsubscribe(session, message, sink)
    if (answer.kind === 'forward') this.#forward(session, message, answer.sink)
    else if (answer.kind === 'result') sink.response(answer.text, false)
    else sink.refused(answer.error)
  }

  #forward(session: Session | undefined, message: Message, sink: CallSink): void {
    if (session === undefined) return this.#link.send(new Call(message, sink))
    const key = idKey(message.value['id'], message.idText)
    session.link.send(new Call(message, sink, session.calls, key))
  }

  #cancel(session: Session | undefined, message: Message): void {
    const idText = paramText(message, 'requestId')
    if (session === undefined || idText === undefined) return
    const call = session.calls.get(idKey(param(message, 'requestId'), idText))
    if (call !== undefined) session.link.cancel(call, message)
  }

  #publish(message: Message): void {
    switch (message.method) {
      case 'notifications/cancelled':
        return
      case 'notifications/message':
        return this.#publishLog(message)
      case 'notifications/resources/updated': {
        const uri = param(message, 'uri')
        if (typeof uri === 'string') deliver(this.#subscriptions.subscribers(uri), message.text)
        return
      }
      case 'notifications/tools/list_changed':
      case 'notifications/prompts/list_changed':
      case 'notifications/resources/list_changed':
        return deliver(this.sessions.values(), message.text)
      default:
        return this.#publishUnknown(message)
    }
  }

  #publishLists({ resultText }: Handshake): void {
    // A restarted server may be another version of it, so what clients remember of its lists may be wrong.
    for (const list of ['tools', 'prompts', 'resources']) {
      const span = findValue(resultText, 0, ['capabilities', list, 'listChanged'])
      if (span === undefined || resultText.slice(span.start, span.end) !== 'true') continue
      deliver(this.sessions.values(), `{"jsonrpc":"2.0","method":"notifications/${list}/list_changed"}`)
    }
  }

  #publishLog(message: Message): void {
    const level = param(message, 'level')
    if (!isLogLevel(level)) return
    for (const session of this.sessions.values()) {
      if (session.logLevel !== undefined && passesLevel(level, session.logLevel)) deliver([session], message.text)
    }
  }

  #publishUnknown(message: Message): void {
    // It may carry one client's data, and nothing says whose. With one client there is no doubt.
    if (this.sessions.size === 1) return deliver(this.sessions.values(), message.text)
    this.#log('debug', 'dropped a notification that names no client', { method: message.method })
  }
}

function deliver(sessions: Iterable<Session>, text: string): void {
  const event = encodeSseMessage(text)
  for (const session of sessions) session.stream?.send(event)
}
