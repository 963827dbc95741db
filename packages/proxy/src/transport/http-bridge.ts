import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { Chain } from '../chain.ts'
import type { FrontDoor } from '../front-door.ts'
import { parseTarget } from '../front-door.ts'
import type { HeldBytes } from '../held-bytes.ts'
import type { ProxyLimits } from '../limits.ts'
import type { Era } from '../mcp/revision.ts'
import type { ProxyLog, SessionJournal } from '../proxy-config.ts'
import { Bridge } from './bridge.ts'
import type { HttpBackend } from './http-backend.ts'
import type { CreatePeer } from './server-peer.ts'
import { SseStreams } from './sse-stream.ts'
import { createStreamableFront } from './streamable-http.ts'

/** What a bridge to an HTTP server is made of. */
export interface HttpBridgeOptions {
  readonly name: string
  readonly limits: ProxyLimits
  readonly log: ProxyLog
  readonly held: HeldBytes
  readonly chain: Chain
  readonly journal: SessionJournal | undefined
  /** Whether clients get no sessions. */
  readonly stateless: boolean
  /** Era of the server. */
  readonly era: Era
  createPeer(backend: HttpBackend): CreatePeer
}

/**
 * Clients of one era in front of an HTTP server of the other. The conversation with
 * the server begins with the first of them, and again when the server ended it.
 */
export class HttpBridge {
  readonly #options: HttpBridgeOptions
  readonly #bridge: Bridge
  readonly #streams: SseStreams
  readonly #front: FrontDoor
  #backend: HttpBackend | undefined
  #stop = new AbortController()

  constructor(options: HttpBridgeOptions) {
    this.#options = options
    this.#bridge = new Bridge(options)
    this.#streams = new SseStreams(options)
    this.#front = createStreamableFront({ ...options, bridge: this.#bridge, streams: this.#streams })
  }

  /** Calls sent or waiting. */
  get inFlight(): number {
    return this.#bridge.inFlight
  }

  /** Messages of the server so far. */
  get heard(): number {
    return this.#bridge.heard
  }

  /** Sessions of clients. */
  get sessions(): number {
    return this.#bridge.sessions.table.size
  }

  /** Open event streams. */
  get streams(): number {
    return this.#streams.size
  }

  /** Whether somebody waits for the server, or for what it has to tell. */
  get isInUse(): boolean {
    return this.sessions > 0 || this.#bridge.shared.isInUse
  }

  /** Whether a session of this id lives here. */
  hasSession(id: string): boolean {
    return this.#bridge.sessions.table.get(id) !== undefined
  }

  /** Answers one request, now or when the server is there. */
  serve(req: IncomingMessage, res: ServerResponse, backend: HttpBackend | undefined): void {
    if (backend !== undefined) this.use(backend)
    // That it is for the endpoint is known, whatever the path of that is called.
    this.#front.handle(req, res, { ...parseTarget(req.url ?? '/'), path: '/mcp' })
  }

  /** Begins a conversation with a server, unless there is one. */
  use(backend: HttpBackend): void {
    if (this.#backend === backend) return
    this.#stop.abort()
    this.#stop = new AbortController()
    this.#backend = backend
    void this.#converse(backend, this.#stop.signal)
  }

  /** Gives the server up; sessions wait for the next one. */
  detach(reason: string): void {
    this.#stop.abort()
    this.#backend = undefined
    this.#bridge.detach(reason)
  }

  /** Regular housekeeping. */
  sweep(): void {
    this.#bridge.sessions.sweep()
  }

  /** Ends the streams that would otherwise hold up the end of the listener. */
  endStreams(): void {
    this.#bridge.endListens()
    for (const session of this.#bridge.sessions.table.values()) session.stream?.end()
  }

  /** Gives everything up. */
  async close(withinMs: number): Promise<void> {
    this.#stop.abort()
    const closed = this.#bridge.close(withinMs)
    this.#streams.close()
    await closed
  }

  /** Begins again what the server ended, with growing pauses; the next client has it tried anew after too many. */
  async #converse(backend: HttpBackend, signal: AbortSignal): Promise<void> {
    const { limits, log, name } = this.#options
    for (let tries = 0; tries < limits.streamTries && !signal.aborted; tries += 1) {
      const began = performance.now()
      try {
        const { lost } = await this.#bridge.attach(this.#options.createPeer(backend), signal)
        const reason = await lost
        log('info', 'the conversation with the HTTP server ended and begins again', { name, reason })
        if (performance.now() - began > limits.streamRedialMaxMs) tries = 0
      } catch (error) {
        if (!signal.aborted) log('warn', 'the HTTP server cannot be bridged', { name, error: String(error) })
      }
      const pauseMs = Math.min(limits.redialMs * 2 ** tries, limits.streamRedialMaxMs)
      await delay(pauseMs, undefined, { signal, ref: false }).catch(() => undefined)
    }
    if (!signal.aborted) this.#backend = undefined
  }
}
