import type { ProxyLimits } from '../limits.ts'
import type { HttpAnswer } from './http-answer.ts'
import type { HttpChannel } from './http-channel.ts'
import { isEventStream } from './sse-codec.ts'

/** How far a stream is: the id of its last event, and how long the server wants to be left alone. */
export interface StreamPosition {
  readonly lastId: string
  readonly retryMs: number | undefined
}

/** Why a stream will bring nothing more. */
export type StreamEnd = 'refused' | 'session-gone' | 'broken' | 'quiet'

/** What a stream needs and reports. */
export interface EventStreamDeps {
  readonly channel: HttpChannel
  readonly limits: ProxyLimits
  headers(): string[]
  event(data: string): void
  /** Called once, unless it was closed before. */
  ended(why: StreamEnd, status: number): void
}

/**
 * An event stream of a Legacy server, opened with GET and opened again when it
 * ends: as late as the server asks for, at the place where it was, and not for ever.
 */
export class HttpEventStream {
  readonly #deps: EventStreamDeps
  #position: StreamPosition
  #answer: HttpAnswer | undefined
  #timer: NodeJS.Timeout | undefined
  /** Attempts in a row that brought no event. */
  #tries = 0
  #wasOpen = false
  #isClosed = false

  /** With a position it takes up a stream that was open before. */
  constructor(deps: EventStreamDeps, position?: StreamPosition) {
    this.#deps = deps
    this.#position = position ?? { lastId: '', retryMs: undefined }
    this.#wasOpen = position !== undefined
  }

  /** Opens it at once. */
  open(): void {
    if (this.#isClosed) return
    const { channel } = this.#deps
    const headers = this.#deps.headers()
    const { lastId } = this.#position
    this.#answer = channel.get(lastId === '' ? headers : [...headers, 'last-event-id', lastId], {
      head: (answer) => this.#judge(answer),
      event: (data) => this.#deps.event(data),
      ended: (end, answer) => {
        if (end.kind === 'body') return this.#end('refused', answer.status)
        this.#note(answer)
        this.reopen(end.kind === 'stream' ? 'quiet' : 'broken')
      },
    })
  }

  /** Opens it after a while; gives up with `why` when that brought nothing too often. */
  reopen(why: 'quiet' | 'broken'): void {
    if (this.#isClosed) return
    const { limits } = this.#deps
    this.#tries += 1
    if (this.#tries > limits.streamTries) return this.#end(why, 0)
    const ownMs = Math.min(limits.redialMs * 2 ** (this.#tries - 1), limits.streamRedialMaxMs)
    const waitMs = Math.min(this.#position.retryMs ?? ownMs, limits.streamRetryMaxMs)
    this.#timer = setTimeout(() => this.open(), waitMs)
  }

  /** Ends it without a word. */
  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
    if (this.#answer !== undefined) this.#deps.channel.abort(this.#answer)
  }

  #judge(answer: HttpAnswer): void {
    const { status, headers } = answer
    const isStream = status === 200 && isEventStream(headers['content-type'])
    if (isStream) {
      this.#wasOpen = true
      return
    }
    this.#deps.channel.abort(answer)
    // Conflict: the server has not noticed yet that the last connection of this stream is gone.
    if (status === 409 || status >= 500) return this.reopen('broken')
    // Some servers say 404 to mean that there is no stream; it ends a session only where there was one.
    this.#end(status === 404 && this.#wasOpen ? 'session-gone' : 'refused', status)
  }

  #note(answer: HttpAnswer): void {
    if (answer.lastId !== '' && answer.lastId !== this.#position.lastId) this.#tries = 0
    const { lastId, retryMs } = this.#position
    this.#position = {
      lastId: answer.lastId === '' ? lastId : answer.lastId,
      retryMs: answer.retryMs ?? retryMs,
    }
  }

  #end(why: StreamEnd, status: number): void {
    if (this.#isClosed) return
    this.close()
    this.#deps.ended(why, status)
  }
}
