import type { Chain } from '../chain.ts'
import { Hold } from '../held-bytes.ts'
import { idKey, parseText } from '../mcp/message.ts'
import type { AnswerContext } from '../middleware.ts'
import type { ForwardParts } from './forward-parts.ts'
import type { AskedRequests } from './pass-body.ts'
import { rewriteEvents } from './rewrite-events.ts'
import { isEventStream } from './sse-codec.ts'
import type { ReplyHead } from './upstream.ts'
import { WholeEvents } from './whole-events.ts'

/**
 * The answer of an HTTP server on its way through the chain. JSON is held until it
 * is whole, event streams pass event by event, and anything else as it is.
 */
export class SteppedAnswer {
  readonly #chain: Chain
  readonly #asked: AskedRequests | undefined
  readonly #limitBytes: number
  readonly #events: WholeEvents
  readonly #hold: Hold
  #kind: 'json' | 'events' | 'other' = 'other'
  #held: Buffer[] = []
  #heldBytes = 0

  /** Without `asked` it is a stream that may carry the answer to anything. */
  constructor({ chain, limits, held }: Pick<ForwardParts, 'chain' | 'limits' | 'held'>, asked?: AskedRequests) {
    this.#chain = chain
    this.#hold = new Hold(held)
    this.#asked = asked
    this.#limitBytes = limits.lineBytes
    this.#events = new WholeEvents(limits.lineBytes, this.#hold)
  }

  /** Whether nothing is sent on before the end, and the length may be another one then. */
  get isHeld(): boolean {
    return this.#kind === 'json'
  }

  /** Whether the length that the server told still holds. */
  get isUntouched(): boolean {
    return this.#kind === 'other'
  }

  /** Looks at the head. @throws TypeError for an answer that cannot be read because it is compressed */
  head({ headers }: ReplyHead): void {
    const { 'content-type': type = '', 'content-encoding': coding = 'identity' } = headers
    if (isEventStream(type)) this.#kind = 'events'
    else this.#kind = /^application\/(?:[\w.-]+\+)?json\b/i.test(type) ? 'json' : 'other'
    if (this.#kind !== 'other' && coding.toLowerCase() !== 'identity') {
      throw new TypeError('the server compressed its answer although it was asked not to')
    }
  }

  /** The bytes that may be sent on now. @throws RangeError above the limit */
  push(chunk: Buffer): Buffer {
    if (this.#kind === 'other') return chunk
    if (this.#kind === 'events') {
      const bytes = this.#events.push(chunk)
      if (!this.#events.isWhole) throw new RangeError(`an event is longer than ${this.#limitBytes} bytes`)
      return this.rewrite(bytes)
    }
    this.#heldBytes += chunk.length
    if (this.#heldBytes > this.#limitBytes) throw new RangeError(`the answer is longer than ${this.#limitBytes} bytes`)
    if (!this.#hold.tryAdd(chunk.length)) throw new RangeError('too much is waiting to be sent or read')
    this.#held.push(chunk)
    return nothing
  }

  /** The bytes that are left at the end. */
  end(): Buffer {
    if (this.#kind === 'events') return this.rewrite(this.#events.rest())
    const bytes = Buffer.concat(this.#held)
    this.close()
    const text = bytes.toString('utf8')
    const changed = this.#rewriteJson(text)
    return changed === text ? bytes : Buffer.from(changed)
  }

  /** The same for whole events. */
  rewrite(bytes: Buffer): Buffer {
    if (bytes.length === 0) return bytes
    const text = bytes.toString('utf8')
    const changed = rewriteEvents(text, (data) => this.#rewriteJson(data))
    return changed === text ? bytes : Buffer.from(changed)
  }

  /** Forgets what is held. */
  close(): void {
    this.#held = []
    this.#hold.release()
  }

  /** One message, or a batch of them; space or a byte order mark may stand before both. */
  #rewriteJson(text: string): string {
    if (!/^\s*\[/.test(text)) return this.#rewriteText(text)
    const parsed = parseText(text)
    if (parsed.kind !== 'batch') return text
    const { items } = parsed
    const changed = items.map((item) => this.#rewriteText(item))
    return changed.every((item, index) => item === items[index]) ? text : `[${changed.join(',')}]`
  }

  #rewriteText(text: string): string {
    return this.#chain.fromServer?.(text, this.#contextOf(text)) ?? text
  }

  #contextOf(text: string): AnswerContext {
    if (this.#asked === undefined) return anything
    const parsed = parseText(text)
    if (parsed.kind !== 'message') return anything
    const { value, idText } = parsed.message
    return this.#asked.get(idKey(value['id'], idText)) ?? anything
  }
}

const anything: AnswerContext = { method: '', idText: '' }
const nothing = Buffer.alloc(0)
