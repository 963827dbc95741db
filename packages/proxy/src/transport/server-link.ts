import type { Readable, Writable } from 'node:stream'
import { ProxyError, type WireError } from '../errors.ts'
import type { ProxyLimits } from '../limits.ts'
import type { Message } from '../mcp/message.ts'
import type { ProxyLog } from '../proxy-config.ts'
import type { Call } from './call.ts'
import { ServerConnection } from './server-connection.ts'
import { shakeHands, type Handshake } from './server-handshake.ts'

/** What a link needs and reports. */
export interface ServerLinkDeps {
  readonly name: string
  readonly limits: ProxyLimits
  readonly log: ProxyLog
  notified(message: Message): void
  /** A server is ready; called before the calls that waited are sent. */
  attached(connection: ServerConnection, handshake: Handshake, isFirst: boolean): void
}

/** Someone who needs a ready server: exactly one of both is called. */
interface Waiter {
  ready(connection: ServerConnection, handshake: Handshake): void
  refused(error: WireError): void
  timer: NodeJS.Timeout | undefined
}

/**
 * The way to one server across its restarts. Sessions hold a link and never a
 * connection: while the server is away calls wait here, for a bounded time.
 */
export class ServerLink {
  readonly #deps: ServerLinkDeps
  readonly #waiters = new Set<Waiter>()
  #connection: ServerConnection | undefined
  #handshake: Handshake | undefined
  #wasAttached = false
  #isClosed = false

  constructor(deps: ServerLinkDeps) {
    this.#deps = deps
  }

  /** The answer of the attached server, undefined while there is none. */
  get handshake(): Handshake | undefined {
    return this.#handshake
  }

  /** Calls sent or waiting. */
  get inFlight(): number {
    return this.#waiters.size + (this.#connection?.inFlight ?? 0)
  }

  /** Sends a call now, or as soon as a server is there. */
  send(call: Call): void {
    if (this.#handshake !== undefined && this.#connection !== undefined) return this.#connection.send(call)
    this.#wait({
      ready: (connection) => connection.send(call),
      refused: (error) => call.refuse(error),
      timer: undefined,
    })
  }

  /** Calls back with the server's handshake, now or as soon as a server is there. */
  whenReady(ready: (handshake: Handshake) => void, refused: (error: WireError) => void): void {
    if (this.#handshake !== undefined) return ready(this.#handshake)
    this.#wait({ ready: (_connection, handshake) => ready(handshake), refused, timer: undefined })
  }

  /** Passes a notification on. It is dropped while no server is there: it would be about another server's life. */
  notify(line: string): void {
    if (this.#handshake !== undefined) this.#connection?.notify(line)
  }

  /** Ends a call without a response, and tells the server when it knows the call. */
  cancel(call: Call, notification: Message): void {
    if (call.hopId !== 0) this.#connection?.cancel(call, notification)
    else if (call.settle()) call.sink.cancelled()
  }

  /**
   * Takes a server into use.
   * @throws ProxyError see `Proxy.attach`
   */
  async attach(streams: { input: Writable; output: Readable }, signal: AbortSignal): Promise<Handshake> {
    if (this.#isClosed) throw new ProxyError('closed', 'the proxy is closed')
    this.detach('another server takes its place')
    const connection: ServerConnection = new ServerConnection(streams, {
      ...this.#deps,
      lost: (reason) => {
        if (this.#connection === connection) this.detach(reason)
      },
    })
    this.#connection = connection
    connection.open()
    try {
      const handshake = await bounded(shakeHands(connection), this.#deps.limits.attachTimeoutMs, signal)
      if (this.#connection !== connection)
        throw new ProxyError('server-gone', 'the server stopped during the handshake')
      this.#handshake = handshake
      this.#release(connection, handshake)
      return handshake
    } catch (error) {
      if (this.#connection === connection) this.#connection = undefined
      connection.close('the handshake failed')
      throw error
    }
  }

  /** Gives the server up. */
  detach(reason: string): void {
    const connection = this.#connection
    this.#connection = undefined
    this.#handshake = undefined
    connection?.close(reason)
  }

  /** Gives everything up. */
  close(): void {
    this.#isClosed = true
    this.detach('the proxy is closing')
    for (const waiter of this.#waiters) this.#refuse(waiter)
  }

  #release(connection: ServerConnection, handshake: Handshake): void {
    this.#deps.attached(connection, handshake, !this.#wasAttached)
    this.#wasAttached = true
    for (const waiter of this.#waiters) {
      clearTimeout(waiter.timer)
      waiter.ready(connection, handshake)
    }
    this.#waiters.clear()
  }

  #wait(waiter: Waiter): void {
    if (this.#isClosed || this.#waiters.size >= this.#deps.limits.waitingCalls) return waiter.refused(this.#absent())
    waiter.timer = setTimeout(() => this.#refuse(waiter), this.#deps.limits.backendWaitMs)
    this.#waiters.add(waiter)
  }

  #refuse(waiter: Waiter): void {
    clearTimeout(waiter.timer)
    if (this.#waiters.delete(waiter)) waiter.refused(this.#absent())
  }

  #absent(): WireError {
    const { name } = this.#deps
    return {
      name: 'server-absent',
      message: `The server "${name}" is not running; the call was not sent`,
      data: { outcome: 'not-sent', backend: name },
    }
  }
}

async function bounded<T>(work: Promise<T>, timeoutMs: number, signal: AbortSignal): Promise<T> {
  let stop: () => void = () => undefined
  const guard = new Promise<never>((_resolve, reject) => {
    const cancel = (): void => reject(new ProxyError('cancelled', 'attaching the server was cancelled', signal.reason))
    const timer = setTimeout(() => {
      reject(new ProxyError('attach-timeout', `the server did not answer initialize within ${timeoutMs / 1000} s`))
    }, timeoutMs)
    if (signal.aborted) cancel()
    else signal.addEventListener('abort', cancel, { once: true })
    stop = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', cancel)
    }
  })
  try {
    return await Promise.race([work, guard])
  } finally {
    stop()
  }
}
