import type { ServerResponse } from 'node:http'
import type { ProxyLimits } from '../limits.ts'
import type { ProxyLog } from '../proxy-config.ts'
import { sseKeepAlive } from './sse-codec.ts'

/** One open event stream to a client. */
export class SseStream {
  readonly #res: ServerResponse
  readonly #limitBytes: number
  readonly #log: ProxyLog

  constructor(res: ServerResponse, limitBytes: number, log: ProxyLog) {
    this.#res = res
    this.#limitBytes = limitBytes
    this.#log = log
  }

  /** Whether nothing can be sent any more. */
  get isClosed(): boolean {
    return this.#res.writableEnded || this.#res.destroyed
  }

  /**
   * Sends text. A client that left more than the limit unread is cut off
   * instead: it could not catch up, and memory belongs to all clients.
   */
  send(text: string): boolean {
    if (this.isClosed) return false
    if (this.#res.writableLength > this.#limitBytes) {
      this.#log('warn', 'closed an event stream because its client does not read', { unread: this.#res.writableLength })
      this.#res.destroy()
      return false
    }
    this.#res.write(text)
    return true
  }

  /** Sends the last text, if any, and ends the stream. */
  end(text?: string): void {
    if (this.isClosed) return
    if (text === undefined) this.#res.end()
    else this.#res.end(text)
  }
}

/** All open event streams of a proxy, kept alive by one timer. */
export class SseStreams {
  readonly #limits: ProxyLimits
  readonly #log: ProxyLog
  readonly #open = new Set<SseStream>()
  #timer: NodeJS.Timeout | undefined

  constructor(limits: ProxyLimits, log: ProxyLog) {
    this.#limits = limits
    this.#log = log
  }

  /** Open streams. */
  get size(): number {
    return this.#open.size
  }

  /** Answers a request with an event stream. */
  open(res: ServerResponse, headers: Record<string, string> = {}): SseStream {
    res.writeHead(200, {
      'Content-Type': 'text/event-stream',
      'Cache-Control': 'no-cache, no-transform',
      'X-Accel-Buffering': 'no',
      ...headers,
    })
    const stream = new SseStream(res, this.#limits.streamBufferBytes, this.#log)
    this.#open.add(stream)
    this.#timer ??= setInterval(() => this.#keepAlive(), this.#limits.keepAliveMs).unref()
    res.once('close', () => this.#forget(stream))
    return stream
  }

  /** Ends every stream. */
  close(): void {
    for (const stream of this.#open) stream.end()
  }

  #keepAlive(): void {
    for (const stream of this.#open) stream.send(sseKeepAlive)
  }

  #forget(stream: SseStream): void {
    this.#open.delete(stream)
    if (this.#open.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
