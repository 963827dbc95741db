import type { ReplyHead, ReplyTaker } from './upstream.ts'

/** How a server is watched for having forgotten a session. */
export interface ForgottenWatchOptions {
  readonly taker: ReplyTaker
  /** Takes the session up again; false when that is not to be done, and the answer stands. */
  readonly retake: () => boolean
  /** Answers above this size are no refusal of a session. */
  readonly limitBytes: number
}

/**
 * Stands before the taker of an answer to a request of a session. The protocol has 404 for a session that the server has
 * forgotten, but the examples of the SDKs, and with them most servers, say 400 and tell it in words. So a 400 is held until
 * it is whole; everything else passes.
 */
export class ForgottenWatch implements ReplyTaker {
  readonly #options: ForgottenWatchOptions
  #held: ReplyHead | undefined
  #chunks: Buffer[] = []
  #bytes = 0
  #isDropped = false

  constructor(options: ForgottenWatchOptions) {
    this.#options = options
  }

  head(head: ReplyHead): boolean {
    if (head.status !== 400) return this.#options.taker.head(head)
    this.#held = head
    return true
  }

  data(chunk: Buffer): boolean {
    if (this.#held === undefined) return this.#isDropped || this.#options.taker.data(chunk)
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    return this.#bytes <= this.#options.limitBytes || this.#release(this.#held)
  }

  end(): void {
    if (this.#held !== undefined) {
      if (saysForgotten(Buffer.concat(this.#chunks).toString('utf8')) && this.#options.retake()) return
      this.#release(this.#held)
    }
    if (!this.#isDropped) this.#options.taker.end()
  }

  fail(error: Error, wasSent: boolean): void {
    this.#held = undefined
    if (!this.#isDropped) this.#options.taker.fail(error, wasSent)
  }

  /** Passes on what was held. */
  #release(head: ReplyHead): boolean {
    const chunks = this.#chunks
    this.#held = undefined
    this.#chunks = []
    this.#isDropped = !this.#options.taker.head(head)
    // Who cannot take one piece for now takes the rest nevertheless: it is bounded.
    return this.#isDropped || chunks.map((chunk) => this.#options.taker.data(chunk)).every(Boolean)
  }
}

/** Whether a refusal says it: `No valid session ID provided`, `Invalid session ID`, `Server not initialized` and their kin. */
export function saysForgotten(text: string): boolean {
  return /\bsession\b|not initialized/i.test(text)
}
