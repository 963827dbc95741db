import type { WireError } from '../errors.ts'
import { isLogLevel, mostVerbose, type LogLevel } from '../mcp/log-level.ts'
import { buildResultText, param, type Message } from '../mcp/message.ts'
import type { Session } from '../session/session.ts'
import type { SessionTable } from '../session/session-table.ts'
import type { Subscriptions } from '../session/subscriptions.ts'
import { Call, type CallSink } from './call.ts'
import { ignored, watchSink } from './call-sinks.ts'
import { buildOwnRequest } from './server-handshake.ts'
import type { ServerLink } from './server-link.ts'
import type { ServerPeer } from './server-peer.ts'

/** What decides a request: nothing (the server has to), or an answer of the proxy. */
export type SharedAnswer =
  | { kind: 'forward'; sink: CallSink }
  | { kind: 'result'; text: string }
  | { kind: 'refused'; error: WireError }

/**
 * Requests that change state in the server, which all clients share: what one
 * client asks for must neither be lost nor be imposed on another.
 */
export class SharedState {
  readonly #sessions: SessionTable
  readonly #subscriptions: Subscriptions
  readonly #link: ServerLink
  /** The level the server was told last. */
  #serverLevel: LogLevel | undefined

  constructor(parts: { sessions: SessionTable; subscriptions: Subscriptions; link: ServerLink }) {
    this.#sessions = parts.sessions
    this.#subscriptions = parts.subscriptions
    this.#link = parts.link
  }

  /** `resources/subscribe`. */
  subscribe(session: Session | undefined, message: Message, sink: CallSink): SharedAnswer {
    const uri = param(message, 'uri')
    if (typeof uri !== 'string') return { kind: 'forward', sink }
    if (session === undefined) return refused('resources/subscribe needs a session')
    const answer = this.#subscriptions.add(session, uri)
    if (answer === 'full') return refused('too many subscriptions in this session')
    // While no server is there, nobody knows whether the next one takes the subscription.
    if (answer === 'known' && this.#link.handshake !== undefined) return empty(message)
    return {
      kind: 'forward',
      sink: watchSink(sink, (isDone) => {
        if (isDone) this.#subscriptions.confirm(uri)
        else this.#subscriptions.remove(session, uri)
      }),
    }
  }

  /** `resources/unsubscribe`. */
  unsubscribe(session: Session | undefined, message: Message, sink: CallSink): SharedAnswer {
    const uri = param(message, 'uri')
    if (typeof uri !== 'string') return { kind: 'forward', sink }
    // Forwarded, it would end the subscription of somebody else.
    if (session === undefined) return refused('resources/unsubscribe needs a session')
    return this.#subscriptions.remove(session, uri) ? { kind: 'forward', sink } : empty(message)
  }

  /** `logging/setLevel`. */
  setLevel(session: Session | undefined, message: Message, sink: CallSink): SharedAnswer {
    const level = param(message, 'level')
    if (!isLogLevel(level)) return { kind: 'forward', sink }
    if (session === undefined) {
      return refused('logging/setLevel needs a session: without one there is no stream for log messages')
    }
    const before = session.logLevel
    session.logLevel = level
    const wanted = this.#wantedLevel()
    if (wanted === this.#serverLevel) return empty(message)
    if (wanted !== level) {
      this.#tellLevel(this.#link)
      return empty(message)
    }
    this.#serverLevel = wanted
    return {
      kind: 'forward',
      sink: watchSink(sink, (isDone) => {
        if (isDone) return
        session.logLevel = before
        this.#serverLevel = undefined
      }),
    }
  }

  /** Takes back what a session that ended had asked for. */
  release(session: Session): void {
    for (const uri of session.subscriptions) {
      if (this.#subscriptions.remove(session, uri))
        this.#tell(this.#link, { method: 'resources/unsubscribe', params: { uri } })
    }
    if (session.logLevel === undefined) return
    session.logLevel = undefined
    if (this.#wantedLevel() !== this.#serverLevel) this.#tellLevel(this.#link)
  }

  /** Brings a new server to the state the old one had, as far as it takes it. */
  restore(peer: ServerPeer): void {
    this.#subscriptions.unconfirmAll()
    for (const uri of this.#subscriptions.uris()) {
      this.#tell(peer, { method: 'resources/subscribe', params: { uri } }, (isDone) => {
        if (isDone) this.#subscriptions.confirm(uri)
      })
    }
    this.#serverLevel = undefined
    this.#tellLevel(peer)
  }

  #wantedLevel(): LogLevel | undefined {
    const levels: LogLevel[] = []
    for (const session of this.#sessions.values()) if (session.logLevel !== undefined) levels.push(session.logLevel)
    return mostVerbose(levels)
  }

  #tellLevel(to: Pick<ServerPeer, 'send'>): void {
    // The protocol cannot unset a level; when nobody listens any more the last one stays, and is filtered out here.
    const level = this.#wantedLevel()
    if (level === undefined) return
    this.#serverLevel = level
    this.#tell(to, { method: 'logging/setLevel', params: { level } }, (isDone) => {
      if (!isDone && this.#serverLevel === level) this.#serverLevel = undefined
    })
  }

  #tell(
    to: Pick<ServerPeer, 'send'>,
    { method, params }: { method: string; params: Record<string, string> },
    ended: (isDone: boolean) => void = () => undefined,
  ): void {
    // Without a server there is no state to change, and `restore` will tell the next one.
    if (to === this.#link && this.#link.handshake === undefined) return
    to.send(new Call(buildOwnRequest(method, JSON.stringify(params)), watchSink(ignored, ended)))
  }
}

function empty(message: Message): SharedAnswer {
  return { kind: 'result', text: buildResultText(message.idText, '{}') }
}

function refused(message: string): SharedAnswer {
  return { kind: 'refused', error: { name: 'invalid-request', message } }
}
