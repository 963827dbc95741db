import type { Refusal } from '../proxy-config.ts'
import type { HttpBackend } from './http-backend.ts'

/** A place in the queue. Leaving twice is harmless. */
export interface GateTicket {
  readonly leave: () => void
}

/** The backend of the moment, and the requests that wait for the next one. */
export class BackendGate {
  readonly #waiting = new Set<() => void>()
  #current: HttpBackend | undefined
  #refusal: Refusal | undefined

  /** The backend in use, undefined while there is none. */
  get current(): HttpBackend | undefined {
    return this.#current
  }

  /** Why no request may pass, although there may be a backend. */
  get refusal(): Refusal | undefined {
    return this.#refusal
  }

  /** Lets no request pass from now on, also none that waits; undefined lets them pass again. */
  refuse(refusal: Refusal | string | undefined): void {
    this.#refusal = typeof refusal === 'string' ? { message: refusal } : refusal
    this.wakeAll()
  }

  /** Requests that wait. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** Takes a backend into use, or none, and wakes everybody who waits for one. */
  set(backend: HttpBackend | undefined): void {
    this.#current = backend
    if (backend !== undefined) this.wakeAll()
  }

  /** Wakes everybody, because nothing will come any more. */
  wakeAll(): void {
    // Whoever is woken may queue again, and must not be woken twice.
    const waiting = [...this.#waiting]
    for (const wake of waiting) wake()
  }

  /** Calls `done` once: when a backend is set, or after the time. The caller bounds how many wait. */
  wait(milliseconds: number, done: () => void): GateTicket {
    const leave = (): void => {
      clearTimeout(timer)
      this.#waiting.delete(wake)
    }
    const wake = (): void => {
      leave()
      done()
    }
    const timer = setTimeout(wake, milliseconds)
    this.#waiting.add(wake)
    return { leave }
  }
}
