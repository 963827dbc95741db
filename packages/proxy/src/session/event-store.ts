import type { HeldBytes } from '../held-bytes.ts'
import type { ProxyLimits } from '../limits.ts'
import { buildEventId, encodeWaitsFor, type EventId } from './event-id.ts'
import type { SseStream } from '../transport/sse-stream.ts'
import { ResumableStream, type EventKeeper, type StreamBeginning } from './resumable-stream.ts'

/** What the stores of one proxy share. */
export interface EventStoreDeps {
  readonly limits: ProxyLimits
  readonly held: HeldBytes
  /** Eight hexadecimal digits that no other life of the proxy has. */
  readonly epoch: string
}

/** One event that was sent. */
interface StoredEvent {
  readonly stream: ResumableStream
  readonly text: string
  readonly bytes: number
}

/**
 * What was sent on the event streams of one session, the oldest first and bounded, so that
 * a client that lost a connection can be given what it missed on that stream.
 */
export class EventStore implements EventKeeper {
  readonly #deps: EventStoreDeps
  /** Whether the client understands events without data: they came with revision 2025-11-25. */
  readonly #primes: boolean
  readonly #events = new Map<number, StoredEvent>()
  readonly #streams = new Map<number, ResumableStream>()
  #isClosed = false
  #bytes = 0
  #lastStream = 0
  #position = 0

  constructor(deps: EventStoreDeps, options: { primes: boolean }) {
    this.#deps = deps
    this.#primes = options.primes
  }

  /** A new stream on its first connection; undefined when its event ids would be too long to be sent back. */
  open(beginning: StreamBeginning, connect: () => SseStream): ResumableStream | undefined {
    if (encodeWaitsFor(beginning.waitsFor).length > this.#deps.limits.eventIdBytes) return undefined
    this.#lastStream += 1
    const stream = new ResumableStream(this, this.#lastStream, beginning)
    this.#streams.set(stream.number, stream)
    stream.attach(connect(), this.#next())
    return stream
  }

  /** The stream an event was sent on; undefined when it is not known any more, or to another life of the proxy. */
  find({ epoch, kind, stream, position }: EventId): ResumableStream | undefined {
    if (epoch !== this.#deps.epoch || position > this.#position) return undefined
    const found = this.#streams.get(stream)
    return found?.beginning.kind === kind ? found : undefined
  }

  /** Keeps one event and gives back its text with its id. */
  add(stream: ResumableStream, event: string, isLast: boolean): string {
    const position = this.#next()
    stream.lastPosition = position
    const text = `id: ${this.#idOf(stream, position, isLast)}\n${event}`
    const bytes = Buffer.byteLength(text)
    const { storedEvents, storedEventBytes } = this.#deps.limits
    if (this.#isClosed) return text
    while (this.#events.size >= storedEvents || (this.#events.size > 0 && this.#bytes + bytes > storedEventBytes)) {
      this.#dropOldest()
    }
    if (bytes > storedEventBytes || !this.#deps.held.tryAddSpare(bytes)) stream.lostPosition = position
    else {
      this.#events.set(position, { stream, text, bytes })
      this.#bytes += bytes
      stream.kept += 1
    }
    return text
  }

  /** An id for the last event of an answer that is no stream of this store. */
  endId(): string {
    return buildEventId({ epoch: this.#deps.epoch, kind: 'end', stream: 0, position: this.#next(), waitsFor: [] })
  }

  /** What begins a connection: an id to resume from before anything was said. Empty for older clients, which take it for a fault. */
  primer(stream: ResumableStream, position: number): string {
    if (!this.#primes) return ''
    return `id: ${this.#idOf(stream, position, false)}\nretry: ${this.#deps.limits.resumeAfterMs}\ndata: \n\n`
  }

  /** The events of a stream after a position; `isWhole` unless one of them is no longer stored. */
  after(stream: ResumableStream, position: number): { stored: string[]; isWhole: boolean } {
    const stored: string[] = []
    for (const [at, event] of this.#events) if (event.stream === stream && at > position) stored.push(event.text)
    return { stored, isWhole: stream.lostPosition <= position }
  }

  /** Forgets a stream and its events. */
  forget(stream: ResumableStream): void {
    this.#streams.delete(stream.number)
    for (const [position, event] of this.#events) if (event.stream === stream) this.#drop(position, event)
  }

  /** Forgets what nobody came back for. A stream with work to do stays, without its events. */
  prune(nowMs: number): void {
    for (const stream of this.#streams.values()) {
      const since = stream.quietSince(nowMs)
      if (since === undefined || since > nowMs - this.#deps.limits.storedEventMs) continue
      if (stream.isEnded) this.forget(stream)
      else for (const [position, event] of this.#events) if (event.stream === stream) this.#drop(position, event)
    }
  }

  /** Gives everything back; from now on nothing is kept. Calls of the session that still run may say their last words. */
  close(): void {
    this.#isClosed = true
    for (const [position, event] of this.#events) this.#drop(position, event)
  }

  #next(): number {
    this.#position += 1
    return this.#position
  }

  #idOf(stream: ResumableStream, position: number, isLast: boolean): string {
    const { kind, waitsFor } = stream.beginning
    const { epoch } = this.#deps
    return buildEventId({ epoch, kind: isLast ? 'end' : kind, stream: stream.number, position, waitsFor })
  }

  #dropOldest(): void {
    for (const [position, event] of this.#events) return this.#drop(position, event)
  }

  #drop(position: number, event: StoredEvent): void {
    this.#events.delete(position)
    this.#bytes -= event.bytes
    this.#deps.held.remove(event.bytes)
    const { stream } = event
    stream.kept -= 1
    stream.lostPosition = Math.max(stream.lostPosition, position)
    if (stream.isEnded && stream.kept === 0) this.#streams.delete(stream.number)
  }
}
