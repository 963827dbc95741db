import type { IncomingMessage, ServerResponse } from 'node:http'
import type { WireError } from '../errors.ts'
import { headerOf, parseAccept } from '../front-door.ts'
import { decodeHeaderValue, encodeHeaderValue } from '../mcp/header-value.ts'
import { noteRefusal } from '../refusals.ts'
import { refuseBody } from '../refuse-body.ts'
import { sendError, sendJson } from '../respond.ts'
import type { ForwardParts } from './forward-parts.ts'
import { passBody, type PassedBody, type RefusedBody } from './pass-body.ts'
import type { RequestBody } from './request-body.ts'
import { encodeSseMessage } from './sse-codec.ts'
import { SteppedAnswer } from './stepped-answer.ts'
import type { ReplyHead } from './upstream.ts'

/** The message steps of the chain around one exchange with an HTTP server. */
export class ExchangeSteps {
  readonly #parts: ForwardParts
  readonly #req: IncomingMessage
  readonly #res: ServerResponse
  #passed: PassedBody | undefined
  /** Takes the place of what the header `Mcp-Name` says. */
  #newName: string | undefined
  #answer: SteppedAnswer | undefined

  constructor(parts: ForwardParts, req: IncomingMessage, res: ServerResponse) {
    this.#parts = parts
    this.#req = req
    this.#res = res
  }

  /** The body that travels on; undefined when the request was refused and answered. */
  pass(body: RequestBody): RequestBody | undefined {
    const { chain } = this.#parts
    if (body.kind === 'streamed') {
      // It is longer than what is read at all.
      refuseBody({ req: this.#req, res: this.#res }, this.#parts.limits)
      return undefined
    }
    if (body.kind === 'none' || body.bytes.length === 0) {
      const mayStream = chain.fromServer !== undefined && this.#req.method === 'GET'
      if (mayStream) this.#answer = new SteppedAnswer(this.#parts)
      return body
    }
    if ((this.#req.headers['content-encoding'] ?? 'identity').toLowerCase() !== 'identity') {
      sendError(this.#res, compressedBody)
      return undefined
    }
    const passed = passBody(chain, body.bytes)
    if ('error' in passed) {
      this.#refuse(passed)
      return undefined
    }
    this.#passed = passed
    const header = headerOf(this.#req, 'mcp-name')
    const { renamed } = passed
    // A header that says something else than the body stays, so that the server can refuse it.
    if (renamed !== undefined && header !== undefined && decodeHeaderValue(header) === renamed.from)
      this.#newName = renamed.to
    if (passed.asked.size > 0) this.#answer = new SteppedAnswer(this.#parts, passed.asked)
    return { kind: 'whole', bytes: passed.bytes }
  }

  /** The headers of the request that must not travel on, besides those given. */
  withoutHeaders(names: ReadonlySet<string>): ReadonlySet<string> {
    const more: string[] = []
    // What is compressed cannot be read.
    if (this.#answer !== undefined) more.push('accept-encoding')
    if (this.#passed?.isChanged === true) more.push('content-length')
    if (this.#newName !== undefined) more.push('mcp-name')
    return more.length === 0 ? names : new Set([...names, ...more])
  }

  /** The headers that take the place of those. */
  get newHeaders(): string[] {
    return this.#newName === undefined ? [] : ['Mcp-Name', encodeHeaderValue(this.#newName)]
  }

  /** Whether the answer passes as it is, with the length that its server told. */
  get isUntouched(): boolean {
    return this.#answer?.isUntouched ?? true
  }

  /** Looks at the head of the answer. True when it has to wait for the end. @throws TypeError as {@link SteppedAnswer.head} */
  head(head: ReplyHead): boolean {
    this.#answer?.head(head)
    return this.#answer?.isHeld ?? false
  }

  /** The bytes that may be sent on now. @throws RangeError as {@link SteppedAnswer.push} */
  push(chunk: Buffer): Buffer {
    return this.#answer?.push(chunk) ?? chunk
  }

  /** The bytes that are left at the end. */
  end(): Buffer | undefined {
    return this.#answer?.end()
  }

  /** Forgets what is held. */
  close(): void {
    this.#answer?.close()
  }

  #refuse({ error, status, text }: RefusedBody): void {
    noteRefusal(this.#res, error.name)
    const accepted = parseAccept(this.#req.headers.accept)
    // Over the old SSE transport answers come on the stream, and a client reads nothing of a POST but its status.
    if (this.#parts.gate.current?.transport === 'sse') sendJson(this.#res, Math.max(status, 400), text)
    else if (status !== 200 || accepted.json || !accepted.events) sendJson(this.#res, status, text)
    else {
      this.#res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
      this.#res.end(encodeSseMessage(text))
    }
  }
}

const compressedBody: WireError = {
  name: 'media-type-unsupported',
  message: 'Unsupported Media Type: the body must not be compressed',
}
