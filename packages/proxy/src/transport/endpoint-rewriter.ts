import { SseParser } from './sse-codec.ts'

/** How clients reach what the backend calls its endpoint. */
export interface PublicView {
  /** The URL the event stream came from. */
  readonly streamUrl: string
  /** Whether it has another path there than at the proxy, so that what is relative to it would lead elsewhere. */
  readonly isMoved: boolean
  /** Origin that the client used, for endpoints the backend names with a full URL. */
  readonly proxyOrigin: string
  /** Origin by the word of a trusted proxy in front; it is always written out. */
  readonly forwardedOrigin?: string
  /** Path in front of every endpoint; empty, or `/…` without a slash at its end. */
  readonly prefix: string
}

/** The endpoint as clients must see it, and the session it belongs to. */
export interface RewrittenEndpoint {
  readonly data: string
  readonly sessionId: string | undefined
}

/**
 * Rewrites the `endpoint` event of an SSE backend, so that clients post to the
 * proxy and not around it; every other byte passes untouched.
 */
export class EndpointRewriter {
  readonly #view: PublicView
  readonly #limitBytes: number
  #held: Buffer[] = []
  #isDone = false
  #sessionId: string | undefined

  constructor(view: PublicView, limitBytes: number) {
    this.#view = view
    this.#limitBytes = limitBytes
  }

  /** Whether the endpoint has come. */
  get isDone(): boolean {
    return this.#isDone
  }

  /** The session the endpoint named. */
  get sessionId(): string | undefined {
    return this.#sessionId
  }

  /**
   * The bytes to send on for the bytes that came; empty while an event is incomplete.
   * @throws RangeError for an event above the limit
   * @throws TypeError for an endpoint that is not on the backend
   */
  push(chunk: Buffer): Buffer {
    if (this.#isDone) return chunk
    this.#held.push(chunk)
    let bytes = Buffer.concat(this.#held)
    const out: Buffer[] = []
    for (let end = endOfEvent(bytes); end !== -1 && !this.#isDone; end = endOfEvent(bytes)) {
      out.push(this.#pass(bytes.subarray(0, end)))
      bytes = bytes.subarray(end)
    }
    if (this.#isDone) {
      this.#held = []
      return Buffer.concat([...out, bytes])
    }
    if (bytes.length > this.#limitBytes) throw new RangeError('the first event of the stream is too long')
    this.#held = [bytes]
    return Buffer.concat(out)
  }

  #pass(bytes: Buffer): Buffer {
    const text = bytes.toString('utf8')
    // Clients skip a byte order mark, so it must not hide the event from us.
    const [event] = new SseParser(this.#limitBytes).push(`${text.replace(/^\uFEFF/, '')}\n`)
    if (event?.event !== 'endpoint') return bytes
    const rewritten = rewriteEndpoint(event.data, this.#view)
    this.#isDone = true
    if (rewritten === undefined) throw new TypeError('the endpoint of the server is on another host')
    this.#sessionId = rewritten.sessionId
    const line = /(^|[\r\n])data:[^\r\n]*/
    return Buffer.from(text.replace(line, (_whole, before: string) => `${before}data: ${rewritten.data}`))
  }
}

/**
 * The endpoint as the proxy's clients must see it, or undefined when it is not
 * on the backend: clients would send their messages, and tokens, elsewhere.
 * A relative one stays as it is unless a prefix, a forwarded host or another path asks for more.
 */
export function rewriteEndpoint(data: string, view: PublicView): RewrittenEndpoint | undefined {
  // URL parsers drop line ends and tabs, so what they read would not be what stands there.
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u0020]/.test(data) || !URL.canParse(data, view.streamUrl)) return undefined
  const url = new URL(data, view.streamUrl)
  if (url.origin !== new URL(view.streamUrl).origin) return undefined
  const sessionId = url.searchParams.get('sessionId') ?? url.searchParams.get('session_id') ?? undefined
  const path = view.prefix + url.pathname + url.search
  if (view.forwardedOrigin !== undefined) return { data: view.forwardedOrigin + path, sessionId }
  const isAbsolute = /^[a-z][a-z0-9+.-]*:/i.test(data) || /^[\\/]{2}/.test(data)
  if (isAbsolute) return { data: view.proxyOrigin + path, sessionId }
  return { data: view.prefix === '' && !view.isMoved ? data : path, sessionId }
}

function endOfEvent(bytes: Buffer): number {
  // A lone CR at the very end may be half of a CRLF, so it does not count yet.
  const blankLine = /\r\n(?:\r\n|\n|\r(?!$))|\n(?:\r\n|\n|\r(?!$))|\r(?:\r\n|\r(?!$))/
  const match = blankLine.exec(bytes.toString('latin1'))
  return match === null ? -1 : match.index + match[0].length
}
