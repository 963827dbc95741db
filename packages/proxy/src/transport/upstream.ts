import type { IncomingHttpHeaders } from 'node:http'
import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { ownRedirect } from './ask-following.ts'
import type { RequestBody } from './request-body.ts'

/** A request to the backend. */
export interface UpstreamRequest {
  readonly pool: Dispatcher
  readonly origin: string
  readonly method: string
  readonly path: string
  /** Names and values, ready for the wire. */
  readonly headers: string[]
  readonly body: RequestBody
  /** Wait for the head of the answer; 0 for ever. */
  readonly headMs?: number
  /** Redirects that are followed at most. */
  readonly redirects: number
  /** Bytes of a body nobody wants that are read to keep its connection. */
  readonly discardBytes: number
}

/** The beginning of an answer. */
export interface ReplyHead {
  readonly status: number
  /** Lower-case names; for looking things up. */
  readonly headers: IncomingHttpHeaders
  /** As received; for passing on. */
  readonly raw: readonly (Buffer | string)[]
}

/** Who gets the answer. After `end` or `fail`, or a `head` that returned false, nothing more is called. */
export interface ReplyTaker {
  /** False throws the rest of the answer away. */
  head(head: ReplyHead): boolean
  /** False stops the flow until `resume`. */
  data(chunk: Buffer): boolean
  end(): void
  /** `wasSent` is false only when no byte of the request can have reached the backend. */
  fail(error: Error, wasSent: boolean): void
}

/** One exchange with the backend: streamed, with back-pressure, and redirects of the backend to itself followed. */
export class Upstream implements Dispatcher.DispatchHandler {
  readonly #request: UpstreamRequest
  readonly #taker: ReplyTaker
  #path: string
  #redirects: number
  #controller: Dispatcher.DispatchController | undefined
  #wasSent = false
  #isAborted = false
  /** The answer has come to its end, or never will: undici knows of nothing any more. */
  #isOver = false
  #isDiscarded = false
  #nextPath: string | undefined
  #discarded = 0

  constructor(request: UpstreamRequest, taker: ReplyTaker) {
    this.#request = request
    this.#taker = taker
    this.#path = request.path
    this.#redirects = request.redirects
  }

  /** Where the answer came from, after redirects. */
  get path(): string {
    return this.#path
  }

  /** Sends the request. */
  send(): void {
    const { pool, method, headers, body, headMs = 0 } = this.#request
    this.#wasSent = false
    pool.dispatch({ path: this.#path, method, headers, body: payloadOf(body), headersTimeout: headMs }, this)
  }

  /** Gives the exchange up; the taker hears nothing any more. */
  abort(): void {
    if (this.#isAborted || this.#isOver) return
    this.#isAborted = true
    this.#controller?.abort(clientLeft)
  }

  /** Goes on after `data` returned false. */
  resume(): void {
    if (this.#controller?.paused === true) this.#controller.resume()
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#isAborted) return controller.abort(clientLeft)
    this.#controller = controller
    this.#wasSent = true
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    // Interim answers (103 and the like) end at this hop.
    if (status < 200 || this.#isAborted) return
    this.#nextPath = this.#redirectPath(status, headers)
    if (this.#nextPath !== undefined) {
      this.#isDiscarded = true
      return
    }
    const raw = Array.isArray(controller.rawHeaders) ? controller.rawHeaders : []
    this.#isDiscarded = !this.#taker.head({ status, headers, raw })
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#isDiscarded) {
      if (!this.#taker.data(chunk)) controller.pause()
      return
    }
    this.#discarded += chunk.length
    if (this.#discarded > this.#request.discardBytes) controller.abort(new Error('the answer is not wanted'))
  }

  onResponseEnd(): void {
    if (this.#isAborted) return
    if (this.#isDiscarded) return this.#follow()
    this.#isOver = true
    this.#taker.end()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#isAborted) return
    if (this.#isDiscarded) return this.#follow()
    this.#isOver = true
    this.#taker.fail(error, this.#wasSent)
  }

  #follow(): void {
    if (this.#nextPath === undefined) return
    this.#path = this.#nextPath
    this.#nextPath = undefined
    this.#isDiscarded = false
    this.#discarded = 0
    this.#redirects -= 1
    this.send()
  }

  /** Only back to the same server: anywhere else the client's body and headers would leak. */
  #redirectPath(status: number, headers: IncomingHttpHeaders): string | undefined {
    // What was streamed is gone and cannot be sent again.
    if (this.#redirects === 0 || this.#request.body.kind === 'streamed') return undefined
    return ownRedirect(this.#request.origin, this.#path, { statusCode: status, headers })
  }
}

/** Whether an exchange failed because the server took the request and said nothing. */
export function isSilence(error: Error): boolean {
  return 'code' in error && error.code === 'UND_ERR_HEADERS_TIMEOUT'
}

/** One for all: the stack of a new one would cost each request more than the rest of the bookkeeping. */
const clientLeft = new Error('the client has left')

function payloadOf(body: RequestBody): Buffer | Readable | null {
  if (body.kind === 'whole') return body.bytes
  return body.kind === 'streamed' ? Readable.from(body.stream, { objectMode: false }) : null
}
