/** Receiver of whole lines. */
export interface LineHandler {
  line(text: string): void
  /** A line over the limit was dropped; its first and last bytes may tell what it was. */
  oversize(head: string, tail: string, bytes: number): void
}

/**
 * Cuts a byte stream into lines. It cuts bytes and decodes whole lines, so a
 * character that two chunks share is never damaged; it keeps the chunks of an
 * unfinished line in a list, so a long line costs one copy and not one per chunk.
 */
export class LineSplitter {
  readonly #limitBytes: number
  readonly #handler: LineHandler
  #chunks: Buffer[] = []
  #bytes = 0
  #head: Buffer | undefined

  constructor(limitBytes: number, handler: LineHandler) {
    this.#limitBytes = limitBytes
    this.#handler = handler
  }

  /** Takes the next bytes; calls the handler for every line that they complete. */
  push(chunk: Buffer): void {
    let from = 0
    for (;;) {
      const end = chunk.indexOf(0x0a, from)
      if (end === -1) break
      this.#finish(chunk.subarray(from, end))
      from = end + 1
    }
    if (from < chunk.length) this.#keep(from === 0 ? chunk : chunk.subarray(from))
  }

  /** Gives the last line, which had no line end. */
  flush(): void {
    if (this.#bytes > 0) this.#finish(Buffer.alloc(0))
  }

  #keep(part: Buffer): void {
    this.#bytes += part.length
    if (this.#head === undefined && this.#bytes <= this.#limitBytes) {
      this.#chunks.push(part)
      return
    }
    // The line is too long: keep only its two ends from here on.
    this.#head ??= Buffer.from(Buffer.concat([...this.#chunks, part]).subarray(0, sampleBytes))
    const end = Buffer.concat([...this.#chunks.slice(-2), part.subarray(-sampleBytes)])
    this.#chunks = [Buffer.from(end.subarray(-sampleBytes))]
  }

  #finish(part: Buffer): void {
    const isOversize = this.#head !== undefined || this.#bytes + part.length > this.#limitBytes
    if (isOversize && part.length > 0) this.#keep(part)
    const whole = this.#chunks.length === 0 ? part : Buffer.concat(isOversize ? this.#chunks : [...this.#chunks, part])
    const head = this.#head
    const bytes = this.#bytes
    this.#chunks = []
    this.#bytes = 0
    this.#head = undefined
    if (head !== undefined) this.#handler.oversize(decode(head), decode(whole), bytes)
    else this.#handler.line(decode(whole))
  }
}

/** Enough to find the id of a message, at whichever end the server writes it. */
const sampleBytes = 256

function decode(line: Buffer): string {
  const end = line.length > 0 && line[line.length - 1] === 0x0d ? line.length - 1 : line.length
  return line.toString('utf8', 0, end)
}
