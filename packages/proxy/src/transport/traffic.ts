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
  #calls = 0
  /** Pieces of answers that came so far: signs of life of the server. */
  heard = 0

  /** All of them, also event streams. */
  get exchanges(): number {
    return this.#exchanges
  }

  /** Those in which a client waits for what it asked for, whatever the answer looks like. */
  get calls(): number {
    return this.#calls
  }

  /** Counts one in. */
  begin(isCall: boolean): void {
    this.#exchanges += 1
    if (isCall) this.#calls += 1
  }

  /** Counts one out. */
  end(exchange: OpenStream, isCall: boolean): void {
    this.#exchanges -= 1
    if (isCall) this.#calls -= 1
    this.streams.delete(exchange)
  }
}
