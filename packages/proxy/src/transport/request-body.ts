import type { IncomingMessage } from 'node:http'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Hold } from '../held-bytes.ts'
import type { ProxyLimits } from '../limits.ts'

/**
 * A body on its way to the backend. A small one is collected first, because
 * only then can it be sent a second time; a large one is streamed.
 */
export type RequestBody =
  | { readonly kind: 'none' }
  | { readonly kind: 'whole'; readonly bytes: Buffer }
  | { readonly kind: 'streamed'; readonly stream: StreamedBody }

/** What can be sent again: everything that was collected. */
export function isReplayable(body: RequestBody): boolean {
  return body.kind !== 'streamed' || !body.stream.isStarted
}

/**
 * Receives a body up to the size that is collected, and counts that into `hold`.
 * `done` is not called when the client leaves before; `full` means that there was no room.
 */
export function receiveRequestBody(
  { req, hold }: { req: IncomingMessage; hold: Hold },
  limits: Pick<ProxyLimits, 'collectBytes' | 'bodyBytes'>,
  done: (body: RequestBody | 'full') => void,
): void {
  const declared = req.headers['content-length']
  if (declared === undefined && req.headers['transfer-encoding'] === undefined) return done({ kind: 'none' })
  if (declared === '0') return done({ kind: 'whole', bytes: Buffer.alloc(0) })
  if (Number(declared ?? 0) > limits.collectBytes) {
    return done({ kind: 'streamed', stream: new StreamedBody(req, [], limits.bodyBytes) })
  }
  const chunks: Buffer[] = []
  let bytes = 0
  const onData = (chunk: Buffer): void => {
    if (!hold.tryAdd(chunk.length)) {
      req.off('data', onData).off('end', onEnd)
      return done('full')
    }
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes <= limits.collectBytes) return
    req.pause()
    req.off('data', onData).off('end', onEnd)
    done({ kind: 'streamed', stream: new StreamedBody(req, chunks, limits.bodyBytes) })
  }
  const onEnd = (): void => {
    const [first] = chunks
    done({ kind: 'whole', bytes: chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks) })
  }
  req.on('data', onData).on('end', onEnd)
  // The end of the response says that the client left; without a listener Node would throw.
  req.on('error', () => undefined)
}

/** A body that is read from the client only as fast as the backend takes it. */
export class StreamedBody implements AsyncIterable<Buffer> {
  readonly #req: IncomingMessage
  readonly #head: readonly Buffer[]
  readonly #limitBytes: number
  #isStarted = false
  #isWhole = false
  #isTooLarge = false

  constructor(req: IncomingMessage, head: readonly Buffer[], limitBytes: number) {
    this.#req = req
    this.#head = head
    this.#limitBytes = limitBytes
  }

  /** Whether a part of it may have reached the backend. */
  get isStarted(): boolean {
    return this.#isStarted
  }

  /** Whether all of it may have reached the backend. */
  get isWhole(): boolean {
    return this.#isWhole
  }

  /** Whether it was cut because it is longer than the limit. */
  get isTooLarge(): boolean {
    return this.#isTooLarge
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Buffer> {
    this.#isStarted = true
    const declared = Number(this.#req.headers['content-length'])
    let bytes = 0
    for (const chunk of this.#head) {
      bytes += chunk.length
      yield chunk
    }
    // The request must outlive an early answer of the backend, so the iterator does not destroy it.
    for await (const chunk of this.#req.iterator({ destroyOnReturn: false })) {
      if (!Buffer.isBuffer(chunk)) continue
      bytes += chunk.length
      if (bytes > this.#limitBytes) {
        this.#isTooLarge = true
        throw new RangeError(`the request body is longer than ${this.#limitBytes} bytes`)
      }
      // A backend may refuse in the middle and close: its answer must be read before a write fails.
      await nextTurn()
      // With a declared length the backend need not wait for the end of the stream.
      this.#isWhole = bytes === declared
      yield chunk
    }
    this.#isWhole = true
  }
}
