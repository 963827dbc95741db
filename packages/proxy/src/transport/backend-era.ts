import type { ProxyLimits } from '../limits.ts'
import type { Era } from '../mcp/revision.ts'
import type { ProxyLog } from '../proxy-config.ts'
import { askDiscover, askInitialize, HandshakeRefused, type AskOptions } from './http-ask.ts'
import type { HttpBackend } from './http-backend.ts'
import { withTimeLimit } from './with-time-limit.ts'

/** What an HTTP server is known to speak. */
export interface EraVerdict {
  readonly legacy: boolean
  readonly modern: boolean
}

/** What is needed to find out. */
export interface BackendEraOptions {
  readonly backend: HttpBackend
  readonly knowsLegacy: boolean
  readonly pin: Era | 'auto'
  readonly limits: ProxyLimits
  readonly log: ProxyLog
}

/**
 * Which eras one attached server speaks. `initialize` was asked before it was
 * attached; `server/discover` is asked beside its first requests, so that nobody
 * but Modern clients waits for the answer. No tool is ever called to find out.
 */
export class BackendEra {
  readonly #options: BackendEraOptions
  readonly #closed = new AbortController()
  #legacy: boolean
  /** Undefined until an answer was clear. */
  #modern: boolean | undefined
  #askedMs = -Infinity
  #asking: Promise<void> | undefined

  constructor(options: BackendEraOptions) {
    this.#options = options
    this.#legacy = options.knowsLegacy
    this.#modern = options.pin === 'auto' && options.knowsLegacy ? undefined : !options.knowsLegacy
  }

  /** The server this is about. */
  get backend(): HttpBackend {
    return this.#options.backend
  }

  /** What is known now. A server whose answer was not clear is taken for Legacy. */
  get verdict(): EraVerdict {
    return { legacy: this.#legacy, modern: this.#modern ?? false }
  }

  /** Asks for the first time. */
  open(): void {
    if (this.#modern === undefined) void this.#ask()
  }

  /** What is known once the server was asked whether it is Modern. Bounded; never rejects. */
  async known(): Promise<EraVerdict> {
    const { pin, limits } = this.#options
    const ageMs = performance.now() - this.#askedMs
    // A server that was updated in place still takes the handshake, so nothing else would correct this verdict.
    if (pin === 'auto' && this.#modern === false && ageMs > limits.legacyVerdictMs) void this.#ask()
    else if (this.#modern === undefined && ageMs > limits.eraPauseMs) await this.#ask()
    else if (this.#modern === undefined) await this.#asking
    return this.verdict
  }

  /** The server answered as one of the other era does: it is asked again, not too often. */
  contradicted(): void {
    if (this.#options.pin !== 'auto' || performance.now() - this.#askedMs < this.#options.limits.eraPauseMs) return
    this.#options.log('info', 'the server answered unlike its era and is asked again', { ...this.verdict })
    void this.#ask(true)
  }

  /** Asks no more. */
  close(): void {
    this.#closed.abort()
  }

  #ask(alsoHandshake = false): Promise<void> {
    this.#asking ??= this.#askServer(alsoHandshake).finally(() => (this.#asking = undefined))
    return this.#asking
  }

  /** Never rejects: what stays unclear stays as it was. */
  async #askServer(alsoHandshake: boolean): Promise<void> {
    const { backend, limits, log } = this.#options
    this.#askedMs = performance.now()
    const signal = withTimeLimit(this.#closed.signal, limits.eraAskMs)
    const ask = { backend, limits, signal }
    try {
      const { verdict } = await askDiscover(ask)
      if (verdict !== 'unclear') this.#modern = verdict === 'modern'
      if (alsoHandshake) this.#legacy = await takesHandshake(ask)
    } catch (error) {
      log('debug', 'the server could not be asked for its era', { error: String(error) })
    }
  }
}

async function takesHandshake(ask: AskOptions): Promise<boolean> {
  try {
    await askInitialize(ask)
    return true
  } catch (error) {
    if (error instanceof HandshakeRefused) return false
    throw error
  }
}
