import type { ServerResponse } from 'node:http'
import { buildErrorText, wireErrors, type WireError } from '../errors.ts'
import type { Accepted } from '../front-door.ts'
import type { HeldBytes } from '../held-bytes.ts'
import { noteRefusal } from '../refusals.ts'
import { sendEmpty, sendError, sendJson } from '../respond.ts'
import type { EventStore } from '../session/event-store.ts'
import { ResumableStream, type EventSink } from '../session/resumable-stream.ts'
import type { Call, CallSink } from './call.ts'
import { encodeSseMessage } from './sse-codec.ts'
import type { SseStreams } from './sse-stream.ts'

/** What one POST asked for. */
export interface PostAnswerOptions {
  readonly accepted: Accepted
  readonly streams: SseStreams
  readonly held: HeldBytes
  /** Silence after which the answer becomes an event stream; undefined for never. */
  readonly streamAfterMs?: number
  /** Number of requests in a batch; undefined for a single request. */
  readonly batchSize?: number
  /** Makes an event stream one that can be resumed, and the ids of the requests it answers. */
  readonly resumable?: { events(): EventStore | undefined; readonly waitsFor: readonly string[] } | undefined
}

/**
 * The answer to one POST. It stays undecided as long as it can: a response that
 * comes first is plain JSON in one write, which costs a third of a stream;
 * progress or a question that comes first, or a long silence, makes it an event stream.
 */
export class PostAnswer {
  readonly #res: ServerResponse
  readonly #options: PostAnswerOptions
  readonly #collected: string[] = []
  readonly #calls: Call[] = []
  #heldBytes = 0
  #open: number
  #stream: EventSink | undefined
  #timer: NodeJS.Timeout | undefined
  #headers: Record<string, string> | undefined

  constructor(res: ServerResponse, options: PostAnswerOptions) {
    this.#res = res
    this.#options = options
    this.#open = options.batchSize ?? 1
    if (options.accepted.events && options.streamAfterMs !== undefined) {
      this.#timer = setTimeout(() => this.#startStream(), options.streamAfterMs)
    }
    res.once('close', () => this.#close())
  }

  /** Notes a call, so that it need not wait for a server when its client has left. */
  track(call: Call | undefined): void {
    if (call === undefined || call.settled) return
    if (this.#res.destroyed) call.abandon()
    else this.#calls.push(call)
  }

  /** The place for the answers to one of the requests, by the JSON text of its id. */
  sinkFor(idText: string): CallSink {
    return {
      progress: (text) => void this.#related(text, true),
      related: (text, isFollowUp) => this.#related(text, isFollowUp),
      response: (text) => this.respond(this.#collects(text) ? text : buildErrorText(droppedError, idText)),
      refused: (error) => this.refuse(error, idText),
      cancelled: () => this.#drop(),
    }
  }

  /** Gives the response to one of the requests. */
  respond(text: string, headers?: Record<string, string>): void {
    this.#headers = headers ?? this.#headers
    if (this.#stream !== undefined || !this.#options.accepted.json) {
      this.#startStream()
      this.#stream?.send(encodeSseMessage(text), this.#open === 1)
    } else if (!this.#res.destroyed) this.#collected.push(text)
    this.#countDown()
  }

  /** Refuses one of the requests. */
  refuse(error: WireError, idText: string): void {
    noteRefusal(this.#res, error.name)
    const isAlone = this.#options.batchSize === undefined && this.#stream === undefined
    const isInBand = wireErrors[error.name].status === 200
    if (!isAlone || isInBand) return this.respond(buildErrorText(error, idText))
    clearTimeout(this.#timer)
    sendError(this.#res, error, idText)
  }

  /** What follows up on something sent before goes the same way, also if the client has to come back for it. */
  #related(text: string, isFollowUp = false): boolean {
    if (!this.#options.accepted.events) return false
    this.#startStream()
    if (this.#stream?.isClosed === true && !isFollowUp) return false
    return this.#stream?.send(encodeSseMessage(text)) ?? false
  }

  #close(): void {
    clearTimeout(this.#timer)
    this.#options.held.remove(this.#heldBytes)
    this.#heldBytes = 0
    // Its client may come back for the answer.
    if (this.#stream instanceof ResumableStream) return
    // A call that the server has goes on when its client leaves, as the protocol wants.
    for (const call of this.#calls) call.abandon()
  }

  /** Whether there is room for one more answer of a batch, which waits for the others. */
  #collects(text: string): boolean {
    if (this.#options.batchSize === undefined || this.#stream !== undefined || this.#res.destroyed) return true
    const bytes = Buffer.byteLength(text)
    if (!this.#options.held.tryAdd(bytes)) return false
    this.#heldBytes += bytes
    return true
  }

  #drop(): void {
    this.#countDown()
  }

  #startStream(): void {
    if (this.#stream !== undefined || this.#res.headersSent || this.#res.destroyed) return
    clearTimeout(this.#timer)
    const { streams, resumable } = this.#options
    const connect = () => streams.open(this.#res, this.#headers)
    this.#stream = resumable?.events()?.open({ kind: 'post', waitsFor: resumable.waitsFor }, connect) ?? connect()
    this.#res.flushHeaders()
    for (const text of this.#collected.splice(0)) this.#stream.send(encodeSseMessage(text))
  }

  #countDown(): void {
    this.#open -= 1
    if (this.#open > 0) return
    clearTimeout(this.#timer)
    if (this.#stream !== undefined) return this.#stream.end()
    const [first] = this.#collected
    // Everything was cancelled: there is nothing to deliver, and 202 is the answer without a message.
    if (first === undefined) return sendEmpty(this.#res, 202)
    const text = this.#options.batchSize === undefined ? first : `[${this.#collected.join(',')}]`
    sendJson(this.#res, 200, text, this.#headers)
    holdUnsent(this.#res, this.#options.held)
  }
}

const droppedError: WireError = {
  name: 'answer-too-large',
  message: 'The call has run, but its answer was dropped: too many answers wait to be read',
}

/** Counts what the client has not read yet; cuts it off when that is the drop too much. */
export function holdUnsent(res: ServerResponse, held: HeldBytes): void {
  const bytes = res.writableLength
  if (bytes === 0 || res.destroyed) return
  if (!held.tryAdd(bytes)) return void res.destroy()
  res.once('close', () => held.remove(bytes))
}
