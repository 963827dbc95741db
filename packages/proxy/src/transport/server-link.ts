import { ProxyError, type WireError } from '../errors.ts'
import type { HeldBytes } from '../held-bytes.ts'
import type { ProxyLimits } from '../limits.ts'
import type { Message } from '../mcp/message.ts'
import type { Era } from '../mcp/revision.ts'
import type { ProxyLog } from '../proxy-config.ts'
import type { Call } from './call.ts'
import { memoryError } from './call-errors.ts'
import { shakeHands, type Handshake } from './server-handshake.ts'
import type { CreatePeer, ServerPeer } from './server-peer.ts'
import { ServerQuestion, type QuestionResult } from './server-question.ts'

/** What a link needs and reports. */
export interface ServerLinkDeps {
  readonly name: string
  readonly limits: ProxyLimits
  readonly log: ProxyLog
  readonly held: HeldBytes
  notified(message: Message): void
  /** A server is ready; called before the calls that waited are sent. */
  attached(peer: ServerPeer, handshake: Handshake, isFirst: boolean): void
}

/** Someone who needs a ready server: exactly one of both is called. */
interface Waiter {
  ready(peer: ServerPeer, handshake: Handshake): void
  refused(error: WireError): void
  /** What it holds while it waits. */
  readonly bytes: number
  timer: NodeJS.Timeout | undefined
}

/**
 * The way to one server across its restarts. Sessions hold a link and never a
 * peer: while the server is away calls wait here, for a bounded time.
 */
export class ServerLink {
  readonly #deps: ServerLinkDeps
  readonly #waiters = new Set<Waiter>()
  #peer: ServerPeer | undefined
  #handshake: Handshake | undefined
  #question: ServerQuestion | undefined
  #wasAttached = false
  #isClosed = false

  constructor(deps: ServerLinkDeps) {
    this.#deps = deps
  }

  /** The answer of the attached server, undefined while there is none. */
  get handshake(): Handshake | undefined {
    return this.#handshake
  }

  /** Calls sent or waiting; the question whether the server lives is none. */
  get inFlight(): number {
    const own = this.#question?.isOpen === true ? 1 : 0
    return this.#waiters.size + (this.#peer?.inFlight ?? 0) - own
  }

  /** Messages of the attached server so far. */
  get heard(): number {
    return this.#peer?.heard ?? 0
  }

  /** Asks the server whether it lives, beside the calls. Undefined while there is none. */
  async ask(signal: AbortSignal): Promise<QuestionResult | undefined> {
    const question = this.#question
    const result = await question?.ask(this.#deps.limits.healthTimeoutMs, signal)
    return question === this.#question ? result : undefined
  }

  /** Sends a call now, or as soon as a server is there. */
  send(call: Call): void {
    if (this.#deps.held.isFull) return call.refuse(memoryError)
    if (this.#handshake !== undefined && this.#peer !== undefined) return deliver(call, this.#peer, this.#handshake)
    const waiter: Waiter = {
      ready: (peer, handshake) => deliver(call, peer, handshake),
      refused: (error) => call.refuse(error),
      bytes: call.bytes,
      timer: undefined,
    }
    call.released = () => this.#drop(waiter)
    this.#wait(waiter)
  }

  /**
   * Calls back with the server's handshake, now or as soon as a server is there. `bytes` is
   * what is kept meanwhile. The returned function ends the wait of a client that left.
   */
  whenReady(ready: (handshake: Handshake) => void, refused: (error: WireError) => void, bytes = 0): () => void {
    if (this.#handshake !== undefined) {
      ready(this.#handshake)
      return () => undefined
    }
    const waiter: Waiter = { ready: (_, handshake) => ready(handshake), refused, bytes, timer: undefined }
    this.#wait(waiter)
    return () => void this.#drop(waiter)
  }

  /** Passes a notification on. It is dropped while no server is there: it would be about another server's life. */
  notify(line: string): void {
    if (this.#handshake !== undefined) this.#peer?.notify(line)
  }

  /** Ends a call without a response, and tells the server when it knows the call. */
  cancel(call: Call, reason: string | undefined): void {
    if (call.hopId === 0) call.abandon()
    else this.#peer?.cancel(call, reason)
  }

  /**
   * Takes a server into use. `lost` resolves when its streams are gone.
   * @throws ProxyError see `Proxy.attach`
   */
  async attach(
    createPeer: CreatePeer,
    era: Era | 'auto',
    signal: AbortSignal,
  ): Promise<{ handshake: Handshake; lost: Promise<string> }> {
    if (this.#isClosed) throw new ProxyError('closed', 'the proxy is closed')
    this.detach('another server takes its place')
    let lose: (reason: string) => void = () => undefined
    const lost = new Promise<string>((resolve) => {
      lose = resolve
    })
    const peer: ServerPeer = createPeer({
      ...this.#deps,
      returned: (call) => this.send(call),
      lost: (reason) => {
        if (this.#peer === peer) this.detach(reason)
        lose(reason)
      },
    })
    this.#peer = peer
    peer.open()
    try {
      const handshake = await bounded(shakeHands(peer, era), this.#deps.limits.attachTimeoutMs, signal)
      if (this.#peer !== peer) throw new ProxyError('server-gone', 'the server stopped during the handshake')
      this.#handshake = handshake
      this.#question = new ServerQuestion(peer, handshake)
      this.#release(peer, handshake)
      return { handshake, lost }
    } catch (error) {
      if (this.#peer === peer) this.#peer = undefined
      peer.close('the handshake failed')
      throw error
    }
  }

  /** Gives the server up. */
  detach(reason: string): void {
    const peer = this.#peer
    this.#peer = undefined
    this.#handshake = undefined
    this.#question = undefined
    peer?.close(reason)
  }

  /** Gives everything up. */
  close(): void {
    this.#isClosed = true
    this.detach('the proxy is closing')
    for (const waiter of this.#waiters) this.#refuse(waiter)
  }

  #release(peer: ServerPeer, handshake: Handshake): void {
    this.#deps.attached(peer, handshake, !this.#wasAttached)
    this.#wasAttached = true
    for (const waiter of this.#waiters) {
      this.#drop(waiter)
      waiter.ready(peer, handshake)
    }
  }

  #wait(waiter: Waiter): void {
    if (this.#isClosed || this.#waiters.size >= this.#deps.limits.waitingCalls) return waiter.refused(this.#absent())
    if (!this.#deps.held.tryAdd(waiter.bytes)) return waiter.refused(memoryError)
    waiter.timer = setTimeout(() => this.#refuse(waiter), this.#deps.limits.backendWaitMs)
    this.#waiters.add(waiter)
  }

  #refuse(waiter: Waiter): void {
    if (this.#drop(waiter)) waiter.refused(this.#absent())
  }

  #drop(waiter: Waiter): boolean {
    if (!this.#waiters.delete(waiter)) return false
    clearTimeout(waiter.timer)
    this.#deps.held.remove(waiter.bytes)
    return true
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

function deliver(call: Call, peer: ServerPeer, handshake: Handshake): void {
  call.meet(handshake)
  peer.send(call)
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
