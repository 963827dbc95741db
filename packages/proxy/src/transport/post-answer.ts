import type { ServerResponse } from 'node:http'
import { buildErrorText, type WireError } from '../errors.ts'
import type { Accepted } from '../front-door.ts'
import { sendEmpty, sendError, sendJson } from '../respond.ts'
import type { CallSink } from './call.ts'
import { encodeSseMessage } from './sse-codec.ts'
import type { SseStream, SseStreams } from './sse-stream.ts'

/** What one POST asked for. */
export interface PostAnswerOptions {
  readonly accepted: Accepted
  readonly streams: SseStreams
  /** Silence after which the answer becomes an event stream; undefined for never. */
  readonly streamAfterMs?: number
  /** Number of requests in a batch; undefined for a single request. */
  readonly batchSize?: number
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
  #open: number
  #stream: SseStream | undefined
  #timer: NodeJS.Timeout | undefined
  #headers: Record<string, string> | undefined

  constructor(res: ServerResponse, options: PostAnswerOptions) {
    this.#res = res
    this.#options = options
    this.#open = options.batchSize ?? 1
    if (!options.accepted.events || options.streamAfterMs === undefined) return
    this.#timer = setTimeout(() => this.#startStream(), options.streamAfterMs)
    // A client that left needs no stream; its call goes on, as the protocol wants.
    res.once('close', () => clearTimeout(this.#timer))
  }

  /** The place for the answers to one of the requests, by the JSON text of its id. */
  sinkFor(idText: string): CallSink {
    return {
      progress: (text) => void this.#related(text),
      related: (text) => this.#related(text),
      response: (text) => this.respond(text),
      refused: (error) => this.refuse(error, idText),
      cancelled: () => this.#drop(),
    }
  }

  /** Gives the response to one of the requests. */
  respond(text: string, headers?: Record<string, string>): void {
    this.#headers = headers ?? this.#headers
    if (this.#stream !== undefined || !this.#options.accepted.json) {
      this.#startStream()
      this.#stream?.send(encodeSseMessage(text))
    } else this.#collected.push(text)
    this.#countDown()
  }

  /** Refuses one of the requests. */
  refuse(error: WireError, idText: string): void {
    const isAlone = this.#options.batchSize === undefined && this.#stream === undefined
    if (!isAlone) return this.respond(buildErrorText(error, idText))
    clearTimeout(this.#timer)
    sendError(this.#res, error, idText)
  }

  #related(text: string): boolean {
    if (!this.#options.accepted.events) return false
    this.#startStream()
    return this.#stream?.send(encodeSseMessage(text)) ?? false
  }

  #drop(): void {
    this.#countDown()
  }

  #startStream(): void {
    if (this.#stream !== undefined || this.#res.headersSent || this.#res.destroyed) return
    clearTimeout(this.#timer)
    this.#stream = this.#options.streams.open(this.#res, this.#headers)
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
  }
}
