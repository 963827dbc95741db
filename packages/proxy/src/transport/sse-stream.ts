import type { ServerResponse } from 'node:http'
import type { HeldBytes } from '../held-bytes.ts'
import type { ProxyLimits } from '../limits.ts'
import type { ProxyLog } from '../proxy-config.ts'
import { sseKeepAlive } from './sse-codec.ts'

/** What the streams of one proxy share. */
export interface SseStreamDeps {
  readonly limits: ProxyLimits
  readonly held: HeldBytes
  readonly log: ProxyLog
}

/** One open event stream to a client. */
export class SseStream {
  readonly #res: ServerResponse
  readonly #deps: SseStreamDeps
  /** The unread bytes that were counted. */
  #unread = 0

  constructor(res: ServerResponse, deps: SseStreamDeps) {
    this.#res = res
    this.#deps = deps
    res.on('drain', () => this.#count())
    res.once('close', () => {
      deps.held.remove(this.#unread)
      this.#unread = 0
    })
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
    if (!this.#count() || this.#unread > this.#deps.limits.streamBufferBytes) {
      this.#deps.log('warn', 'closed an event stream because its client does not read', { unread: this.#unread })
      this.#res.destroy()
      return false
    }
    this.#res.write(text)
    return true
  }

  /** Ends the stream. What is unread then has a moment to be read. */
  end(): void {
    if (this.isClosed) return
    this.#res.end()
    if (this.#res.writableLength === 0) return
    const timer = setTimeout(() => this.#res.destroy(), this.#deps.limits.streamEndMs).unref()
    this.#res.once('close', () => clearTimeout(timer))
  }

  /** Ends the stream of a client that has opened another: it will not read this one to its end. */
  replace(): void {
    if (this.#res.writableLength > 0) this.#res.destroy()
    else this.end()
  }

  /** Counts what the client has not read. False when there is no room for it. */
  #count(): boolean {
    const unread = this.#res.writableLength
    if (unread > this.#unread && !this.#deps.held.tryAdd(unread - this.#unread)) return false
    if (unread < this.#unread) this.#deps.held.remove(this.#unread - unread)
    this.#unread = unread
    return true
  }
}

/** All open event streams of a proxy, kept alive by one timer. */
export class SseStreams {
  readonly #deps: SseStreamDeps
  readonly #open = new Set<SseStream>()
  #timer: NodeJS.Timeout | undefined

  constructor(deps: SseStreamDeps) {
    this.#deps = deps
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
    const stream = new SseStream(res, this.#deps)
    this.#open.add(stream)
    this.#timer ??= setInterval(() => this.#keepAlive(), this.#deps.limits.keepAliveMs).unref()
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
