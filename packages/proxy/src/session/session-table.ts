import { randomUUID } from 'node:crypto'
import type { CallLink } from '../transport/call.ts'
import type { Session } from './session.ts'

/** The client sessions of one proxy, bounded in number and in idle time. */
export class SessionTable {
  readonly #sessions = new Map<string, Session>()
  readonly #maximum: number
  readonly #ttlMs: number
  readonly #now: () => number

  constructor(options: { maximum: number; ttlMs: number; now?: () => number }) {
    this.#maximum = options.maximum
    this.#ttlMs = options.ttlMs
    this.#now = options.now ?? Date.now
  }

  /** Sessions at the moment. */
  get size(): number {
    return this.#sessions.size
  }

  /** A new session, or undefined when the table is full. */
  create(link: CallLink): Session | undefined {
    if (this.#sessions.size >= this.#maximum) return undefined
    const session: Session = {
      id: randomUUID(),
      link,
      lane: undefined,
      calls: new Map(),
      subscriptions: new Set(),
      protocolVersion: '',
      logLevel: undefined,
      stream: undefined,
      lastUsedMs: this.#now(),
    }
    this.#sessions.set(session.id, session)
    return session
  }

  /** The session of an id; looking it up counts as use. */
  get(id: string): Session | undefined {
    const session = this.#sessions.get(id)
    if (session !== undefined) session.lastUsedMs = this.#now()
    return session
  }

  /** Forgets a session. False when it was not there. */
  delete(session: Session): boolean {
    return this.#sessions.delete(session.id)
  }

  /** Every session. */
  values(): IterableIterator<Session> {
    return this.#sessions.values()
  }

  /** The sessions that were idle for too long. One with an open stream or a call in flight is not idle. */
  idle(): Session[] {
    const before = this.#now() - this.#ttlMs
    const found: Session[] = []
    for (const session of this.#sessions.values()) {
      if (session.calls.size > 0 || (session.stream !== undefined && !session.stream.isClosed)) {
        session.lastUsedMs = this.#now()
      } else if (session.lastUsedMs <= before) found.push(session)
    }
    return found
  }
}
