import type { Session } from './session.ts'

/**
 * Who wants to hear about which resource. The server knows one subscription per
 * URI, however many sessions share it.
 */
export class Subscriptions {
  readonly #byUri = new Map<string, { sessions: Set<Session>; isConfirmed: boolean }>()
  readonly #maximumPerSession: number

  constructor(maximumPerSession: number) {
    this.#maximumPerSession = maximumPerSession
  }

  /**
   * Notes the wish of a session at the time its request is sent, so that
   * another session's unsubscribe cannot overtake it. `known` means the server
   * has the subscription already and need not be asked.
   */
  add(session: Session, uri: string): 'full' | 'known' | 'ask' {
    if (!session.subscriptions.has(uri) && session.subscriptions.size >= this.#maximumPerSession) return 'full'
    const entry = this.#byUri.get(uri) ?? { sessions: new Set(), isConfirmed: false }
    this.#byUri.set(uri, entry)
    entry.sessions.add(session)
    session.subscriptions.add(uri)
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
  remove(session: Session, uri: string): boolean {
    session.subscriptions.delete(uri)
    session.missed.forgetResource(uri)
    const entry = this.#byUri.get(uri)
    if (entry === undefined) return true
    entry.sessions.delete(session)
    if (entry.sessions.size > 0) return false
    this.#byUri.delete(uri)
    return true
  }

  /** Sessions to tell about a change. */
  subscribers(uri: string): Iterable<Session> {
    return this.#byUri.get(uri)?.sessions ?? []
  }

  /** Every URI somebody wants. */
  uris(): string[] {
    return [...this.#byUri.keys()]
  }
}
