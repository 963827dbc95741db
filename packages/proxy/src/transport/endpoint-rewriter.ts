import { encodeSseEvent, SseParser } from './sse-codec.ts'

/**
 * Rewrites the first event of an SSE backend, `endpoint`, so that clients post
 * to the proxy and not around it; everything after passes untouched.
 */
export class EndpointRewriter {
  readonly #backendOrigin: string
  readonly #proxyOrigin: string
  readonly #limitBytes: number
  #held: Buffer[] = []
  #heldBytes = 0
  #isDone = false

  constructor(options: { backendOrigin: string; proxyOrigin: string; limitBytes: number }) {
    this.#backendOrigin = options.backendOrigin
    this.#proxyOrigin = options.proxyOrigin
    this.#limitBytes = options.limitBytes
  }

  /** The bytes to send on for the bytes that came; empty while the first event is incomplete. */
  push(chunk: Buffer): Buffer {
    if (this.#isDone) return chunk
    this.#held.push(chunk)
    this.#heldBytes += chunk.length
    const bytes = Buffer.concat(this.#held)
    const end = endOfFirstEvent(bytes)
    if (end === -1 && this.#heldBytes <= this.#limitBytes) return Buffer.alloc(0)
    this.#isDone = true
    this.#held = []
    if (end === -1) return bytes
    const text = this.#rewrite(bytes.toString('utf8', 0, end))
    return text === undefined ? bytes : Buffer.concat([Buffer.from(text), bytes.subarray(end)])
  }

  /** What is still held when the stream ends before its first event did. */
  flush(): Buffer {
    const rest = Buffer.concat(this.#held)
    this.#held = []
    this.#isDone = true
    return rest
  }

  #rewrite(text: string): string | undefined {
    const [event] = new SseParser(this.#limitBytes).push(`${text}\n`)
    if (event?.event !== 'endpoint') return undefined
    return encodeSseEvent({ ...event, data: rewriteEndpoint(event.data, this.#backendOrigin, this.#proxyOrigin) })
  }
}

/**
 * The endpoint as the proxy's clients must see it. A path stays; an absolute
 * URL of the backend gets the proxy's origin; a foreign one stays foreign,
 * because the backend's messages would otherwise be sent to the wrong host.
 */
export function rewriteEndpoint(data: string, backendOrigin: string, proxyOrigin: string): string {
  if (!/^[a-z][a-z0-9+.-]*:/i.test(data) && !data.startsWith('//')) return data
  if (!URL.canParse(data, backendOrigin)) return data
  const url = new URL(data, backendOrigin)
  return url.origin === new URL(backendOrigin).origin ? proxyOrigin + url.pathname + url.search : data
}

function endOfFirstEvent(bytes: Buffer): number {
  const text = bytes.toString('latin1')
  // Comments before the first event are events without content; the blank line after data is what counts.
  const match = /(?:^|[\r\n])data:[^\r\n]*(?:(?:\r\n|\r|\n)[^\r\n]+)*(?:\r\n\r\n|\n\n|\r\r)/.exec(text)
  return match === null ? -1 : match.index + match[0].length
}
