/**
 * Cuts an event stream at the ends of its events without reading them, so that
 * nothing else is ever put into the middle of one. An event above the limit is
 * let through in pieces, and `isWhole` says so meanwhile.
 */
export class WholeEvents {
  readonly #limitBytes: number
  #held: Buffer[] = []
  #heldBytes = 0
  #isLineEmpty = true
  #lastWasReturn = false
  #isWhole = true
  #lastId = ''

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
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
      this.#held.push(chunk)
      this.#heldBytes += chunk.length
      if (this.#heldBytes <= this.#limitBytes) return nothing
      this.#isWhole = false
      return this.#take([])
    }
    const bytes = this.#take([chunk.subarray(0, end)])
    if (end < chunk.length) {
      this.#held.push(chunk.subarray(end))
      this.#heldBytes = chunk.length - end
    }
    this.#isWhole = true
    this.#noteId(bytes)
    return bytes
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

  #take(more: Buffer[]): Buffer {
    const parts = [...this.#held, ...more]
    this.#held = []
    this.#heldBytes = 0
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
