import type { ServerResponse } from 'node:http'

/** Stops the flow of an answer while its client does not read, and cuts a client that has stopped reading. */
export class UnreadBound {
  readonly #res: ServerResponse
  readonly #limitMs: number
  #timer: NodeJS.Timeout | undefined

  constructor(res: ServerResponse, limitMs: number) {
    this.#res = res
    this.#limitMs = limitMs
  }

  /** Calls back when everything that was written has been read. Returns false, as whoever stops the flow does. */
  wait(drained: () => void): false {
    // An answer that is not read holds a connection to the server, and those are counted.
    this.#timer ??= setTimeout(() => this.#res.destroy(), this.#limitMs)
    this.#res.once('drain', () => {
      this.stop()
      drained()
    })
    return false
  }

  /** Forgets the client. */
  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
