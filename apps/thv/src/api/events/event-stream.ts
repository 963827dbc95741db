import { apiLimits } from '../api-limits.ts'
import { eventFrame, keepAliveFrame } from './event-frame.ts'

/** Why the server ends a stream, and what the client is told. */
const endings = {
  'too-slow': 'events came faster than they were read; come back with the id of the last one',
  closing: 'the server is ending',
} as const

/** One client's stream of events: what it has not read yet waits here, bounded. */
export class EventStream {
  readonly body: ReadableStream<Uint8Array>
  readonly #encoder = new TextEncoder()
  readonly #backlogBytes: number
  /** What it begins with, then what came since. */
  #first: string[]
  #later: string[] = []
  #laterBytes = 0
  #isEnding = false
  #wake = (): void => {}

  /** `left` is called once, when everything was read after an end, or the client has gone. */
  constructor(first: readonly string[], left: () => void, backlogBytes: number = apiLimits.eventBacklogBytes) {
    this.#first = [...first]
    this.#backlogBytes = backlogBytes
    this.body = new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          await this.#something()
          const chunk = this.#take()
          if (chunk !== '') controller.enqueue(this.#encoder.encode(chunk))
          if (!this.#isEnding || this.#hasMore()) return
          controller.close()
          left()
        },
        cancel: () => {
          this.#isEnding = true
          this.#wake()
          left()
        },
      },
      { highWaterMark: 0 },
    )
  }

  /** Sends a frame. A client that reads too slowly is told to come back, and gets nothing more. */
  push(frame: string): void {
    if (this.#isEnding) return
    if (this.#laterBytes + frame.length > this.#backlogBytes) {
      this.#later = []
      this.end('too-slow')
      return
    }
    this.#later.push(frame)
    this.#laterBytes += frame.length
    this.#wake()
  }

  /** Shows that the stream lives; one with something to read does so anyway. */
  keepAlive(): void {
    if (!this.#hasMore()) this.push(keepAliveFrame)
  }

  /** Ends it after what is waiting. */
  end(reason: keyof typeof endings): void {
    if (this.#isEnding) return
    this.#isEnding = true
    this.#later.push(eventFrame({ event: 'end', data: { reason, message: endings[reason] } }))
    this.#wake()
  }

  async #something(): Promise<void> {
    if (this.#isEnding || this.#hasMore()) return
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
  }

  #hasMore(): boolean {
    return this.#first.length > 0 || this.#later.length > 0
  }

  /** Whole frames up to a chunk; a larger one goes alone. */
  #take(): string {
    let chunk = ''
    for (;;) {
      const from = this.#first.length > 0 ? this.#first : this.#later
      const frame = from[0]
      if (frame === undefined || (chunk !== '' && chunk.length + frame.length > apiLimits.streamChunkBytes))
        return chunk
      from.shift()
      if (from === this.#later) this.#laterBytes -= frame.length
      chunk += frame
    }
  }
}
