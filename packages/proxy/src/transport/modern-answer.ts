import type { ServerResponse } from 'node:http'
import { buildErrorText, type WireError } from '../errors.ts'
import type { Accepted } from '../front-door.ts'
import type { HeldBytes } from '../held-bytes.ts'
import { findValue } from '../mcp/raw-message.ts'
import { sendError, sendJson } from '../respond.ts'
import type { CallSink } from './call.ts'
import { holdUnsent } from './post-answer.ts'
import { encodeSseMessage } from './sse-codec.ts'
import type { SseStream, SseStreams } from './sse-stream.ts'

/** How one request of a Modern client may be answered. */
export interface ModernAnswerOptions {
  readonly accepted: Accepted
  readonly streams: SseStreams
  readonly held: HeldBytes
  /** Silence after which the answer becomes an event stream. */
  readonly streamAfterMs: number
}

/**
 * The answer to one request of a Modern client: plain JSON, or an event stream of its
 * own as soon as something comes before the response. It ends with the response, and a
 * client that closes it before has cancelled the request.
 */
export class ModernAnswer {
  /** The place for what the server answers. */
  readonly sink: CallSink
  readonly #res: ServerResponse
  readonly #idText: string
  readonly #options: ModernAnswerOptions
  #stream: SseStream | undefined
  #timer: NodeJS.Timeout | undefined
  #isOver = false

  /** `left` is called once when the client leaves before the response. */
  constructor(res: ServerResponse, idText: string, options: ModernAnswerOptions & { left: () => void }) {
    this.#res = res
    this.#idText = idText
    this.#options = options
    if (options.accepted.events) this.#timer = setTimeout(() => this.openStream(), options.streamAfterMs)
    res.once('close', () => {
      clearTimeout(this.#timer)
      if (!this.#isOver) options.left()
      this.#isOver = true
    })
    this.sink = {
      progress: (text) => void this.#related(text),
      related: (text) => this.#related(text),
      response: (text, failed) => this.#respond(text, failed),
      refused: (error) => this.refuse(error),
      // Nobody reads what would be said: only a client that has left cancels here.
      cancelled: () => undefined,
    }
  }

  /** Makes the answer an event stream. Undefined when its client has left. */
  openStream(): SseStream | undefined {
    clearTimeout(this.#timer)
    if (this.#res.destroyed) return undefined
    if (this.#stream === undefined && !this.#res.headersSent) {
      this.#stream = this.#options.streams.open(this.#res)
      this.#res.flushHeaders()
    }
    return this.#stream
  }

  /** Ends the stream after what was sent on it. */
  end(): void {
    this.#isOver = true
    this.#stream?.end()
  }

  /** Refuses the request. */
  refuse(error: WireError): void {
    if (this.#stream !== undefined) return this.#respond(buildErrorText(error, this.#idText), true)
    this.#isOver = true
    clearTimeout(this.#timer)
    sendError(this.#res, error, this.#idText)
  }

  #related(text: string): boolean {
    if (this.#isOver || !this.#options.accepted.events) return false
    return this.openStream()?.send(encodeSseMessage(text)) ?? false
  }

  #respond(text: string, failed: boolean): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#timer)
    if (this.#stream === undefined && this.#options.accepted.json) {
      sendJson(this.#res, failed ? statusOf(text) : 200, text)
      return holdUnsent(this.#res, this.#options.held)
    }
    this.openStream()?.send(encodeSseMessage(text))
    this.end()
  }
}

/** Errors of the protocol have statuses; those of tools and resources are answers like any other. */
function statusOf(errorText: string): number {
  const span = findValue(errorText, errorText.indexOf('{'), ['error', 'code'])
  const code = span === undefined ? '' : errorText.slice(span.start, span.end)
  return code === '-32601' ? 404 : code === '-32021' ? 400 : 200
}
