import type { HeldBytes } from '../held-bytes.ts'
import { isLogLevel } from '../mcp/log-level.ts'
import { param, type Message } from '../mcp/message.ts'
import type { StoredSession } from '../session/session-records.ts'
import { Call, ignored, type CallSink } from './call.ts'
import { watchSink } from './call-sinks.ts'
import type { ServerConnection } from './server-connection.ts'
import { buildOwnRequest } from './server-handshake.ts'

/** What a client brought about in the server of its lane, so that the next process of it can be brought there too. */
export class LaneMemory {
  readonly #maximum: number
  readonly #held: HeldBytes
  readonly #uris = new Set<string>()
  #level: string | undefined
  /** The client's own `notifications/initialized`; empty until it came. */
  #initializedText = ''

  /** What the URIs take is counted into `held`. */
  constructor(subscriptionsPerSession: number, held: HeldBytes) {
    this.#maximum = subscriptionsPerSession
    this.#held = held
  }

  /** Remembers that the client ended the handshake. */
  initialized(notification: Message): void {
    this.#initializedText = notification.text
  }

  /** Takes over what was remembered in an earlier life of the proxy. */
  adopt({ initializedText, logLevel, uris }: Pick<StoredSession, 'initializedText' | 'logLevel' | 'uris'>): void {
    this.#initializedText = initializedText
    this.#level = logLevel
    for (const uri of uris) if (this.#mayAdd(uri)) this.#uris.add(uri)
  }

  /** The same sink, remembering what the server did. Undefined when there would be too much to remember. */
  watch(message: Message, sink: CallSink): CallSink | undefined {
    const uri = param(message, 'uri')
    const level = param(message, 'level')
    if (message.method === 'logging/setLevel' && isLogLevel(level)) {
      return watchSink(sink, (isDone) => {
        if (isDone) this.#level = level
      })
    }
    if (typeof uri !== 'string') return sink
    if (message.method === 'resources/subscribe') {
      if (this.#uris.has(uri)) return sink
      if (!this.#mayAdd(uri)) return undefined
      return watchSink(sink, (isDone) => {
        // Another request for the same one may have been faster.
        if (isDone && !this.#uris.has(uri)) this.#uris.add(uri)
        else this.#held.remove(Buffer.byteLength(uri))
      })
    }
    if (message.method === 'resources/unsubscribe' && this.#uris.delete(uri)) this.#held.remove(Buffer.byteLength(uri))
    return sink
  }

  /** Forgets the subscriptions. */
  clear(): void {
    for (const uri of this.#uris) this.#held.remove(Buffer.byteLength(uri))
    this.#uris.clear()
  }

  /** Whether the client wants to hear about a resource. */
  isSubscribed(uri: string): boolean {
    return this.#uris.has(uri)
  }

  /** Every resource the client wants to hear about. */
  uris(): Iterable<string> {
    return this.#uris
  }

  /** Brings a new server process to where the old one was. */
  restore(connection: ServerConnection): void {
    if (this.#initializedText !== '') connection.notify(this.#initializedText)
    if (this.#level !== undefined) tell(connection, 'logging/setLevel', { level: this.#level })
    for (const uri of this.#uris) tell(connection, 'resources/subscribe', { uri })
  }

  /** Whether there is room for one more URI, which then has it. */
  #mayAdd(uri: string): boolean {
    return this.#uris.size < this.#maximum && this.#held.tryAddSpare(Buffer.byteLength(uri))
  }
}

function tell(connection: ServerConnection, method: string, params: Record<string, string>): void {
  connection.send(new Call(buildOwnRequest(method, JSON.stringify(params)), ignored))
}
