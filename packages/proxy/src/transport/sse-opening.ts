import type { IncomingMessage, ServerResponse } from 'node:http'
import { buildResponseHeaders } from '../header-rules.ts'
import { writeForwardedHead } from '../respond.ts'
import { backendTarget } from './backend-target.ts'
import { EndpointRewriter } from './endpoint-rewriter.ts'
import type { ForwardParts } from './forward-parts.ts'
import type { HttpBackend } from './http-backend.ts'
import { readPublicView } from './public-view.ts'
import type { ReplyHead } from './upstream.ts'

/**
 * The event stream of an SSE backend on its way to the client. Its head is held
 * until the first event is known, so that a stream whose endpoint is elsewhere
 * can still be refused with a status.
 */
export class SseOpening {
  readonly #parts: ForwardParts
  readonly #res: ServerResponse
  readonly #head: ReplyHead
  readonly #rewriter: EndpointRewriter
  readonly #limitMs: number
  #timer: NodeJS.Timeout | undefined

  /** @throws TypeError for a compressed stream, which cannot be rewritten */
  constructor(
    parts: ForwardParts,
    client: { req: IncomingMessage; res: ServerResponse },
    backend: HttpBackend,
    head: ReplyHead,
  ) {
    if (head.headers['content-encoding'] !== undefined) throw new TypeError('the event stream is compressed')
    this.#parts = parts
    this.#res = client.res
    this.#head = head
    const { endpointPrefix, trustsForwarded, limits } = parts
    const authority = parts.authority()
    const target = backendTarget(backend, { method: 'GET', url: client.req.url ?? '/' }) ?? backend.endpoint
    const streamUrl = backend.origin + target
    const options = { streamUrl, endpointPrefix, trustsForwarded, authority }
    this.#rewriter = new EndpointRewriter(readPublicView(client.req, options), limits.firstEventBytes)
    this.#limitMs = limits.endpointMs
  }

  /** Calls back when the endpoint has not come in time. */
  start(expired: (error: Error) => void): void {
    const expire = (): void => expired(new TypeError(`the server sent no endpoint within ${this.#limitMs / 1000} s`))
    this.#timer = setTimeout(expire, this.#limitMs)
    this.#res.once('close', () => clearTimeout(this.#timer))
  }

  /** Sends on what may be sent on. @throws TypeError, RangeError as {@link EndpointRewriter.push} */
  push(chunk: Buffer): boolean {
    const bytes = this.#rewriter.push(chunk)
    if (this.#rewriter.isDone) clearTimeout(this.#timer)
    if (bytes.length === 0) return true
    if (!this.#res.headersSent)
      writeForwardedHead(this.#res, this.#head.status, buildResponseHeaders(this.#head.raw, lengthHeader))
    this.#noteSession()
    return this.#res.write(bytes)
  }

  #noteSession(): void {
    const { sessionId } = this.#rewriter
    const { sseSessions } = this.#parts
    if (sessionId === undefined || sseSessions.has(sessionId)) return
    sseSessions.add(sessionId)
    this.#res.once('close', () => sseSessions.delete(sessionId))
  }
}

const lengthHeader: ReadonlySet<string> = new Set(['content-length'])
