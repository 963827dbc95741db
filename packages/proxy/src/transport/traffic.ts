/** An answer that lasts. */
export interface OpenStream {
  /** Ends it from our side. */
  cut(): void
}

/**
 * The exchanges under way. They are counted and not listed: the tables of a Set that every request
 * enters and leaves keep one another, and with them the exchanges that have ended, until V8 collects
 * its old generation. Copying those cost more than the rest of our work for a small request.
 */
export class Traffic {
  /** Those whose answer is an event stream: few, and they last. */
  readonly streams = new Set<OpenStream>()
  #exchanges = 0

  /** All of them, also event streams. */
  get exchanges(): number {
    return this.#exchanges
  }

  /** Counts one in. */
  begin(): void {
    this.#exchanges += 1
  }

  /** Counts one out. */
  end(exchange: OpenStream): void {
    this.#exchanges -= 1
    this.streams.delete(exchange)
  }
}
