import type { SseStream } from '../transport/sse-stream.ts'

/** A stream of events to a client: one connection, or what outlives connections. */
export interface EventSink {
  /** Whether nobody reads now. */
  readonly isClosed: boolean
  /** Sends one event. `isLast`: none follows. False when nobody reads it now. */
  send(event: string, isLast?: boolean): boolean
  /** Ends the stream. */
  end(): void
  /** Ends it because another takes its place: nobody will read it to its end. */
  replace(): void
}

/** What begins a stream: its kind, and the ids of the requests it answers, as JSON texts. */
export interface StreamBeginning {
  readonly kind: 'get' | 'post'
  readonly waitsFor: readonly string[]
}

/** Where the events of streams are kept. */
export interface EventKeeper {
  /** Keeps one event and gives back its text with its id. */
  add(stream: ResumableStream, event: string, isLast: boolean): string
  /** The events of a stream after a position; `isWhole` unless one of them is no longer kept. */
  after(stream: ResumableStream, position: number): { stored: string[]; isWhole: boolean }
  /** What begins a connection; empty for nothing. */
  primer(stream: ResumableStream, position: number): string
  forget(stream: ResumableStream): void
}

/** One stream of a session. Its connections come and go; what was sent is in the store. */
export class ResumableStream implements EventSink {
  readonly beginning: StreamBeginning
  /** Its number in the session. */
  readonly number: number
  /** Position of the newest event. */
  lastPosition = 0
  /** Position of the newest event that is no longer stored. */
  lostPosition = 0
  /** How many of its events are stored. */
  kept = 0
  /** Whether nothing follows. */
  isEnded = false
  readonly #store: EventKeeper
  #connection: SseStream | undefined
  #quietSinceMs = 0

  constructor(store: EventKeeper, number: number, beginning: StreamBeginning) {
    this.#store = store
    this.number = number
    this.beginning = beginning
  }

  get isClosed(): boolean {
    return this.#connection?.isClosed ?? true
  }

  /**
   * Goes on over this connection; the one before is cut, because whoever opened the new
   * one knows better than we do that the old one is dead. Events after the position
   * come first. False when some of them are no longer stored.
   */
  attach(connection: SseStream, position: number): boolean {
    const { stored, isWhole } = this.#store.after(this, position)
    this.#quietSinceMs = 0
    this.#connection?.replace()
    this.#connection = connection
    const primer = this.isEnded ? '' : this.#store.primer(this, position)
    if (primer !== '') connection.send(primer)
    for (const event of stored) connection.send(event)
    if (this.isEnded) connection.end()
    return isWhole
  }

  /** What there is after a position: `nothing` will come any more; `lost` is the end of a stream that is not stored; `more` otherwise. */
  restAfter(position: number): 'nothing' | 'lost' | 'more' {
    if (!this.isEnded) return 'more'
    if (this.lastPosition <= position) return 'nothing'
    return this.lostPosition === this.lastPosition ? 'lost' : 'more'
  }

  send(event: string, isLast = false): boolean {
    if (this.isEnded) return false
    const text = this.#store.add(this, event, isLast)
    return this.#connection?.send(text) ?? false
  }

  end(): void {
    this.isEnded = true
    this.#connection?.end()
    if (this.kept === 0) this.#store.forget(this)
  }

  /** Since when nobody reads it; undefined while somebody does. */
  quietSince(nowMs: number): number | undefined {
    if (!this.isClosed) return undefined
    if (this.#quietSinceMs === 0) this.#quietSinceMs = nowMs
    return this.#quietSinceMs
  }

  replace(): void {
    this.isEnded = true
    this.#connection?.replace()
    this.#store.forget(this)
  }
}
