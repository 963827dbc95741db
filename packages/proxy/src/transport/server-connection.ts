import { parseText, type ParsedText } from '../mcp/message.ts'
import type { Call } from './call.ts'
import { tooLargeError } from './call-errors.ts'
import { cancelledText, Conversation } from './conversation.ts'
import { NoiseLog } from './noise-log.ts'
import type { ServerPeer, ServerPeerDeps } from './server-peer.ts'
import { StdioChannel } from './stdio-channel.ts'
import type { Readable, Writable } from 'node:stream'

/** The life of one server process as a JSON-RPC peer: a conversation, line by line. */
export class ServerConnection implements ServerPeer {
  readonly #deps: ServerPeerDeps
  readonly #channel: StdioChannel
  readonly #conversation: Conversation
  readonly #noise: NoiseLog
  #wrappedLines = 0

  constructor(streams: { input: Writable; output: Readable }, deps: ServerPeerDeps) {
    this.#deps = deps
    this.#noise = new NoiseLog(deps.limits, deps.log)
    this.#conversation = new Conversation(deps, {
      carry: (text) => this.#channel.send(text),
      notify: (text) => this.notify(text),
      giveUp: (call, reason) => void this.notify(cancelledText(call, reason)),
    })
    this.#channel = new StdioChannel(streams, deps.limits, {
      line: (text) => this.#receive(text),
      oversize: (head, tail, bytes) => this.#receiveOversize(head, tail, bytes),
      closed: (reason) => this.#lose(reason),
      failed: (error) => this.#conversation.fail(error),
    })
  }

  /** Starts to read. */
  open(): void {
    this.#channel.open()
  }

  /** Calls without an answer. */
  get inFlight(): number {
    return this.#conversation.inFlight
  }

  /** Messages of the server so far. */
  get heard(): number {
    return this.#conversation.heard
  }

  /**
   * Sends one call. Its sink hears about everything that can happen from here on.
   * `timeoutMs` is Infinity for a caller that bounds the wait itself.
   */
  send(call: Call, timeoutMs?: number): void {
    this.#conversation.send(call, timeoutMs)
  }

  /** Sends a line that needs no answer. False when it could not be queued. */
  notify(line: string): boolean {
    return !this.#conversation.isClosed && this.#channel.send(line)
  }

  /** Tells the server about a client's cancellation, and ends the call without a response. */
  cancel(call: Call, reason: string | undefined): void {
    this.#conversation.cancel(call, reason)
  }

  /** Ends the life: every call in flight is refused, because it may have run. */
  close(reason: string): void {
    if (this.#conversation.isClosed) return
    this.#channel.close()
    this.#noise.flush()
    this.#conversation.close(reason)
  }

  #lose(reason: string): void {
    if (this.#conversation.isClosed) return
    this.#deps.lost(reason)
    this.close(reason)
  }

  #receive(text: string): void {
    if (text.trim() === '') return
    const parsed = this.#parse(text)
    if (parsed.kind === 'message') return this.#conversation.receive(parsed.message)
    if (parsed.kind === 'invalid') return this.#noise.skip(text, parsed.name)
    const { batchItems } = this.#deps.limits
    if (parsed.items.length > batchItems) this.#noise.skip(text, `a batch of more than ${batchItems} messages`)
    for (const item of parsed.items.slice(0, batchItems)) {
      const member = parseText(item)
      // How deep batches are nested is the server's choice, our stack is not: a batch in a batch is no message.
      if (member.kind === 'message') this.#conversation.receive(member.message)
      else this.#noise.skip(item, member.kind === 'batch' ? 'a batch inside a batch' : member.name)
    }
  }

  /** A message behind a log prefix, or between the escapes of a coloured log, is still a message. */
  #parse(text: string): ParsedText {
    const parsed = parseText(text)
    if (parsed.kind !== 'invalid' || parsed.name !== 'parse-error') return parsed
    const [start, end] = [text.indexOf('{'), text.lastIndexOf('}')]
    if (start === -1 || end <= start) return parsed
    const inner = parseText(text.slice(start, end + 1))
    if (inner.kind !== 'message') return parsed
    this.#wrappedLines += 1
    this.#deps.log('debug', 'took a message out of a line of the server', { lines: this.#wrappedLines })
    return inner
  }

  #receiveOversize(head: string, tail: string, bytes: number): void {
    const limitBytes = this.#deps.limits.lineBytes
    this.#deps.log('warn', 'dropped a line of the server that is too long', { bytes, limitBytes })
    // An id next to the outermost brace is the message's own, whatever lies between.
    const id = /^\{(?:"jsonrpc":"2\.0",)?"id":"?(\d+)"?,/.exec(head)?.[1] ?? /,"id":"?(\d+)"?\}\s*$/.exec(tail)?.[1]
    const call = this.#conversation.pending(id)
    if (call !== undefined) this.#conversation.refuse(call, tooLargeError(limitBytes))
  }
}
