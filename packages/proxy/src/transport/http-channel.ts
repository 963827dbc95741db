import type { HeldBytes } from '../held-bytes.ts'
import type { ProxyLimits } from '../limits.ts'
import { HttpAnswer, type AnswerListener } from './http-answer.ts'
import type { HttpBackend } from './http-backend.ts'

/** Where a peer behind HTTP is. It never speaks to any other origin. */
export interface HttpPeerOptions {
  readonly backend: HttpBackend
  readonly held: HeldBytes
}

/** The requests of one peer to its server, and the bytes that are on their way. */
export class HttpChannel {
  readonly #options: HttpPeerOptions
  readonly #limits: ProxyLimits
  readonly #open = new Set<HttpAnswer>()
  /** Answers that should end by themselves, and the timers that see to it. */
  readonly #leaving = new Map<HttpAnswer, NodeJS.Timeout>()
  readonly #queued = new Map<HttpAnswer, number>()
  #queuedBytes = 0

  constructor(options: HttpPeerOptions, limits: ProxyLimits) {
    this.#options = options
    this.#limits = limits
  }

  /** Whether a text of this size may be sent now, beside what waits elsewhere. */
  hasRoomFor(text: string, waitingBytes = 0): boolean {
    return this.#queuedBytes + waitingBytes + Buffer.byteLength(text) <= this.#limits.serverQueueBytes
  }

  /** Posts one text. It is never sent twice, except where the server redirects to itself. */
  post(text: string, headers: readonly string[], listener: AnswerListener): HttpAnswer {
    const bytes = Buffer.from(text, 'utf8')
    const answer = this.#request({ method: 'POST', headers: [...postHeaders, ...headers], bytes }, listener)
    this.#queued.set(answer, bytes.length)
    this.#queuedBytes += bytes.length
    answer.send()
    return answer
  }

  /** Opens an event stream. */
  get(headers: readonly string[], listener: AnswerListener): HttpAnswer {
    const answer = this.#request(
      { method: 'GET', headers: ['accept', 'text/event-stream', ...headers], bytes: undefined },
      listener,
    )
    answer.send()
    return answer
  }

  /** Gives one request up. */
  abort(answer: HttpAnswer): void {
    this.#forget(answer)
    answer.abort()
  }

  /** Wants nothing more of an answer that should end by itself, which keeps its connection. */
  leave(answer: HttpAnswer): void {
    if (!this.#open.has(answer) || this.#leaving.has(answer)) return
    this.#leaving.set(
      answer,
      setTimeout(() => this.abort(answer), this.#limits.streamEndMs),
    )
  }

  /** Says that what the headers name is not needed any more. Bounded; whether the server agrees changes nothing. */
  endSession(headers: readonly string[]): void {
    const { backend } = this.#options
    const signal = AbortSignal.timeout(this.#limits.closeMs)
    const ended = backend.pool.request({ path: backend.endpoint, method: 'DELETE', headers: [...headers], signal })
    ended.then(
      ({ body }) => body.dump(),
      () => undefined,
    )
  }

  /** Gives everything up. */
  close(): void {
    for (const answer of this.#open) this.abort(answer)
  }

  #forget(answer: HttpAnswer): void {
    this.#dequeue(answer)
    this.#open.delete(answer)
    clearTimeout(this.#leaving.get(answer))
    this.#leaving.delete(answer)
  }

  #dequeue(answer: HttpAnswer): void {
    this.#queuedBytes -= this.#queued.get(answer) ?? 0
    this.#queued.delete(answer)
  }

  #request(
    request: { method: string; headers: readonly string[]; bytes: Buffer | undefined },
    listener: AnswerListener,
  ): HttpAnswer {
    const { backend, held } = this.#options
    const { method, headers, bytes } = request
    const answer: HttpAnswer = new HttpAnswer(
      {
        request: {
          pool: backend.pool,
          origin: backend.origin,
          method,
          path: backend.endpoint,
          headers: ['host', backend.host, ...headers],
          body: bytes === undefined ? { kind: 'none' } : { kind: 'whole', bytes },
          redirects: this.#limits.redirects,
          discardBytes: this.#limits.discardBytes,
        },
        limits: this.#limits,
        held,
      },
      {
        head: () => {
          // Whoever answers has read.
          this.#dequeue(answer)
          listener.head?.(answer)
        },
        event: (data) => listener.event(data, answer),
        ended: (end) => {
          this.#forget(answer)
          listener.ended(end, answer)
        },
      },
    )
    this.#open.add(answer)
    return answer
  }
}

const postHeaders = ['content-type', 'application/json', 'accept', 'application/json, text/event-stream']
