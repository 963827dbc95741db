/**
 * One budget for everything the proxy keeps for peers that are slow or away: calls
 * that wait for a server, and answers and events that their clients do not read.
 */
export class HeldBytes {
  readonly #limitBytes: number
  #bytes = 0

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  /** What is held now. */
  get bytes(): number {
    return this.#bytes
  }

  /** Whether nothing more may be held. */
  get isFull(): boolean {
    return this.#bytes >= this.#limitBytes
  }

  /** Counts bytes in. False when they are too many; then nothing was counted. */
  tryAdd(bytes: number): boolean {
    if (this.#bytes + bytes > this.#limitBytes) return false
    this.#bytes += bytes
    return true
  }

  /** As {@link tryAdd}, for what can be done without: it gets at most half of the room. */
  tryAddSpare(bytes: number): boolean {
    return this.#bytes + bytes <= this.#limitBytes / 2 && this.tryAdd(bytes)
  }

  /** Counts bytes out. */
  remove(bytes: number): void {
    this.#bytes -= bytes
  }
}

/** What one owner has counted into the budget, given back as a whole. */
export class Hold {
  readonly #held: HeldBytes
  #bytes = 0

  constructor(held: HeldBytes) {
    this.#held = held
  }

  /** Counts bytes in. False when there is no room; then nothing was counted. */
  tryAdd(bytes: number): boolean {
    if (!this.#held.tryAdd(bytes)) return false
    this.#bytes += bytes
    return true
  }

  /** Gives everything back. */
  release(): void {
    this.#held.remove(this.#bytes)
    this.#bytes = 0
  }
}
