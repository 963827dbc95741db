import type { Readable, Writable } from 'node:stream'
import type { ProxyLimits } from '../limits.ts'
import { LineSplitter, type LineHandler } from '../mcp/line-splitter.ts'

/** What a channel reports. */
export interface ChannelHandler extends LineHandler {
  /** Either stream ended or failed. Called once, and never after `close`. */
  closed(reason: string): void
  /** A line could not be handled. It is dropped, and the next one is read. */
  failed(error: unknown): void
}

/** Lines to and from the standard streams of a server. */
export class StdioChannel {
  readonly #input: Writable
  readonly #output: Readable
  readonly #limits: ProxyLimits
  readonly #handler: ChannelHandler
  readonly #splitter: LineSplitter
  #queue: string[] = []
  #queuedBytes = 0
  #flushIsPlanned = false
  #isClosed = false

  constructor(streams: { input: Writable; output: Readable }, limits: ProxyLimits, handler: ChannelHandler) {
    this.#input = streams.input
    this.#output = streams.output
    this.#limits = limits
    this.#handler = handler
    this.#splitter = new LineSplitter(limits.lineBytes, {
      line: (text) => this.#guard(() => handler.line(text)),
      oversize: (head, tail, bytes) => this.#guard(() => handler.oversize(head, tail, bytes)),
    })
  }

  /** Starts to read. */
  open(): void {
    this.#output.on('data', this.#onData)
    this.#output.on('end', this.#onEnd)
    this.#output.on('close', this.#onEnd)
    this.#output.on('error', this.#onError)
    this.#input.on('drain', this.#flush)
    this.#input.on('close', this.#onInputClosed)
    this.#input.on('error', this.#onError)
    if (this.#output.readableEnded || this.#output.destroyed) queueMicrotask(this.#onEnd)
    else if (this.#input.destroyed) queueMicrotask(this.#onInputClosed)
  }

  /** Queues one line. False when the server reads so slowly that the queue is full; then nothing was queued. */
  send(line: string): boolean {
    if (this.#isClosed) return false
    const bytes = Buffer.byteLength(line) + 1
    const waiting = this.#queuedBytes + this.#input.writableLength
    if (waiting > 0 && waiting + bytes > this.#limits.serverQueueBytes) return false
    this.#queue.push(line)
    this.#queuedBytes += bytes
    // Everything that one turn of the event loop brings goes out in one write.
    if (!this.#flushIsPlanned) {
      this.#flushIsPlanned = true
      setImmediate(this.#flush)
    }
    return true
  }

  /** Stops reading and writing. The streams stay open, they belong to whoever started the server. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#queue = []
    this.#output.off('data', this.#onData)
    this.#output.off('end', this.#onEnd)
    this.#output.off('close', this.#onEnd)
    this.#input.off('drain', this.#flush)
    this.#input.off('close', this.#onInputClosed)
    // The error listeners stay: a late EPIPE without a listener would end the process.
    this.#output.resume()
  }

  readonly #flush = (): void => {
    this.#flushIsPlanned = false
    if (this.#isClosed || this.#queue.length === 0 || this.#input.writableNeedDrain) return
    const lines = this.#queue
    this.#queue = []
    this.#queuedBytes = 0
    this.#input.write(lines.length === 1 ? `${lines[0]}\n` : `${lines.join('\n')}\n`)
  }

  readonly #onData = (chunk: Buffer | string): void => {
    // An exception that left this listener would end the process, and with it every client's session.
    this.#guard(() => this.#splitter.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk))
  }

  readonly #onEnd = (): void => {
    if (!this.#isClosed) this.#guard(() => this.#splitter.flush())
    this.#lose('the server closed its output')
  }

  readonly #onInputClosed = (): void => {
    if (!this.#isClosed) this.#guard(() => this.#splitter.flush())
    this.#lose('the server closed its input')
  }

  readonly #onError = (error: Error): void => {
    this.#lose(`the standard streams of the server failed: ${error.message}`)
  }

  #guard(action: () => void): void {
    try {
      action()
    } catch (error) {
      this.#handler.failed(error)
    }
  }

  #lose(reason: string): void {
    if (this.#isClosed) return
    this.close()
    this.#handler.closed(reason)
  }
}
