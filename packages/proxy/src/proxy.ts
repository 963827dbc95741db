import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { compileChain, type Chain } from './chain.ts'
import { ProxyError } from './errors.ts'
import { parseTarget, type FrontDoor } from './front-door.ts'
import { Health } from './health.ts'
import { HeldBytes } from './held-bytes.ts'
import { buildLimits, type ProxyLimits } from './limits.ts'
import { Listener } from './listener.ts'
import { answerMetrics } from './metrics/answer-metrics.ts'
import type {
  Attachment,
  BackendConnection,
  BackendSign,
  HealthStatus,
  Proxy,
  ProxyConfig,
  Refusal,
  RemoteConnection,
  RemoteLook,
} from './proxy-config.ts'
import { refuseUnlistedVersion } from './protocol-version.ts'
import { sendFault, sendJson, sendText } from './respond.ts'
import { Bridge } from './transport/bridge.ts'
import { HttpPlane } from './transport/http-plane.ts'
import { createLegacySseFront } from './transport/legacy-sse.ts'
import { ServerConnection } from './transport/server-connection.ts'
import { SseStreams } from './transport/sse-stream.ts'
import { createStreamableFront } from './transport/streamable-http.ts'

/** Builds a proxy. Opens nothing; see {@link Proxy} for `start`, `attach` and `close`. */
export function createProxy(config: ProxyConfig): Proxy {
  return new OneProxy(config)
}

/** What a kind of backend brings to a proxy. */
interface Plane {
  readonly isAttached: boolean
  stats(): { sessions: number; inFlight: number; streams: number }
  /** Bytes kept for peers that are slow or away. */
  readonly heldBytes: number
  attach(backend: BackendConnection, signal: AbortSignal): Promise<Attachment>
  detach(reason: string): void
  probe(signal: AbortSignal): Promise<BackendSign>
  /** Absent where a server is never remote. */
  look?: (connection: RemoteConnection, signal: AbortSignal) => Promise<RemoteLook>
  card?: (signal: AbortSignal) => Promise<string | undefined>
  refuse?: (refusal: Refusal | string | undefined) => void
  handle(req: IncomingMessage, res: ServerResponse): void
  /** Regular housekeeping. */
  sweep(): void
  endStreams(): void
  /** Ends what is left, waiting for servers of its own at most so long. */
  close(withinMs: number): Promise<void>
}

class OneProxy implements Proxy {
  readonly #config: ProxyConfig
  readonly #limits: ProxyLimits
  readonly #chain: Chain
  readonly #listener: Listener
  readonly #plane: Plane
  readonly #health = new Health()
  #address: { host: string; port: number }
  #transport: string
  #attaches = 0
  #isRefusing = false
  #sweeper: NodeJS.Timeout | undefined
  #started: 'no' | 'yes' | 'closed' = 'no'
  #closing: Promise<void> | undefined

  constructor(config: ProxyConfig) {
    this.#config = config
    this.#limits = buildLimits(config.limits)
    this.#address = { ...config.listen }
    this.#transport = config.backend === 'stdio' ? 'stdio' : 'streamable-http'
    const { allowedOrigins, log, metrics } = config
    this.#chain = compileChain(config.middleware ?? [], log)
    this.#plane = config.backend === 'stdio' ? this.#stdioPlane() : this.#httpPlane()
    this.#listener = new Listener({
      ...config.listen,
      ...(allowedOrigins === undefined ? {} : { allowedOrigins }),
      ...(metrics === undefined ? {} : { observe: (req, res) => metrics.observe(req, res) }),
      limits: this.#limits,
      log,
      handle: (req, res) => this.#handle(req, res),
    })
  }

  get address(): { host: string; port: number } {
    return { ...this.#address }
  }

  async start(signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw new ProxyError('cancelled', 'starting the proxy was cancelled', signal.reason)
    if (this.#started !== 'no') throw new ProxyError('closed', 'the proxy was started before')
    this.#started = 'yes'
    this.#address = await this.#listener.open(signal)
    if (this.#isClosed()) throw new ProxyError('closed', 'the proxy was closed while it was being started')
    this.#sweeper = setInterval(() => this.#plane.sweep(), sweepMsOf(this.#limits)).unref()
  }

  async attach(backend: BackendConnection, signal: AbortSignal): Promise<Attachment> {
    if (backend.kind !== this.#config.backend) {
      throw new ProxyError('handshake-failed', `a ${this.#config.backend} proxy cannot attach a ${backend.kind} server`)
    }
    if (backend.kind === 'http') this.#transport = backend.transport
    const began = performance.now()
    try {
      const attachment = await this.#plane.attach(backend, signal)
      this.#health.asked(performance.now() - began)
      this.#health.note('healthy', '')
      this.#attaches += 1
      void attachment.lost.then((reason) => this.#health.note('unhealthy', reason))
      return attachment
    } catch (error) {
      this.#health.note('unhealthy', error instanceof Error ? error.message : String(error))
      throw error
    }
  }

  detach(reason: string): void {
    this.#health.note('unhealthy', reason)
    this.#plane.detach(reason)
  }

  async probe(signal: AbortSignal): Promise<BackendSign> {
    const began = performance.now()
    const sign = await this.#plane.probe(signal)
    this.#health.asked(sign.code === 'alive' ? performance.now() - began : undefined)
    return sign
  }

  noteHealth(status: HealthStatus, problem: string): void {
    this.#health.note(status, problem)
  }

  async look(connection: RemoteConnection, signal: AbortSignal): Promise<RemoteLook> {
    if (this.#plane.look === undefined) throw new ProxyError('handshake-failed', 'a stdio proxy has no remote server')
    const began = performance.now()
    const look = await this.#plane.look(connection, signal)
    if (look.transport !== undefined) this.#transport = look.transport
    const isFailing = look.kind === 'failing'
    this.#health.asked(isFailing ? undefined : performance.now() - began)
    this.#health.note(this.#isRefusing ? 'unhealthy' : isFailing ? 'degraded' : 'healthy', look.message)
    return look
  }

  async card(signal: AbortSignal): Promise<string | undefined> {
    return await this.#plane.card?.(signal)
  }

  refuse(refusal: Refusal | string | undefined): void {
    const problem = typeof refusal === 'object' ? refusal.message : refusal
    this.#isRefusing = problem !== undefined
    this.#health.note(problem === undefined ? 'healthy' : 'unhealthy', problem ?? '')
    this.#plane.refuse?.(refusal)
  }

  close(deadlineMs: number = this.#limits.closeMs): Promise<void> {
    this.#closing ??= this.#close(deadlineMs)
    return this.#closing
  }

  stats(): { sessions: number; inFlight: number; streams: number } {
    return this.#plane.stats()
  }

  /** A method, because the compiler takes for granted what was checked before an await. */
  #isClosed(): boolean {
    return this.#started === 'closed'
  }

  async #close(deadlineMs: number): Promise<void> {
    this.#started = 'closed'
    const began = performance.now()
    clearInterval(this.#sweeper)
    const closed = this.#listener.close(deadlineMs)
    await idle(this.#plane, deadlineMs)
    // Only now: over the old SSE transport the answers of calls in flight come on these streams.
    this.#plane.endStreams()
    await closed
    await this.#plane.close(Math.max(0, deadlineMs - (performance.now() - began)))
  }

  #handle(req: IncomingMessage, res: ServerResponse): void {
    const { path } = parseTarget(req.url ?? '/')
    if (path === '/health') {
      return this.#health.answer(req, res, { transport: this.#transport, isAttached: this.#plane.isAttached })
    }
    if (path === '/metrics') return this.#answerMetrics(req, res)
    if (path.startsWith('/.well-known/')) return sendJson(res, 404, '{"error":"not_found"}')
    if (this.#config.strictProtocolValidation === true && refuseUnlistedVersion(req, res)) return
    const isAdmitted = this.#chain.admit?.(req, res) ?? true
    if (isAdmitted === true) return this.#plane.handle(req, res)
    if (isAdmitted !== false) void this.#handleLater(isAdmitted, req, res)
  }

  async #handleLater(isAdmitted: Promise<boolean>, req: IncomingMessage, res: ServerResponse): Promise<void> {
    try {
      if (await isAdmitted) this.#plane.handle(req, res)
    } catch (error) {
      sendFault(res, error, this.#config.log)
    }
  }

  #answerMetrics(req: IncomingMessage, res: ServerResponse): void {
    const { isAttached, heldBytes } = this.#plane
    const serverRestarts = Math.max(0, this.#attaches - 1)
    const { metrics, name } = this.#config
    answerMetrics(req, res, metrics?.render(name, { ...this.stats(), isAttached, heldBytes, serverRestarts }))
  }

  #stdioPlane(): Plane {
    const { name, mode, log, trustProxyHeaders = false, endpointPrefix = '', stateless = false } = this.#config
    const limits = this.#limits
    const held = new HeldBytes(limits.heldBytes)
    // Over the old SSE transport the stream is the session, and it ends with us.
    const journal = mode === 'sse' || stateless ? undefined : this.#config.journal
    const { openLane, era } = this.#config
    const bridge = new Bridge({
      name,
      limits,
      log,
      held,
      openLane,
      era,
      journal,
      chain: this.#chain,
    })
    const streams = new SseStreams({ limits, held, log })
    const parts = {
      bridge,
      streams,
      limits,
      held,
      log,
      authority: () => `${this.#address.host}:${this.#address.port}`,
      trustsForwarded: trustProxyHeaders,
      endpointPrefix,
      stateless,
    }
    const front: FrontDoor = mode === 'sse' ? createLegacySseFront(parts) : createStreamableFront(parts)
    return {
      get isAttached() {
        return bridge.isAttached
      },
      get heldBytes() {
        return held.bytes
      },
      stats: () => ({ sessions: bridge.sessions.table.size, inFlight: bridge.inFlight, streams: streams.size }),
      attach: (backend, signal) => {
        if (backend.kind !== 'stdio') throw new TypeError('not a stdio server')
        return bridge.attach((deps) => new ServerConnection(backend, deps), signal)
      },
      detach: (reason) => bridge.detach(reason),
      probe: async (signal) => await bridge.probe(signal),
      handle: (req, res) => {
        if (!front.handle(req, res, parseTarget(req.url ?? '/'))) sendText(res, 404, 'Not found\n')
      },
      sweep: () => bridge.sessions.sweep(),
      endStreams: () => {
        bridge.endListens()
        for (const session of bridge.sessions.table.values()) session.stream?.end()
      },
      close: async (withinMs) => {
        const closed = bridge.close(withinMs)
        streams.close()
        await closed
      },
    }
  }

  #httpPlane(): Plane {
    const { name, log, era = 'auto', trustProxyHeaders = false, endpointPrefix = '', stateless = false } = this.#config
    const held = new HeldBytes(this.#limits.heldBytes)
    const plane = new HttpPlane({
      name,
      log,
      era,
      held,
      limits: this.#limits,
      chain: this.#chain,
      journal: stateless ? undefined : this.#config.journal,
      stateless,
      trustsForwarded: trustProxyHeaders,
      endpointPrefix,
      authority: () => `${this.#address.host}:${this.#address.port}`,
    })
    return {
      get isAttached() {
        return plane.isAttached
      },
      get heldBytes() {
        return held.bytes
      },
      stats: () => plane.stats(),
      attach: async (backend, signal) => {
        if (backend.kind !== 'http') throw new TypeError('not an HTTP server')
        const info = await plane.attach(backend, signal)
        // An HTTP server has no stream that could be lost: each request finds out by itself.
        return { ...info, lost: new Promise<string>(() => undefined) }
      },
      detach: (reason) => plane.detach(reason),
      probe: async (signal) => await plane.probe(signal),
      look: async (connection, signal) => await plane.look(connection, signal),
      card: async (signal) => await plane.card(signal),
      refuse: (refusal) => plane.refuse(refusal),
      handle: (req, res) => plane.handle(req, res),
      sweep: () => plane.sweep(),
      endStreams: () => plane.endStreams(),
      close: (withinMs) => plane.close(withinMs),
    }
  }
}

/** No session outlives its time by more than half of it. */
function sweepMsOf({ sessionSweepMs, sessionTtlMs }: ProxyLimits): number {
  return Math.min(sessionSweepMs, Math.ceil(sessionTtlMs / 2))
}

async function idle(plane: Plane, deadlineMs: number): Promise<void> {
  const deadline = performance.now() + deadlineMs
  while (plane.stats().inFlight > 0 && performance.now() < deadline) await delay(idlePollMs)
}

const idlePollMs = 10
