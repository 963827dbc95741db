import type { ProxyLimits } from '../limits.ts'
import type { Era } from '../mcp/revision.ts'
import type { RemoteConnection, RemoteLook } from '../proxy-config.ts'
import { closeBackend, openBackend, type HttpBackend } from './http-backend.ts'
import { inTime } from './in-time.ts'
import { lookAtRemote, meetRemote, type Acquaintance } from './look-at-remote.ts'
import type { Asker } from './ping-question.ts'
import { readCard } from './read-card.ts'

/** A server that is to be taken into use now. */
export interface Met {
  readonly backend: HttpBackend
  readonly knowsLegacy: boolean
}

/**
 * One remote server: the connections to it outlive its failures, so that sessions do not take it for another server
 * when it is back.
 */
export class RemoteBackend {
  readonly connection: RemoteConnection
  readonly #limits: ProxyLimits
  readonly #era: Era | 'auto'
  readonly #opened = new Map<HttpBackend['transport'], HttpBackend>()
  /** Set once it has answered a handshake. */
  #proven: HttpBackend | undefined
  #asker: Asker = 'nobody'
  /** What failed may come back as another server, with another transport or era: only a handshake tells. */
  #isDoubted = false
  /** Whether requests already pass, because a client may have a login. */
  #isUsed = false
  #isClosed = false

  constructor(connection: RemoteConnection, { limits, era }: { limits: ProxyLimits; era: Era | 'auto' }) {
    this.connection = connection
    this.#limits = limits
    this.#era = era
  }

  /** Looks once, in bounded time; `met` when the server is to be taken into use now. Rejects only when the signal aborts. */
  async look(signal: AbortSignal): Promise<{ look: RemoteLook; met: Met | undefined }> {
    const found = await inTime(async (inner) => await this.#look(inner), this.#limits.healthTimeoutMs, signal)
    signal.throwIfAborted()
    return found
  }

  /** The text of its server card; undefined without one, and before it has answered. Never rejects. */
  async card(signal: AbortSignal): Promise<string | undefined> {
    const backend = this.#proven
    if (backend?.transport !== 'streamable-http') return undefined
    return await readCard({ backend, limits: this.#limits, signal })
  }

  /** Cuts every connection. */
  close(reason: Error): void {
    this.#isClosed = true
    for (const backend of this.#opened.values()) closeBackend(backend, reason)
  }

  async #look(signal: AbortSignal): Promise<{ look: RemoteLook; met: Met | undefined }> {
    const wasDoubted = this.#isDoubted
    if (this.#proven !== undefined && !wasDoubted) {
      const look = await this.#lookAgain(this.#proven, signal)
      this.#isDoubted = look.kind === 'failing'
      // Some know no question at all, and answer a handshake.
      if (look.code !== 'not-mcp') return { look, met: undefined }
    }
    const { backend, look, knowsLegacy } = await this.#meet(signal)
    const isNew = wasDoubted || backend !== this.#proven
    if (look.kind === 'alive') {
      this.#proven = backend
      this.#isDoubted = false
      // Modern servers have no sessions, and over the old transport nobody names one.
      if (isNew) this.#asker = knowsLegacy && backend.transport !== 'sse' ? 'nobody' : 'newcomer'
    }
    // Taken into use once for whoever brings a login, and for good when it has answered us.
    const isTaken = (look.kind === 'alive' && isNew) || (look.kind === 'denied' && !this.#isUsed)
    if (isTaken) this.#isUsed = true
    return { look, met: isTaken ? { backend, knowsLegacy } : undefined }
  }

  /** A gateway may refuse whoever is not known, in words of its own: only a newcomer can tell what that means. */
  async #lookAgain(backend: HttpBackend, signal: AbortSignal): Promise<RemoteLook> {
    const options = { backend, limits: this.#limits, signal }
    const look = await lookAtRemote({ ...options, asker: this.#asker })
    if (this.#asker === 'newcomer' || (look.kind !== 'denied' && look.code !== 'not-mcp')) return look
    const second = await lookAtRemote({ ...options, asker: 'newcomer' })
    // Asked as nobody again, it would have a good token renewed with each probe.
    if (second.kind === 'alive') this.#asker = 'newcomer'
    return second
  }

  async #meet(signal: AbortSignal): Promise<Acquaintance & { backend: HttpBackend }> {
    const { transport } = this.connection
    const backend = await this.#open(transport === 'auto' ? 'streamable-http' : transport)
    const options = { limits: this.#limits, era: this.#era, signal }
    const met = await meetRemote({ ...options, backend })
    // Only what answers, and not as a Streamable HTTP server, may be one of the old transport.
    if (transport !== 'auto' || met.look.code !== 'not-mcp') return { ...met, backend }
    const older = await this.#open('sse')
    const second = await meetRemote({ ...options, backend: older })
    return second.look.kind === 'failing' ? { ...met, backend } : { ...second, backend: older }
  }

  async #open(transport: HttpBackend['transport']): Promise<HttpBackend> {
    const known = this.#opened.get(transport)
    if (known !== undefined) return known
    const backend = await openBackend({ ...this.connection, transport }, this.#limits)
    this.#opened.set(transport, backend)
    if (this.#isClosed) closeBackend(backend, new Error('the proxy is closed'))
    return backend
  }
}
