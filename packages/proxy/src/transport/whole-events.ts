import type { Hold } from '../held-bytes.ts'

/**
 * Cuts an event stream at the ends of its events without reading them, so that
 * nothing else is ever put into the middle of one. An event above the limit, or for
 * which there is no room, is let through in pieces, and `isWhole` says so meanwhile.
 */
export class WholeEvents {
  readonly #limitBytes: number
  readonly #hold: Hold
  #held: Buffer[] = []
  #heldBytes = 0
  #isLineEmpty = true
  #lastWasReturn = false
  #isWhole = true
  #lastId = ''

  /** `hold` counts what is kept; `restart` gives it back. */
  constructor(limitBytes: number, hold: Hold) {
    this.#limitBytes = limitBytes
    this.#hold = hold
  }

  /** Whether what was handed out so far ends with an event. */
  get isWhole(): boolean {
    return this.#isWhole
  }

  /** The id of the last event handed out; empty without. */
  get lastId(): string {
    return this.#lastId
  }

  /** The bytes of all events that are complete now. */
  push(chunk: Buffer): Buffer {
    const end = this.#endOfLastEvent(chunk)
    if (end === -1) {
      if (this.#keep(chunk)) return nothing
      this.#isWhole = false
      return this.#take([chunk])
    }
    const bytes = this.#take([chunk.subarray(0, end)])
    this.#isWhole = true
    this.#noteId(bytes)
    const rest = chunk.subarray(end)
    if (rest.length === 0 || this.#keep(rest)) return bytes
    this.#isWhole = false
    return Buffer.concat([bytes, rest])
  }

  /** The bytes of the event that is not complete. */
  rest(): Buffer {
    return this.#take([])
  }

  /** Forgets an event that will never be complete, because its stream was cut. */
  restart(): void {
    this.#take([])
    this.#isLineEmpty = true
    this.#lastWasReturn = false
  }

  #keep(part: Buffer): boolean {
    if (this.#heldBytes + part.length > this.#limitBytes || !this.#hold.tryAdd(part.length)) return false
    this.#held.push(part)
    this.#heldBytes += part.length
    return true
  }

  #take(more: Buffer[]): Buffer {
    const parts = [...this.#held, ...more]
    this.#held = []
    this.#heldBytes = 0
    this.#hold.release()
    return parts.length === 1 ? (parts[0] ?? nothing) : Buffer.concat(parts)
  }

  #endOfLastEvent(chunk: Buffer): number {
    let end = -1
    for (let index = 0; index < chunk.length; index += 1) {
      const byte = chunk[index]
      const isSecondHalf = byte === lineFeed && this.#lastWasReturn
      this.#lastWasReturn = byte === carriageReturn
      if (isSecondHalf) {
        if (end === index) end = index + 1
        continue
      }
      if (byte !== lineFeed && byte !== carriageReturn) {
        this.#isLineEmpty = false
        continue
      }
      if (this.#isLineEmpty) end = index + 1
      this.#isLineEmpty = true
    }
    return end
  }

  #noteId(bytes: Buffer): void {
    if (!bytes.includes('id:')) return
    for (const [, id] of bytes.toString('latin1').matchAll(/(?:^|[\r\n])id: ?([^\r\n\0]*)/g)) this.#lastId = id ?? ''
  }
}

const nothing = Buffer.alloc(0)
const lineFeed = 0x0a
const carriageReturn = 0x0d
