import type { IncomingMessage, ServerResponse } from 'node:http'
import { headerOf, parseTarget } from '../front-door.ts'
import type {
  BackendInfo,
  BackendSign,
  HttpConnection,
  Refusal,
  RemoteConnection,
  RemoteLook,
} from '../proxy-config.ts'
import { isEndpointPath } from './backend-target.ts'
import type { BackendEra } from './backend-era.ts'
import { refuseAtEdge } from './edge-checks.ts'
import { saysModern } from './era-watch.ts'
import { HttpBridge } from './http-bridge.ts'
import { HttpLegacyPeer } from './http-legacy-peer.ts'
import { HttpModernPeer } from './http-modern-peer.ts'
import { sendFault } from '../respond.ts'
import { TransparentForwarder, type TransparentOptions } from './transparent.ts'

/**
 * Takes each request in front of an HTTP server its way: through untouched when
 * client and server are of one era, over a bridge when they are not. A bridge
 * is made for the first client that needs it.
 */
export class HttpPlane {
  readonly #options: TransparentOptions
  readonly #forwarder: TransparentForwarder
  /** Modern clients in front of a server that is Legacy only. */
  #toLegacy: HttpBridge | undefined
  /** Legacy clients in front of a server that is Modern only. */
  #toModern: HttpBridge | undefined
  #isClosed = false

  constructor(options: TransparentOptions) {
    this.#options = options
    this.#forwarder = new TransparentForwarder(options)
  }

  /** Whether a server is ready. */
  get isAttached(): boolean {
    return this.#forwarder.isAttached
  }

  /** Asks the attached server whether it lives. What it says to clients meanwhile is a sign of life too. */
  async probe(signal: AbortSignal): Promise<BackendSign> {
    const parts = (): readonly { heard: number; calls: number }[] => [
      this.#forwarder,
      ...this.#bridges().map(({ heard, inFlight }) => ({ heard, calls: inFlight })),
    ]
    const isBusy = parts().some(({ calls }) => calls > 0)
    const heard = sum(parts())
    const sign = await this.#forwarder.probe(signal)
    if (sign === undefined) return { code: 'absent', message: 'no server is attached', isBusy }
    if (sign.code !== 'silent' || sum(parts()) <= heard) return { ...sign, isBusy }
    return { code: 'alive', message: 'it answers its clients', isBusy }
  }

  /** Numbers of the moment. */
  stats(): { sessions: number; inFlight: number; streams: number } {
    const parts = [this.#forwarder, ...this.#bridges()]
    return {
      sessions: parts.reduce((sum, { sessions }) => sum + sessions, 0),
      inFlight: parts.reduce((sum, { inFlight }) => sum + inFlight, 0),
      streams: parts.reduce((sum, { streams }) => sum + streams, 0),
    }
  }

  /** Waits until the server answers, then sends it the requests that waited. */
  async attach(connection: HttpConnection, signal: AbortSignal): Promise<BackendInfo> {
    this.#detachBridges('another server takes its place')
    const info = await this.#forwarder.attach(connection, signal)
    const { backend } = this.#forwarder.era ?? {}
    for (const bridge of this.#bridges()) if (backend !== undefined && bridge.isInUse) bridge.use(backend)
    return info
  }

  /** The text of the remote server's card, if it has one. */
  async card(signal: AbortSignal): Promise<string | undefined> {
    return await this.#forwarder.card(signal)
  }

  /** Looks at a remote server, and takes it into use once it answers. */
  async look(connection: RemoteConnection, signal: AbortSignal): Promise<RemoteLook> {
    return await this.#forwarder.look(connection, signal)
  }

  /** Lets no request pass from now on; undefined lets them pass again. */
  refuse(refusal: Refusal | string | undefined): void {
    this.#forwarder.refuse(refusal)
  }

  /** Gives the server up. */
  detach(reason: string): void {
    this.#detachBridges(reason)
    this.#forwarder.detach(reason)
  }

  /** Answers one request now, or when a server is there. */
  handle(req: IncomingMessage, res: ServerResponse): void {
    const { era } = this.#forwarder
    const isEndpoint = isEndpointPath(parseTarget(req.url ?? '/').path, era?.backend)
    const isRefused = this.#forwarder.refusal !== undefined
    if (!isEndpoint || isRefused || era?.backend.transport === 'sse') return this.#forwarder.handle(req, res)
    const isModern = saysModern(req)
    if ((isModern || this.#options.stateless) && req.method !== 'POST') return this.#forwarder.handle(req, res)
    if (era === undefined) {
      // Of which era the server is decides, so what begins something waits for it.
      const hasSession = !this.#options.stateless && headerOf(req, 'mcp-session-id') !== undefined
      const waits = !this.#isClosed && (isModern || !hasSession)
      return waits ? this.#wait(req, res) : this.#forwarder.handle(req, res)
    }
    if (!isModern) return this.#handleLegacy(req, res, era.verdict.legacy)
    if (era.verdict.modern) return this.#forwarder.handle(req, res)
    void this.#handleModern(req, res, era)
  }

  /** Regular housekeeping. */
  sweep(): void {
    this.#forwarder.sweep()
    for (const bridge of this.#bridges()) bridge.sweep()
  }

  /** Ends the streams that would otherwise hold up the end of the listener. */
  endStreams(): void {
    this.#forwarder.endStreams()
    for (const bridge of this.#bridges()) bridge.endStreams()
  }

  /** Gives everything up. */
  async close(withinMs: number): Promise<void> {
    this.#isClosed = true
    await Promise.all(this.#bridges().map(async (bridge) => await bridge.close(withinMs)))
    this.#forwarder.close()
  }

  #wait(req: IncomingMessage, res: ServerResponse): void {
    if (this.#forwarder.waiting >= this.#options.limits.waitingCalls) return this.#forwarder.handle(req, res)
    const deadlineMs = performance.now() + this.#options.limits.backendWaitMs
    const leave = this.#forwarder.whenAttached(() => {
      res.off('close', leave)
      if (res.destroyed) return
      // Without a server in time, the refusal of the forwarder is the right one; it waits no more.
      if (this.#forwarder.era === undefined) this.#forwarder.handle(req, res, deadlineMs)
      else this.handle(req, res)
    })
    res.once('close', leave)
  }

  async #handleModern(req: IncomingMessage, res: ServerResponse, era: BackendEra): Promise<void> {
    const { modern } = await era.known()
    if (res.destroyed) return
    try {
      if (modern) this.#forwarder.handle(req, res)
      else this.#serve((this.#toLegacy ??= this.#bridgeToLegacy()), req, res)
    } catch (error) {
      sendFault(res, error, this.#options.log)
    }
  }

  #handleLegacy(req: IncomingMessage, res: ServerResponse, isKnown: boolean): void {
    const id = headerOf(req, 'mcp-session-id')
    const isBridged = id !== undefined && this.#toModern?.hasSession(id) === true
    if (isKnown && !isBridged) return this.#forwarder.handle(req, res)
    this.#serve((this.#toModern ??= this.#bridgeToModern()), req, res)
  }

  #serve(bridge: HttpBridge, req: IncomingMessage, res: ServerResponse): void {
    if (refuseAtEdge(req, res, this.#options)) return
    bridge.serve(req, res, this.isAttached ? this.#forwarder.era?.backend : undefined)
  }

  #bridgeToLegacy(): HttpBridge {
    return new HttpBridge({
      ...this.#options,
      era: 'legacy',
      // Clients of this bridge have no sessions.
      journal: undefined,
      createPeer: (backend) => (deps) => new HttpLegacyPeer({ backend, held: this.#options.held }, deps),
    })
  }

  #bridgeToModern(): HttpBridge {
    const contradicted = (): void => this.#forwarder.era?.contradicted()
    return new HttpBridge({
      ...this.#options,
      era: 'modern',
      createPeer: (backend) => (deps) => new HttpModernPeer({ backend, held: this.#options.held, contradicted }, deps),
    })
  }

  #detachBridges(reason: string): void {
    for (const bridge of this.#bridges()) bridge.detach(reason)
  }

  #bridges(): HttpBridge[] {
    return [this.#toLegacy, this.#toModern].filter((bridge) => bridge !== undefined)
  }
}

function sum(parts: readonly { heard: number }[]): number {
  return parts.reduce((total, { heard }) => total + heard, 0)
}
