import { randomUUID } from 'node:crypto'
import type { CallLink } from '../transport/call.ts'
import { MissedChanges } from './missed-changes.ts'
import type { Session } from './session.ts'

/** How many sessions there may be, and for how long. */
export interface SessionTableOptions {
  readonly maximum: number
  readonly ttlMs: number
  /** For a session that was never used. */
  readonly unusedTtlMs: number
  readonly now?: () => number
}

/** The client sessions of one proxy, bounded in number and in idle time. The longest unused comes first. */
export class SessionTable {
  readonly #sessions = new Map<string, Session>()
  readonly #options: SessionTableOptions
  readonly #now: () => number

  constructor(options: SessionTableOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
  }

  /** Sessions at the moment. */
  get size(): number {
    return this.#sessions.size
  }

  /** A new session, or undefined when the table is full. */
  create(link: CallLink): Session | undefined {
    if (this.#sessions.size >= this.#options.maximum) return undefined
    const session: Session = {
      id: randomUUID(),
      link,
      lane: undefined,
      calls: new Map(),
      subscriptions: new Set(),
      capabilitiesText: '{}',
      protocolVersion: '',
      logLevel: undefined,
      stream: undefined,
      missed: new MissedChanges(),
      lastUsedMs: this.#now(),
      wasUsed: false,
    }
    this.#sessions.set(session.id, session)
    return session
  }

  /** The session of an id. */
  get(id: string): Session | undefined {
    return this.#sessions.get(id)
  }

  /** The session of an id, which is used now. */
  touch(id: string): Session | undefined {
    const session = this.#sessions.get(id)
    if (session === undefined) return undefined
    session.lastUsedMs = this.#now()
    session.wasUsed = true
    this.#sessions.delete(id)
    this.#sessions.set(id, session)
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

  /** The session to give up for a new one: one that was never used, else the longest idle; undefined when all are busy. */
  mostIdle(): Session | undefined {
    let longestIdle: Session | undefined
    for (const session of this.#sessions.values()) {
      if (isBusy(session)) continue
      if (!session.wasUsed) return session
      longestIdle ??= session
    }
    return longestIdle
  }

  /** The sessions that were idle for too long. One with an open stream or a call in flight is not idle. */
  idle(): Session[] {
    const now = this.#now()
    const found: Session[] = []
    for (const session of this.#sessions.values()) {
      const ttlMs = session.wasUsed ? this.#options.ttlMs : this.#options.unusedTtlMs
      if (isBusy(session)) session.lastUsedMs = now
      else if (session.lastUsedMs <= now - ttlMs) found.push(session)
    }
    return found
  }
}

function isBusy(session: Session): boolean {
  return session.calls.size > 0 || (session.stream !== undefined && !session.stream.isClosed)
}
