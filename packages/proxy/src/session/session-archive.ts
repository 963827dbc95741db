import { createHash } from 'node:crypto'
import type { SessionJournal, SessionRecord } from '../proxy-config.ts'

/** What an archive is made of. */
export interface SessionArchiveOptions {
  readonly journal: SessionJournal | undefined
  /** The kinds of records that are its own; the journal may hold others. */
  readonly kinds: ReadonlySet<string>
  /** Sessions of an earlier life that are kept at most; the longest unused are given up. */
  readonly maximum: number
  readonly ttlMs: number
  /** A use is written down when the last one written is so old. */
  readonly useMs: number
  readonly now?: () => number
}

/** A session of an earlier life of the proxy whose client has not come back yet. */
interface Dormant {
  readonly record: SessionRecord
  readonly usedMs: number
}

/**
 * The sessions in the journal. Ids are known here by their SHA-256 alone: who can read
 * the journal cannot use them. A session that was not begun here is not written down.
 */
export class SessionArchive {
  readonly #options: SessionArchiveOptions
  readonly #now: () => number
  readonly #dormant = new Map<string, Dormant>()
  /** Sessions in use, by their hash, with the last use that was written down. */
  readonly #live = new Map<string, number>()

  constructor(options: SessionArchiveOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
    this.#load()
  }

  /** Writes down that a session begins. */
  begin(id: string, record: SessionRecord): void {
    const hash = hashOf(id)
    this.#live.set(hash, this.#now())
    this.#options.journal?.write(hash, { ...record, used: String(this.#now()) })
  }

  /** Writes down what changed; null takes a part of the record away. */
  note(id: string, changes: Readonly<Record<string, string | null>>): void {
    const { journal } = this.#options
    if (journal === undefined) return
    const hash = hashOf(id)
    if (this.#live.has(hash)) journal.write(hash, changes)
  }

  /** Writes down that a session has ended. */
  end(id: string): void {
    const { journal } = this.#options
    if (journal === undefined) return
    const hash = hashOf(id)
    if (this.#live.delete(hash)) journal.delete(hash)
  }

  /** Whether a client of an earlier life has this id. */
  isTaken(id: string): boolean {
    return this.#dormant.size > 0 && this.#dormant.has(hashOf(id))
  }

  /** The record of a session whose client comes back; from now on it is in use. Undefined when there is none. */
  wake(id: string): SessionRecord | undefined {
    if (this.#dormant.size === 0) return undefined
    const hash = hashOf(id)
    const dormant = this.#dormant.get(hash)
    if (dormant === undefined) return undefined
    this.#dormant.delete(hash)
    this.#live.set(hash, dormant.usedMs)
    if (dormant.usedMs > this.#now() - this.#options.ttlMs) return dormant.record
    this.end(id)
    return undefined
  }

  /** Writes down the last uses of sessions, and gives up those of earlier lives that were idle for too long. */
  sweep(sessions: Iterable<{ id: string; usedMs: number }>): void {
    const { journal, ttlMs, useMs } = this.#options
    if (journal === undefined) return
    for (const { id, usedMs } of sessions) {
      const hash = hashOf(id)
      const written = this.#live.get(hash)
      if (written === undefined || usedMs < written + useMs) continue
      this.#live.set(hash, usedMs)
      journal.write(hash, { used: String(usedMs) })
    }
    for (const [hash, { usedMs }] of this.#dormant) {
      if (usedMs > this.#now() - ttlMs) continue
      this.#dormant.delete(hash)
      journal.delete(hash)
    }
  }

  #load(): void {
    const { journal, kinds, maximum, ttlMs } = this.#options
    if (journal === undefined) return
    const found = [...journal.load()]
      .filter(([, record]) => kinds.has(record['kind'] ?? ''))
      .map(([hash, record]) => ({ hash, record, usedMs: Math.min(usedIn(record), this.#now()) }))
    found.sort((one, other) => other.usedMs - one.usedMs)
    for (const [rank, { hash, record, usedMs }] of found.entries()) {
      if (rank < maximum && usedMs > this.#now() - ttlMs) this.#dormant.set(hash, { record, usedMs })
      else journal.delete(hash)
    }
  }
}

function hashOf(id: string): string {
  return createHash('sha256').update(id).digest('base64url')
}

function usedIn(record: SessionRecord): number {
  const used = Number(record['used'])
  return Number.isFinite(used) ? used : 0
}
