import type { IncomingMessage } from 'node:http'
import { saysModern } from './era-watch.ts'
import type { ForwardParts } from './forward-parts.ts'
import type { HttpBackend } from './http-backend.ts'
import type { HttpSession } from './http-sessions.ts'
import type { PeekedBody } from './peek-body.ts'
import { versionIn } from './session-revival.ts'
import { SseParser } from './sse-codec.ts'
import type { ReplyHead } from './upstream.ts'

/** The head of an answer with which a session may begin, and what was asked. */
export interface Beginning {
  readonly req: IncomingMessage
  readonly peeked: PeekedBody
  readonly head: ReplyHead
  readonly backend: HttpBackend | undefined
  /** Path of the request on the server, after redirects. */
  readonly backendPath: string
}

/** The session that an answer begins; undefined when it begins none, or there is no room for one. */
export function beginSession(
  { sessions, limits, stateless }: ForwardParts,
  { req, peeked, head, backend, backendPath }: Beginning,
): HttpSession | undefined {
  const backendId = head.headers['mcp-session-id']
  if (
    stateless ||
    head.status !== 200 ||
    saysModern(req) ||
    typeof backendId !== 'string' ||
    backendId === '' ||
    sessions.isFull
  )
    return undefined
  const bytes = peeked.kind === 'initialize' ? peeked.bytes : undefined
  const isKept = bytes !== undefined && bytes.length <= limits.initBodyBytes
  return sessions.create({
    path: req.url ?? '/',
    backendPath,
    // A copy: what came from the socket is a slice of a buffer many times as large.
    initBody: isKept ? Buffer.from(bytes) : undefined,
    backendId,
    backend,
  })
}

/** Reads the version along in the answer to `initialize`, which passes on at once; what is kept of it is bounded. */
export class AnswerToInitialize {
  readonly #parts: ForwardParts
  readonly #session: HttpSession
  readonly #isStream: boolean
  /** Undefined once nothing more is looked for. */
  #text: string | undefined = ''

  constructor(parts: ForwardParts, session: HttpSession, isStream: boolean) {
    this.#parts = parts
    this.#session = session
    this.#isStream = isStream
  }

  /** Takes the next piece. */
  note(chunk: Buffer): void {
    if (this.#text === undefined) return
    const text = this.#text + chunk.toString('utf8')
    const texts = this.#isStream ? new SseParser(Infinity).push(text).map(({ data }) => data) : [text]
    const version = texts.map((each) => versionIn(each)).find((found) => found !== undefined)
    if (version !== undefined) this.#parts.sessions.agree(this.#session, version)
    const isOver = version !== undefined || text.length > this.#parts.limits.collectBytes
    this.#text = isOver ? undefined : text
  }
}
