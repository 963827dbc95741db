import { limits, type Clock } from '@thv/core'

/** What shows that the machine slept, or moved to another network. */
export interface WakeDeps {
  clock: Clock
  /** A text that changes with the addresses of this machine. */
  network: () => string
}

/**
 * Notices, between two looks, that the machine was asleep or that its network changed. A clock that counts no sleep
 * falls behind the wall clock; one that does shows a timer that came far too late.
 */
export class WakeWatch {
  readonly #deps: WakeDeps
  #monotonicMs: number
  #wallMs: number
  #network: string

  constructor(deps: WakeDeps) {
    this.#deps = deps
    this.#monotonicMs = deps.clock.monotonicMs()
    this.#wallMs = deps.clock.now().getTime()
    this.#network = deps.network()
  }

  /** Whether that happened since the last look; `expectedMs`: how long ago that should be at most. */
  hasWoken(expectedMs: number): boolean {
    const { clock, network } = this.#deps
    const [monotonicMs, wallMs, addresses] = [clock.monotonicMs(), clock.now().getTime(), network()]
    const passedMs = monotonicMs - this.#monotonicMs
    const isBehind = wallMs - this.#wallMs - passedMs > limits.sleepMs
    const isLate = passedMs - expectedMs > limits.sleepMs
    const hasMoved = addresses !== this.#network
    this.#monotonicMs = monotonicMs
    this.#wallMs = wallMs
    this.#network = addresses
    return isBehind || isLate || hasMoved
  }
}
