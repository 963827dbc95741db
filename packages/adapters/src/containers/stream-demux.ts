/** A piece of what a container wrote. Pieces are not lines, and a frame may come in many of them. */
export interface OutputPiece {
  stream: 'stdout' | 'stderr'
  bytes: Buffer
}

const headerBytes = 8

/**
 * Takes apart the stream of an attached container or its logs: frames of one byte for
 * the stream, three zero bytes, four bytes of length, and the payload. Payload is handed
 * on as it comes, so a frame of any length needs no memory. Throws when a header makes
 * no sense: the stream is then something else (a container with a terminal, an error
 * text), and nothing after it can be trusted.
 */
export class StreamDemux {
  readonly #header = Buffer.alloc(headerBytes)
  #filled = 0
  #stream: OutputPiece['stream'] | undefined
  #left = 0

  /** Whether the last frame is complete: an end of the stream here is a proper one. */
  get isAtBoundary(): boolean {
    return this.#filled === 0 && this.#left === 0
  }

  /** The payload in the next bytes of the stream. */
  push(chunk: Buffer): OutputPiece[] {
    const pieces: OutputPiece[] = []
    let rest = chunk
    while (rest.length > 0) {
      if (this.#left === 0) {
        rest = this.#readHeader(rest)
        continue
      }
      const bytes = rest.subarray(0, this.#left)
      this.#left -= bytes.length
      rest = rest.subarray(bytes.length)
      if (this.#stream !== undefined) pieces.push({ stream: this.#stream, bytes })
    }
    return pieces
  }

  #readHeader(chunk: Buffer): Buffer {
    const taken = chunk.copy(this.#header, this.#filled, 0, headerBytes - this.#filled)
    this.#filled += taken
    if (this.#filled === headerBytes) {
      this.#filled = 0
      const kind = this.#header.readUInt8(0)
      if (kind >= streams.length || this.#header.readUIntBE(1, 3) !== 0) {
        throw new Error('the output of the container is not in frames')
      }
      this.#stream = streams[kind]
      this.#left = this.#header.readUInt32BE(4)
    }
    return chunk.subarray(taken)
  }
}

/** By the first byte of a frame. What is echoed of the input is nobody's output. */
const streams: readonly (OutputPiece['stream'] | undefined)[] = [undefined, 'stdout', 'stderr']
