import type { ProxyLimits } from '../limits.ts'
import type { Message } from '../mcp/message.ts'
import type { SessionJournal } from '../proxy-config.ts'
import type { CallSink } from '../transport/call.ts'
import { watchSink } from '../transport/call-sinks.ts'
import { SessionArchive } from './session-archive.ts'
import { buildSessionRecord, parseSessionRecord, recordChanges, type StoredSession } from './session-records.ts'
import type { Session } from './session.ts'

/** The journal of the sessions on a bridge. */
export class BridgeArchive {
  readonly #archive: SessionArchive
  readonly #limits: ProxyLimits

  constructor(journal: SessionJournal, limits: ProxyLimits) {
    this.#limits = limits
    this.#archive = new SessionArchive({
      journal,
      kinds: new Set(['shared', 'lane']),
      maximum: limits.sessions,
      ttlMs: limits.sessionTtlMs,
      useMs: limits.journalUseMs,
    })
  }

  /** Writes down that a session begins, unless the `initialize` of its own server is too long to keep. */
  begin(session: Session, initialize: Message | undefined): void {
    if (initialize !== undefined && Buffer.byteLength(initialize.text) > this.#limits.initBodyBytes) return
    this.#archive.begin(session.id, buildSessionRecord(session, initialize))
  }

  /** Writes down what a message of its client changes in a session. */
  note(session: Session, message: Message): void {
    const changes = recordChanges(message)
    if (changes !== undefined && Buffer.byteLength(message.text) <= this.#limits.initBodyBytes) {
      this.#archive.note(session.id, changes)
    }
  }

  /** The same sink; what the server did is written down before the client hears of it. */
  watch(session: Session | undefined, message: Message, sink: CallSink): CallSink {
    if (session === undefined) return sink
    return watchSink(sink, (isDone) => {
      // A subscription is given up whatever the server says.
      if (isDone || message.method === 'resources/unsubscribe') this.note(session, message)
    })
  }

  /** Writes down that a session has ended. */
  end(session: Session): void {
    this.#archive.end(session.id)
  }

  /** The session of an earlier life of the proxy whose client has come back. */
  wake(id: string): StoredSession | undefined {
    const record = this.#archive.wake(id)
    if (record === undefined) return undefined
    const stored = parseSessionRecord(record)
    if (stored === undefined) this.#archive.end(id)
    return stored
  }

  /** Regular housekeeping. */
  sweep(sessions: Iterable<Session>): void {
    this.#archive.sweep(usesOf(sessions))
  }
}

function* usesOf(sessions: Iterable<Session>): Iterable<{ id: string; usedMs: number }> {
  for (const { id, lastUsedMs } of sessions) yield { id, usedMs: lastUsedMs }
}
