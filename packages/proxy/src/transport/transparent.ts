import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Chain } from '../chain.ts'
import { ProxyError } from '../errors.ts'
import { headerOf, parseAccept } from '../front-door.ts'
import type { HeldBytes } from '../held-bytes.ts'
import type { ProxyLimits } from '../limits.ts'
import type { Era } from '../mcp/revision.ts'
import type {
  BackendInfo,
  HttpConnection,
  ProxyLog,
  Refusal,
  RemoteConnection,
  RemoteLook,
  SessionJournal,
} from '../proxy-config.ts'
import { sendError } from '../respond.ts'
import { BackendEra } from './backend-era.ts'
import { BackendGate } from './backend-gate.ts'
import { refuseAtEdge } from './edge-checks.ts'
import { EventRelay } from './event-relay.ts'
import { Exchange } from './exchange.ts'
import { absentError, type ForwardParts } from './forward-parts.ts'
import { closeBackend, openBackend, type HttpBackend } from './http-backend.ts'
import { probeBackend } from './http-probe.ts'
import { probeHttp, type HttpSign } from './probe-http.ts'
import { HttpSessions, type HttpSession } from './http-sessions.ts'
import { RemoteBackend } from './remote-backend.ts'
import { Traffic } from './traffic.ts'

/** How requests are forwarded. */
export interface TransparentOptions {
  readonly name: string
  readonly limits: ProxyLimits
  /** Its message steps see bodies and answers; without any, bytes are streamed. */
  readonly chain: Chain
  readonly log: ProxyLog
  readonly held: HeldBytes
  readonly trustsForwarded: boolean
  readonly endpointPrefix: string
  readonly journal: SessionJournal | undefined
  /** Whether sessions are not tracked, and what needs one is refused. */
  readonly stateless: boolean
  /** What the server is taken to speak. */
  readonly era: Era | 'auto'
  /** Where the proxy listens. */
  authority(): string
}

/**
 * Forwards every request to an HTTP backend that may come and go: bytes
 * untouched and streamed both ways, sessions kept across restarts of the backend.
 */
export class TransparentForwarder {
  readonly #limits: ProxyLimits
  readonly #pin: Era | 'auto'
  readonly #log: ProxyLog
  readonly #gate: BackendGate
  readonly #parts: ForwardParts
  readonly #relays = new Set<EventRelay>()
  #keepAlive: NodeJS.Timeout | undefined
  #attaches = 0
  #era: BackendEra | undefined
  #remote: RemoteBackend | undefined
  #isClosed = false

  constructor(options: TransparentOptions) {
    const { limits, log } = options
    this.#limits = limits
    this.#pin = options.era
    this.#log = log
    this.#gate = new BackendGate()
    this.#parts = {
      ...options,
      authority: () => options.authority(),
      gate: this.#gate,
      sessions: new HttpSessions({
        maximum: limits.sessions,
        ttlMs: limits.sessionTtlMs,
        useMs: limits.journalUseMs,
        journal: options.journal,
        kinds: new Set(['http']),
      }),
      sseSessions: new Set(),
      traffic: new Traffic(),
      contradicted: () => this.#era?.contradicted(),
      isClosed: () => this.#isClosed,
    }
  }

  /** Requests forwarded or waiting, without event streams. */
  get inFlight(): number {
    return this.#answers - this.streams
  }

  /** Open event streams. */
  get streams(): number {
    let streams = this.#parts.traffic.streams.size
    for (const relay of this.#relays) if (relay.isStream) streams += 1
    return streams
  }

  get #answers(): number {
    return this.#parts.traffic.exchanges + this.#relays.size
  }

  /** Sessions of clients. */
  get sessions(): number {
    return this.#parts.sessions.size + this.#parts.sseSessions.size
  }

  /** Whether a backend is ready. */
  get isAttached(): boolean {
    return this.#gate.current !== undefined
  }

  /** The eras of the attached server, or of the last one while none is; undefined before the first. */
  get era(): BackendEra | undefined {
    return this.#era
  }

  /** Calls back when a server is attached, or after the time that a request waits for one. */
  whenAttached(done: () => void): () => void {
    return this.#gate.wait(this.#limits.backendWaitMs, done).leave
  }

  /** Requests that wait for a server. */
  get waiting(): number {
    return this.#gate.waiting
  }

  /** Calls of clients under way. Over the old transport answers come on the streams, so any stream may wait for one. */
  get calls(): number {
    const { calls, streams } = this.#parts.traffic
    return this.#gate.current?.transport === 'sse' ? calls + streams.size : calls
  }

  /** Pieces of answers that came so far. */
  get heard(): number {
    return this.#parts.traffic.heard
  }

  /** Asks the attached server whether it lives; undefined while there is none. Rejects only when the signal aborts. */
  async probe(signal: AbortSignal): Promise<HttpSign | undefined> {
    const backend = this.#gate.current
    if (backend === undefined) return undefined
    const sign = await probeHttp({ backend, limits: this.#limits, stateless: this.#parts.stateless }, signal)
    return backend === this.#gate.current ? sign : undefined
  }

  /** Why no request may pass. */
  get refusal(): Refusal | undefined {
    return this.#gate.refusal
  }

  /** Lets no request pass from now on; undefined lets them pass again. */
  refuse(refusal: Refusal | string | undefined): void {
    this.#gate.refuse(refusal)
  }

  /** The text of the remote server's card, if it has one. */
  async card(signal: AbortSignal): Promise<string | undefined> {
    return await this.#remote?.card(signal)
  }

  /** Looks at a remote server, and takes it into use once it answers. */
  async look(connection: RemoteConnection, signal: AbortSignal): Promise<RemoteLook> {
    if (this.#isClosed) throw new ProxyError('closed', 'the proxy is closed')
    if (this.#remote?.connection !== connection) {
      this.detach('another server takes its place')
      this.#remote = new RemoteBackend(connection, { limits: this.#limits, era: this.#pin })
    }
    const remote = this.#remote
    const { look, met } = await remote.look(signal)
    if (met === undefined || remote !== this.#remote || this.#parts.isClosed()) return look
    this.#era?.close()
    this.#era = this.#openEra(met.backend, met.knowsLegacy)
    this.#gate.set(met.backend)
    return look
  }

  /** Waits until the backend answers, then sends it the requests that waited. */
  async attach(connection: HttpConnection, signal: AbortSignal): Promise<BackendInfo> {
    if (this.#isClosed) throw new ProxyError('closed', 'the proxy is closed')
    this.detach('another server takes its place')
    const attach = this.#attaches
    const backend = await openBackend(connection, this.#limits)
    try {
      const probe = { backend, era: this.#pin, limits: this.#limits, signal }
      const { info, knowsLegacy } = await probeBackend(probe)
      // Read through a function: the proxy may have been closed during the wait.
      if (this.#parts.isClosed()) throw new ProxyError('closed', 'the proxy is closed')
      if (attach !== this.#attaches) throw new ProxyError('server-gone', 'the server was given up during its start')
      this.#era = this.#openEra(backend, knowsLegacy)
      this.#gate.set(backend)
      return info
    } catch (error) {
      closeBackend(backend, new ProxyError('server-gone', 'the server was not attached'))
      throw error
    }
  }

  /** Gives the backend up: what is under way fails, streams of sessions wait for the next one. */
  detach(reason: string): void {
    const backend = this.#gate.current
    this.#attaches += 1
    this.#era?.close()
    this.#gate.set(undefined)
    const gone = new ProxyError('server-gone', reason)
    this.#remote?.close(gone)
    this.#remote = undefined
    if (backend === undefined) return
    this.#log('debug', 'the HTTP backend was detached', { reason })
    closeBackend(backend, gone)
  }

  /** Ends the streams that would otherwise hold up the end of the listener. */
  endStreams(): void {
    for (const relay of this.#relays) relay.cut()
    for (const exchange of this.#parts.traffic.streams) exchange.cut()
  }

  /** Ends sessions that were idle for too long, also in the backend. */
  sweep(): void {
    for (const session of this.#parts.sessions.sweep()) {
      const backend = this.#gate.current
      if (backend !== undefined && session.backend === backend) endInBackend(backend, session)
    }
  }

  /** Gives everything up. */
  close(): void {
    this.#isClosed = true
    clearInterval(this.#keepAlive)
    this.detach('the proxy is closing')
    this.#gate.wakeAll()
  }

  /** Forwards one request now, or when a backend is there. `deadlineMs`: monotonic time at which that wait ends. */
  handle(
    req: IncomingMessage,
    res: ServerResponse,
    deadlineMs: number = performance.now() + this.#limits.backendWaitMs,
  ): void {
    if (refuseAtEdge(req, res, this.#parts)) return
    if (this.#isClosed) return sendError(res, absentError(this.#parts))
    const isGet = req.method === 'GET'
    if (isGet && this.#answers >= this.#limits.backendConnections && this.#isFull()) {
      return sendError(res, { name: 'server-busy', message: 'Too many event streams are open' })
    }
    const id = headerOf(req, 'mcp-session-id')
    const isKnown = isGet && id !== undefined && this.#gate.refusal === undefined
    const session = isKnown ? this.#parts.sessions.get(id) : undefined
    if (session !== undefined && parseAccept(req.headers.accept).events) {
      return this.#relay(new EventRelay(this.#parts, session, req, res), res)
    }
    new Exchange(this.#parts, { req, res, deadlineMs }).start()
  }

  #openEra(backend: HttpBackend, knowsLegacy: boolean): BackendEra {
    // The old SSE transport is older than the question.
    const pin = backend.transport === 'sse' ? 'legacy' : this.#pin
    const era = new BackendEra({ backend, knowsLegacy, pin, limits: this.#limits, log: this.#log })
    era.open()
    return era
  }

  #relay(relay: EventRelay, res: ServerResponse): void {
    this.#relays.add(relay)
    this.#keepAlive ??= setInterval(() => {
      for (const open of this.#relays) open.keepAlive()
    }, this.#limits.keepAliveMs).unref()
    res.once('close', () => {
      this.#relays.delete(relay)
      if (this.#relays.size > 0) return
      clearInterval(this.#keepAlive)
      this.#keepAlive = undefined
    })
    relay.start()
  }

  /** Each open stream holds a connection; one more would wait for another to end, which may be never. */
  #isFull(): boolean {
    return this.streams >= this.#limits.backendConnections
  }
}

function endInBackend(backend: HttpBackend, session: HttpSession): void {
  const headers = { 'mcp-session-id': session.backendId }
  const ended = backend.pool.request({ path: session.backendPath, method: 'DELETE', headers })
  // The server may refuse, or be gone: the session is forgotten here either way.
  ended.then(
    ({ body }) => body.dump(),
    () => undefined,
  )
}
