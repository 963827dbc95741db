import { Hold, type HeldBytes } from '../held-bytes.ts'
import type { ProxyLimits } from '../limits.ts'
import { LoginRefused } from './login-interceptor.ts'
import { isEventStream, SseParser } from './sse-codec.ts'
import { Upstream, type ReplyHead, type ReplyTaker, type UpstreamRequest } from './upstream.ts'
import { WholeEvents } from './whole-events.ts'

/** What an answer came to. `broken` is a connection or an answer that could not be used. */
export type AnswerEnd =
  | { readonly kind: 'body'; readonly text: string }
  | { readonly kind: 'stream' }
  | { readonly kind: 'too-large' }
  | { readonly kind: 'broken'; readonly reason: string; readonly wasSent: boolean }
  | { readonly kind: 'refused'; readonly by: LoginRefused }

/** Who hears of an answer. Nothing is called after `ended`, or after the answer was aborted. */
export interface AnswerListener {
  head?(answer: HttpAnswer): void
  /** The data of one event of a stream. */
  event(data: string, answer: HttpAnswer): void
  ended(end: AnswerEnd, answer: HttpAnswer): void
}

/** What reading an answer needs. */
export interface AnswerOptions {
  readonly request: UpstreamRequest
  readonly limits: ProxyLimits
  readonly held: HeldBytes
}

/** The answer of a server to one HTTP request: one text, or a stream of events. Both are bounded. */
export class HttpAnswer implements ReplyTaker {
  readonly #limits: ProxyLimits
  /** What is held of a text, or of an event that is not whole. */
  readonly #hold: Hold
  readonly #listener: AnswerListener
  readonly #upstream: Upstream
  #head: ReplyHead = { status: 0, headers: {}, raw: [] }
  #events: WholeEvents | undefined
  readonly #parser = new SseParser(Infinity)
  #chunks: Buffer[] = []
  #textBytes = 0
  #lastId = ''
  #retryMs: number | undefined
  #isOver = false

  constructor({ request, limits, held }: AnswerOptions, listener: AnswerListener) {
    this.#limits = limits
    this.#hold = new Hold(held)
    this.#listener = listener
    this.#upstream = new Upstream(request, this)
  }

  /** HTTP status; 0 before the head is there. */
  get status(): number {
    return this.#head.status
  }

  get headers(): ReplyHead['headers'] {
    return this.#head.headers
  }

  /** The id of the last event, with which a lost stream is taken up again; empty without. */
  get lastId(): string {
    return this.#lastId
  }

  /** How long the server wants a lost stream not to be asked for, if it said so. */
  get retryMs(): number | undefined {
    return this.#retryMs
  }

  /** Sends the request. */
  send(): void {
    this.#upstream.send()
  }

  /** Ends it without a word to the listener. */
  abort(): void {
    this.#finish()
    this.#upstream.abort()
  }

  head(head: ReplyHead): boolean {
    this.#head = head
    const isStream = head.status === 200 && isEventStream(head.headers['content-type'])
    if (isStream) this.#events = new WholeEvents(this.#limits.lineBytes, this.#hold)
    this.#listener.head?.(this)
    return !this.#isOver
  }

  data(chunk: Buffer): boolean {
    if (this.#isOver) return true
    if (this.#events !== undefined) this.#read(this.#events, chunk)
    else this.#collect(chunk)
    return true
  }

  end(): void {
    if (this.#events !== undefined) return this.#end({ kind: 'stream' })
    const text = Buffer.concat(this.#chunks).toString('utf8')
    this.#end({ kind: 'body', text })
  }

  fail(error: Error, wasSent: boolean): void {
    if (error instanceof LoginRefused) this.#end({ kind: 'refused', by: error })
    else this.#end({ kind: 'broken', reason: error.message, wasSent })
  }

  #collect(chunk: Buffer): void {
    this.#textBytes += chunk.length
    if (this.#textBytes > this.#limits.lineBytes) return this.#fail({ kind: 'too-large' })
    if (this.#hold.tryAdd(chunk.length)) this.#chunks.push(chunk)
    else this.#fail({ kind: 'broken', reason: 'too much is waiting to be read', wasSent: true })
  }

  #read(events: WholeEvents, chunk: Buffer): void {
    const bytes = events.push(chunk)
    if (!events.isWhole) return this.#fail({ kind: 'too-large' })
    if (bytes.length === 0) return
    this.#lastId = events.lastId
    const text = bytes.toString('utf8')
    for (const [, ms] of text.matchAll(/(?:^|[\r\n])retry: ?(\d{1,9})(?=[\r\n])/g)) this.#retryMs = Number(ms)
    for (const { data, event } of this.#parser.push(text)) {
      if (this.#isOver) return
      // An event without data says only how far the stream is.
      if (data !== '' && (event === undefined || event === 'message')) this.#listener.event(data, this)
    }
  }

  /** Ends an answer that the server would go on with. */
  #fail(end: AnswerEnd): void {
    this.#upstream.abort()
    this.#end(end)
  }

  #end(end: AnswerEnd): void {
    if (this.#isOver) return
    this.#finish()
    this.#listener.ended(end, this)
  }

  #finish(): void {
    this.#isOver = true
    this.#chunks = []
    this.#hold.release()
  }
}
