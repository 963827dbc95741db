import type { Handshake } from './server-handshake.ts'
import { Call } from './call.ts'
import { buildDiscover, buildOwnRequest } from './server-handshake.ts'
import type { ServerPeer } from './server-peer.ts'

/** How one wait for an answer ended. */
export type QuestionResult = 'answered' | 'heard' | 'silent' | 'refused'

/**
 * The question to one server whether it lives: `ping`, or `server/discover` where there is no ping. There is one at a time. One
 * that was not answered in time is not given up and not repeated: what is late counts, and a server that reads nothing
 * finds one line when it wakes up.
 */
export class ServerQuestion {
  readonly #peer: ServerPeer
  readonly #handshake: Handshake
  #asked: Promise<'answered' | 'refused'> | undefined
  #isOpen = false

  constructor(peer: ServerPeer, handshake: Handshake) {
    this.#peer = peer
    this.#handshake = handshake
  }

  /** Whether an answer is awaited. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Waits for an answer, at most so long. Anything else that the server says meanwhile is a sign of life too. */
  async ask(timeoutMs: number, signal: AbortSignal): Promise<QuestionResult> {
    const heard = this.#peer.heard
    this.#asked ??= this.#send().finally(() => {
      this.#asked = undefined
    })
    const result = await within(this.#asked, timeoutMs, signal)
    if (result !== undefined) return result
    return this.#peer.heard > heard ? 'heard' : 'silent'
  }

  #send(): Promise<'answered' | 'refused'> {
    const { era } = this.#handshake
    return new Promise((resolve) => {
      const end = (result: 'answered' | 'refused') => (): void => {
        this.#isOpen = false
        resolve(result)
      }
      const call = new Call(era === 'modern' ? buildDiscover() : buildOwnRequest('ping', '{}'), {
        progress: () => undefined,
        related: () => false,
        // An error is an answer too: not every server knows the question.
        response: end('answered'),
        refused: end('refused'),
        cancelled: end('refused'),
      })
      this.#isOpen = true
      this.#peer.send(call, Infinity)
    })
  }
}

/** The result, or undefined after the time or an abort. Nothing stays behind. */
async function within<T>(work: Promise<T>, timeoutMs: number, signal: AbortSignal): Promise<T | undefined> {
  let stop: () => void = () => undefined
  const over = new Promise<undefined>((resolve) => {
    const abort = (): void => resolve(undefined)
    // A timer of a process that was starved comes before the answer that has long arrived.
    const timer = setTimeout(() => setImmediate(abort), timeoutMs)
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
    stop = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
    }
  })
  try {
    return await Promise.race([work, over])
  } finally {
    stop()
  }
}
