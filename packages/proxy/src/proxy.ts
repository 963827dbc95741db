import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { ProxyError } from './errors.ts'
import { parseTarget, type FrontDoor } from './front-door.ts'
import { answerHealth } from './health.ts'
import { HeldBytes } from './held-bytes.ts'
import { buildLimits, type ProxyLimits } from './limits.ts'
import { Listener } from './listener.ts'
import type { Attachment, BackendConnection, Proxy, ProxyConfig } from './proxy-config.ts'
import { sendJson, sendText } from './respond.ts'
import { createLegacySseFront } from './transport/legacy-sse.ts'
import { SseStreams } from './transport/sse-stream.ts'
import { StdioBridge } from './transport/stdio-bridge.ts'
import { createStreamableFront } from './transport/streamable-http.ts'
import { TransparentForwarder } from './transport/transparent.ts'

/** Builds a proxy. Opens nothing; see {@link Proxy} for `start`, `attach` and `close`. */
export function createProxy(config: ProxyConfig): Proxy {
  return new OneProxy(config)
}

/** What a kind of backend brings to a proxy. */
interface Plane {
  readonly isAttached: boolean
  stats(): { sessions: number; inFlight: number; streams: number }
  attach(backend: BackendConnection, signal: AbortSignal): Promise<Attachment>
  detach(reason: string): void
  handle(req: IncomingMessage, res: ServerResponse): void
  /** Regular housekeeping. */
  sweep(): void
  endStreams(): void
  close(): void
}

class OneProxy implements Proxy {
  readonly #config: ProxyConfig
  readonly #limits: ProxyLimits
  readonly #listener: Listener
  readonly #plane: Plane
  #address: { host: string; port: number }
  #transport: string
  #problem = 'no server is attached yet'
  #responseTimeMs: number | undefined
  #lastCheckedMs = Date.now()
  #sweeper: NodeJS.Timeout | undefined
  #started: 'no' | 'yes' | 'closed' = 'no'
  #closing: Promise<void> | undefined

  constructor(config: ProxyConfig) {
    this.#config = config
    this.#limits = buildLimits(config.limits)
    this.#address = { ...config.listen }
    this.#transport = config.backend === 'stdio' ? 'stdio' : 'streamable-http'
    const { allowedOrigins, log } = config
    this.#plane =
      config.backend === 'stdio'
        ? this.#stdioPlane()
        : createHttpPlane({ name: config.name, limits: this.#limits, log })
    this.#listener = new Listener({
      ...config.listen,
      ...(allowedOrigins === undefined ? {} : { allowedOrigins }),
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
    this.#sweeper = setInterval(() => this.#plane.sweep(), this.#limits.sessionSweepMs).unref()
  }

  async attach(backend: BackendConnection, signal: AbortSignal): Promise<Attachment> {
    if (backend.kind !== this.#config.backend) {
      throw new ProxyError('handshake-failed', `a ${this.#config.backend} proxy cannot attach a ${backend.kind} server`)
    }
    if (backend.kind === 'http') this.#transport = backend.transport
    const began = performance.now()
    try {
      const attachment = await this.#plane.attach(backend, signal)
      this.#responseTimeMs = Math.round(performance.now() - began)
      void attachment.lost.then((reason) => this.#noteProblem(reason))
      return attachment
    } catch (error) {
      this.#problem = error instanceof Error ? error.message : String(error)
      throw error
    } finally {
      this.#lastCheckedMs = Date.now()
    }
  }

  detach(reason: string): void {
    this.#noteProblem(reason)
    this.#plane.detach(reason)
  }

  close(deadlineMs: number = this.#limits.closeMs): Promise<void> {
    this.#closing ??= this.#close(deadlineMs)
    return this.#closing
  }

  stats(): { sessions: number; inFlight: number; streams: number } {
    return this.#plane.stats()
  }

  #noteProblem(reason: string): void {
    this.#problem = reason
    this.#lastCheckedMs = Date.now()
  }

  /** A method, because the compiler takes for granted what was checked before an await. */
  #isClosed(): boolean {
    return this.#started === 'closed'
  }

  async #close(deadlineMs: number): Promise<void> {
    this.#started = 'closed'
    clearInterval(this.#sweeper)
    const closed = this.#listener.close(deadlineMs)
    await idle(this.#plane, deadlineMs)
    // Only now: over the old SSE transport the answers of calls in flight come on these streams.
    this.#plane.endStreams()
    await closed
    this.#plane.close()
  }

  #handle(req: IncomingMessage, res: ServerResponse): void {
    const target = parseTarget(req.url ?? '/')
    if (target.path === '/health') {
      return answerHealth(req, res, {
        transport: this.#transport,
        isAvailable: this.#plane.isAttached,
        problem: this.#problem,
        responseTimeMs: this.#responseTimeMs,
        lastCheckedMs: this.#lastCheckedMs,
      })
    }
    if (target.path.startsWith('/.well-known/')) return sendJson(res, 404, '{"error":"not_found"}')
    this.#plane.handle(req, res)
  }

  #stdioPlane(): Plane {
    const { name, mode, log } = this.#config
    const limits = this.#limits
    const held = new HeldBytes(limits.heldBytes)
    const bridge = new StdioBridge({ name, limits, log, held })
    const streams = new SseStreams({ limits, held, log })
    const parts = { bridge, streams, limits, held, log, authority: () => `${this.#address.host}:${this.#address.port}` }
    const front: FrontDoor = mode === 'sse' ? createLegacySseFront(parts) : createStreamableFront(parts)
    return {
      get isAttached() {
        return bridge.isAttached
      },
      stats: () => ({ sessions: bridge.sessions.size, inFlight: bridge.inFlight, streams: streams.size }),
      attach: (backend, signal) => {
        if (backend.kind !== 'stdio') throw new TypeError('not a stdio server')
        return bridge.attach(backend, signal)
      },
      detach: (reason) => bridge.detach(reason),
      handle: (req, res) => {
        if (!front.handle(req, res, parseTarget(req.url ?? '/'))) sendText(res, 404, 'Not found\n')
      },
      sweep: () => bridge.sweep(),
      endStreams: () => {
        for (const session of bridge.sessions.values()) session.stream?.end()
      },
      close: () => {
        bridge.close()
        streams.close()
      },
    }
  }
}

async function idle(plane: Plane, deadlineMs: number): Promise<void> {
  const deadline = performance.now() + deadlineMs
  while (plane.stats().inFlight > 0 && performance.now() < deadline) await delay(idlePollMs)
}

const idlePollMs = 10

function createHttpPlane(options: ConstructorParameters<typeof TransparentForwarder>[0]): Plane {
  const forwarder = new TransparentForwarder(options)
  return {
    get isAttached() {
      return forwarder.isAttached
    },
    stats: () => ({ sessions: 0, inFlight: forwarder.inFlight, streams: forwarder.streams }),
    attach: async (backend, signal) => {
      if (backend.kind !== 'http') throw new TypeError('not an HTTP server')
      const info = await forwarder.attach(backend.origin, backend.transport, signal)
      // An HTTP server has no stream that could be lost: each request finds out by itself.
      return { ...info, lost: new Promise<string>(() => undefined) }
    },
    detach: (reason) => forwarder.detach(reason),
    handle: (req, res) => forwarder.handle(req, res),
    sweep: () => undefined,
    endStreams: () => forwarder.endStreams(),
    close: () => forwarder.close(),
  }
}
