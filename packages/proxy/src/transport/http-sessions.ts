import { randomUUID } from 'node:crypto'
import type { SessionRecord } from '../proxy-config.ts'
import { SessionArchive, type SessionArchiveOptions } from '../session/session-archive.ts'
import type { HttpBackend } from './http-backend.ts'

/** One session of a client with an HTTP server, which outlives the server's own. */
export interface HttpSession {
  /** What the client sends in `Mcp-Session-Id`, for as long as the session lives. */
  readonly clientId: string
  /** Path of the endpoint as the client knows it. */
  readonly path: string
  /** The same after redirects of the backend. */
  readonly backendPath: string
  /** The client's `initialize`; undefined when it was too long to keep, and then the session dies with the server. */
  readonly initBody: Buffer | undefined
  /** What the server calls the session now. */
  backendId: string
  /** The server that knows `backendId`; undefined once it has forgotten it. */
  backend: HttpBackend | undefined
  /** Whether the server that knows it is not the one it began with. */
  wasRevived: boolean
  /** As negotiated; empty until it is known. */
  protocolVersion: string
  /** Exchanges and streams open now. */
  active: number
  lastUsedMs: number
  /** Under way while the session is being made known to another server. */
  revival: Promise<RevivalOutcome> | undefined
}

/** What came of making a session known to another server. */
export type RevivalOutcome = 'revived' | 'gone' | 'unreachable' | 'absent'

/** Everything a session begins with. */
export type NewHttpSession = Pick<HttpSession, 'path' | 'backendPath' | 'initBody' | 'backendId' | 'backend'>

/** The sessions of all clients, bounded in number and in idle time. */
export class HttpSessions {
  readonly #byClientId = new Map<string, HttpSession>()
  readonly #maximum: number
  readonly #ttlMs: number
  readonly #now: () => number
  readonly #archive: SessionArchive

  constructor(options: SessionArchiveOptions) {
    this.#maximum = options.maximum
    this.#ttlMs = options.ttlMs
    this.#now = options.now ?? Date.now
    this.#archive = new SessionArchive(options)
  }

  get size(): number {
    return this.#byClientId.size
  }

  get isFull(): boolean {
    return this.#byClientId.size >= this.#maximum
  }

  /**
   * Begins a session. The client gets the server's own id, unless another client
   * has that one already: a server that counts its sessions begins again at 1
   * after a restart, and two clients must never share.
   */
  create(first: NewHttpSession): HttpSession {
    const { backendId } = first
    const isTaken = this.#byClientId.has(backendId) || this.#archive.isTaken(backendId)
    const session = this.#add(first, isTaken ? randomUUID() : backendId)
    const record = buildRecord(session)
    if (record !== undefined) this.#archive.begin(session.clientId, record)
    return session
  }

  /** Notes the version a session agreed to. */
  agree(session: HttpSession, version: string): void {
    session.protocolVersion = version
    this.#archive.note(session.clientId, { version })
  }

  /** The session of a client's id; looking it up counts as use. */
  get(clientId: string): HttpSession | undefined {
    const session = this.#byClientId.get(clientId) ?? this.#wake(clientId)
    if (session !== undefined) session.lastUsedMs = this.#now()
    return session
  }

  /** Notes that an exchange of a session ended. */
  release(session: HttpSession): void {
    session.active -= 1
    session.lastUsedMs = this.#now()
  }

  /** Forgets a session. */
  delete(session: HttpSession): void {
    if (this.#byClientId.get(session.clientId) !== session) return
    this.#byClientId.delete(session.clientId)
    this.#archive.end(session.clientId)
  }

  /** Forgets the sessions that were idle for too long, and hands them out. */
  sweep(): HttpSession[] {
    const before = this.#now() - this.#ttlMs
    const idle = [...this.#byClientId.values()].filter(({ active, lastUsedMs }) => active === 0 && lastUsedMs <= before)
    for (const session of idle) this.delete(session)
    this.#archive.sweep(usesOf(this.#byClientId.values()))
    return idle
  }

  /** The session of an earlier life of the proxy goes on; its server is another one, so it is taken up again first. */
  #wake(clientId: string): HttpSession | undefined {
    const record = this.#archive.wake(clientId)
    if (record === undefined) return undefined
    const { kind, path = '', backendPath = '', initialize = '', version = '' } = record
    if (kind === 'http' && path.startsWith('/') && backendPath.startsWith('/') && initialize !== '') {
      const known = { path, backendPath, initBody: Buffer.from(initialize), backendId: '', backend: undefined }
      const session = this.#add(known, clientId)
      session.protocolVersion = version
      return session
    }
    this.#archive.end(clientId)
    return undefined
  }

  #add(first: NewHttpSession, clientId: string): HttpSession {
    const session: HttpSession = {
      ...first,
      clientId,
      protocolVersion: '',
      wasRevived: false,
      active: 0,
      lastUsedMs: this.#now(),
      revival: undefined,
    }
    this.#byClientId.set(clientId, session)
    return session
  }
}

/** What is written down of a session; undefined when no other server could take it up again. */
function buildRecord({ path, backendPath, initBody }: HttpSession): SessionRecord | undefined {
  const initialize = initBody?.toString('utf8')
  // A record is text, and must give back the same bytes.
  if (initialize === undefined || initBody?.equals(Buffer.from(initialize)) !== true) return undefined
  return { kind: 'http', path, backendPath, initialize }
}

function* usesOf(sessions: Iterable<HttpSession>): Iterable<{ id: string; usedMs: number }> {
  for (const { clientId, lastUsedMs } of sessions) yield { id: clientId, usedMs: lastUsedMs }
}
