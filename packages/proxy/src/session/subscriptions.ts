import type { HeldBytes } from '../held-bytes.ts'

/** Somebody who wants to hear about resources: a session, or a listening Modern client. */
export interface Subscriber {
  /** The URIs it wants to hear about. */
  readonly subscriptions: Set<string>
}

/**
 * Who wants to hear about which resource. The server knows one subscription per
 * URI, however many sessions share it.
 */
export class Subscriptions<S extends Subscriber> {
  readonly #byUri = new Map<string, { subscribers: Set<S>; isConfirmed: boolean }>()
  readonly #maximum: number
  readonly #held: HeldBytes

  /** `maximum` is of one subscriber; what all URIs take is counted into `held`. */
  constructor(maximum: number, held: HeldBytes) {
    this.#maximum = maximum
    this.#held = held
  }

  /**
   * Notes the wish of a subscriber at the time its request is sent, so that
   * another one's unsubscribe cannot overtake it. `known` means the server
   * has the subscription already and need not be asked.
   */
  add(subscriber: S, uri: string): 'full' | 'known' | 'ask' {
    const { subscriptions } = subscriber
    const hasRoom =
      subscriptions.has(uri) || (subscriptions.size < this.#maximum && this.#held.tryAddSpare(Buffer.byteLength(uri)))
    if (!hasRoom) return 'full'
    const entry = this.#byUri.get(uri) ?? { subscribers: new Set<S>(), isConfirmed: false }
    this.#byUri.set(uri, entry)
    entry.subscribers.add(subscriber)
    subscriptions.add(uri)
    return entry.isConfirmed ? 'known' : 'ask'
  }

  /** The server took the subscription. */
  confirm(uri: string): void {
    const entry = this.#byUri.get(uri)
    if (entry !== undefined) entry.isConfirmed = true
  }

  /** A new server knows no subscription yet. */
  unconfirmAll(): void {
    for (const entry of this.#byUri.values()) entry.isConfirmed = false
  }

  /** Forgets a wish. True when nobody else has it, so that the server can be told. */
  remove(subscriber: S, uri: string): boolean {
    if (subscriber.subscriptions.delete(uri)) this.#held.remove(Buffer.byteLength(uri))
    const entry = this.#byUri.get(uri)
    if (entry === undefined) return true
    entry.subscribers.delete(subscriber)
    if (entry.subscribers.size > 0) return false
    this.#byUri.delete(uri)
    return true
  }

  /** Whom to tell about a change. */
  subscribers(uri: string): Iterable<S> {
    return this.#byUri.get(uri)?.subscribers ?? []
  }

  /** Every URI somebody wants. */
  uris(): string[] {
    return [...this.#byUri.keys()]
  }
}
