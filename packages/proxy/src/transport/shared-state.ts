import type { WireError } from '../errors.ts'
import { withoutEnvelope } from '../mcp/envelope.ts'
import { isLogLevel, mostVerbose, type LogLevel } from '../mcp/log-level.ts'
import { buildResultText, isRecord, param, type Message } from '../mcp/message.ts'
import { honourFilter } from '../session/listen-filter.ts'
import { listNames } from '../session/missed-changes.ts'
import type { Session } from '../session/session.ts'
import type { SessionTable } from '../session/session-table.ts'
import type { Subscriptions } from '../session/subscriptions.ts'
import type { ProxyLimits } from '../limits.ts'
import { Call, ignored, type CallSink } from './call.ts'
import { watchSink } from './call-sinks.ts'
import type { Listen } from './listen.ts'
import { buildOwnRequest, type Handshake } from './server-handshake.ts'
import type { ServerLink } from './server-link.ts'
import { ServerListen } from './server-listen.ts'
import type { ServerPeer } from './server-peer.ts'

/** What decides a request: nothing (the server has to), an answer of the proxy, or one that is still to come. */
export type SharedAnswer =
  | { kind: 'forward'; sink: CallSink }
  | { kind: 'result'; text: string }
  | { kind: 'refused'; error: WireError }
  | { kind: 'later' }

/** What the shared state is about. */
export interface SharedStateParts {
  readonly sessions: SessionTable
  readonly subscriptions: Subscriptions<Session | Listen>
  readonly link: ServerLink
  readonly limits: ProxyLimits
  /** A Modern server ended its subscription, so that changes may have been missed. */
  interrupted(): void
}

/**
 * Requests that change state in the server, which all clients share: what one client
 * asks for must neither be lost nor be imposed on another. In a Legacy server it is
 * changed by requests; a Modern one knows no state but the one subscription of the proxy.
 */
export class SharedState {
  readonly #parts: SharedStateParts
  /** Levels that calls of Modern clients asked for. */
  readonly #callLevels = new Set<{ level: LogLevel }>()
  /** The level the server was told last. */
  #serverLevel: LogLevel | undefined
  /** Set for a Modern server. */
  #listen: ServerListen | undefined

  constructor(parts: SharedStateParts) {
    this.#parts = parts
  }

  /** Calls of the proxy's own that stay without answer. */
  get openListens(): number {
    return this.#listen?.open ?? 0
  }

  /** `resources/subscribe`. */
  subscribe(session: Session | undefined, message: Message, sink: CallSink): SharedAnswer {
    const { subscriptions, link } = this.#parts
    const uri = param(message, 'uri')
    if (typeof uri !== 'string') return { kind: 'forward', sink }
    if (session === undefined) return refused('resources/subscribe needs a session')
    const answer = subscriptions.add(session, uri)
    if (answer === 'full') return refused('too many subscriptions in this session, or no room for one so long')
    // While no server is there, nobody knows whether the next one takes the subscription.
    if (answer === 'known' && link.handshake !== undefined) return empty(message)
    if (this.#listen !== undefined) {
      // Only a server that is there can say whether it takes the subscription.
      link.whenReady(
        () => void this.#subscribeLater(session, uri, { message, sink }),
        (error) => {
          this.#forget(session, uri)
          sink.refused(error)
        },
      )
      return { kind: 'later' }
    }
    return {
      kind: 'forward',
      sink: watchSink(sink, (isDone) => {
        if (isDone) subscriptions.confirm(uri)
        else this.#forget(session, uri)
      }),
    }
  }

  /** `resources/unsubscribe`. */
  unsubscribe(session: Session | undefined, message: Message, sink: CallSink): SharedAnswer {
    const uri = param(message, 'uri')
    if (typeof uri !== 'string') return { kind: 'forward', sink }
    // Forwarded, it would end the subscription of somebody else.
    if (session === undefined) return refused('resources/unsubscribe needs a session')
    if (!this.#forget(session, uri)) return empty(message)
    if (this.#listen === undefined) return { kind: 'forward', sink }
    void this.#listen.update()
    return empty(message)
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
    // Each call tells it to a Modern server.
    if (this.#listen !== undefined) return empty(message)
    const wanted = this.#wantedLevel()
    if (wanted === this.#serverLevel) return empty(message)
    if (wanted !== level) {
      this.#tellLevel(this.#parts.link)
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

  /** Takes over what a session of an earlier life of the proxy had asked for. */
  adopt(session: Session, uris: readonly string[]): void {
    const { subscriptions, link } = this.#parts
    const asked = uris.filter((uri) => subscriptions.add(session, uri) === 'ask')
    if (this.#listen === undefined) for (const uri of asked) void this.#askSubscribe(link, uri)
    else if (asked.length > 0) void this.#listen.update()
    this.#lowerLevel()
  }

  /** Notes what a listening client asks for, and has the server take it. Resolves to the URIs that it took; never rejects. */
  async watch(listen: Listen, uris: readonly string[]): Promise<string[]> {
    const { subscriptions, link } = this.#parts
    const asked = uris.map((uri) => ({ uri, answer: subscriptions.add(listen, uri) }))
    const added = asked.filter(({ answer }) => answer !== 'full')
    if (this.#listen !== undefined) {
      const honoured = new Set(added.length === 0 ? [] : (await this.#listen.update()).uris)
      return this.#settle(listen, uris, (uri) => honoured.has(uri))
    }
    const taken = new Set(added.filter(({ answer }) => answer === 'known').map(({ uri }) => uri))
    await Promise.all(
      added.map(async ({ uri, answer }) => {
        if (answer === 'ask' && (await this.#askSubscribe(link, uri))) taken.add(uri)
      }),
    )
    return this.#settle(listen, uris, (uri) => taken.has(uri))
  }

  /** Takes back what a session or a listening client that ended had asked for. */
  release(ended: Session | Listen): void {
    const { link } = this.#parts
    let isLast = false
    for (const uri of ended.subscriptions) {
      if (!this.#forget(ended, uri)) continue
      isLast = true
      if (this.#listen === undefined) this.#tell(link, { method: 'resources/unsubscribe', params: { uri } })
    }
    if (isLast) void this.#listen?.update()
    if (!('logLevel' in ended) || ended.logLevel === undefined) return
    ended.logLevel = undefined
    this.#lowerLevel()
  }

  /** Has the server log what a call of a Modern client asked for, until the returned function is called. */
  holdLevel(level: LogLevel): () => void {
    const held = { level }
    this.#callLevels.add(held)
    this.#lowerLevel()
    return () => {
      if (this.#callLevels.delete(held)) this.#lowerLevel()
    }
  }

  /** Brings a new server to the state the old one had, as far as it takes it. */
  restore(peer: ServerPeer, handshake: Handshake): void {
    const { subscriptions, limits } = this.#parts
    this.#listen?.close()
    this.#listen = undefined
    subscriptions.unconfirmAll()
    this.#serverLevel = undefined
    if (handshake.era === 'modern') {
      const { capabilities } = handshake
      this.#listen = new ServerListen({
        peer,
        limits,
        filter: () => honourFilter({ lists: listNames, uris: subscriptions.uris() }, capabilities),
        interrupted: () => this.#parts.interrupted(),
      })
      void this.#listen.update()
      return
    }
    for (const uri of subscriptions.uris()) void this.#askSubscribe(peer, uri)
    this.#tellLevel(peer)
  }

  /** The text of a notification as clients may see it; undefined when it is not for them. */
  hear(message: Message): string | undefined {
    if (this.#listen === undefined || !isSubscribed(message)) return withoutEnvelope(message)
    return this.#listen.hear(message)
  }

  async #subscribeLater(session: Session, uri: string, request: { message: Message; sink: CallSink }): Promise<void> {
    const { message, sink } = request
    // By now a Legacy server may have taken the place of a Modern one.
    const isTaken =
      this.#listen === undefined
        ? await this.#askSubscribe(this.#parts.link, uri)
        : (await this.#listen.update()).uris.includes(uri)
    if (isTaken) {
      this.#parts.subscriptions.confirm(uri)
      return sink.response(buildResultText(message.idText, '{}'), false)
    }
    this.#forget(session, uri)
    const error = { name: 'params-invalid', message: 'The server does not tell changes of this resource' } as const
    sink.refused(error)
  }

  #settle(listen: Listen, uris: readonly string[], isTaken: (uri: string) => boolean): string[] {
    for (const uri of uris) {
      if (isTaken(uri)) this.#parts.subscriptions.confirm(uri)
      else this.#forget(listen, uri)
    }
    return uris.filter(isTaken)
  }

  #forget(subscriber: Session | Listen, uri: string): boolean {
    if ('missed' in subscriber) subscriber.missed.forgetResource(uri)
    return this.#parts.subscriptions.remove(subscriber, uri)
  }

  #askSubscribe(to: Pick<ServerPeer, 'send'>, uri: string): Promise<boolean> {
    return new Promise((resolve) => {
      this.#tell(to, { method: 'resources/subscribe', params: { uri } }, (isDone) => {
        if (isDone) this.#parts.subscriptions.confirm(uri)
        resolve(isDone)
      })
    })
  }

  #wantedLevel(): LogLevel | undefined {
    const levels = [...this.#callLevels].map(({ level }) => level)
    for (const { logLevel } of this.#parts.sessions.values()) if (logLevel !== undefined) levels.push(logLevel)
    return mostVerbose(levels)
  }

  #lowerLevel(): void {
    const { link } = this.#parts
    if (this.#listen !== undefined || !isRecord(link.handshake?.capabilities['logging'])) return
    if (this.#wantedLevel() !== this.#serverLevel) this.#tellLevel(link)
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
    const { link } = this.#parts
    // Without a server there is no state to change, and `restore` will tell the next one.
    if (to === link && link.handshake === undefined) return ended(false)
    to.send(new Call(buildOwnRequest(method, JSON.stringify(params)), watchSink(ignored, ended)))
  }
}

/** Whether a notification of a Modern server belongs to a subscription. */
function isSubscribed({ method }: Message): boolean {
  return method.endsWith('/list_changed') || method.startsWith('notifications/subscriptions/') || method === updated
}

const updated = 'notifications/resources/updated'

function empty(message: Message): SharedAnswer {
  return { kind: 'result', text: buildResultText(message.idText, '{}') }
}

function refused(message: string): SharedAnswer {
  return { kind: 'refused', error: { name: 'invalid-request', message } }
}
