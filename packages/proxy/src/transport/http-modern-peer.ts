import { encodeHeaderValue } from '../mcp/header-value.ts'
import { isRecord, param, parseText, type Message } from '../mcp/message.ts'
import { metaOf } from '../mcp/envelope.ts'
import { metaKeys } from '../mcp/meta-keys.ts'
import { nameSourceOf } from '../mcp/modern-methods.ts'
import { modernRevision } from '../mcp/revision.ts'
import { ToolHeaderIndex } from '../mcp/tool-headers.ts'
import { Call } from './call.ts'
import { tooLargeError } from './call-errors.ts'
import { Conversation } from './conversation.ts'
import type { AnswerEnd, HttpAnswer } from './http-answer.ts'
import { HttpChannel, type HttpPeerOptions } from './http-channel.ts'
import { errorCodeIn, lostError, refusesLikeLegacy, refuseWithAnswer } from './http-outcome.ts'
import { buildOwnRequest } from './server-handshake.ts'
import type { ServerPeer, ServerPeerDeps } from './server-peer.ts'

/** What a Modern peer is made of. */
export interface HttpModernPeerOptions extends HttpPeerOptions {
  /** The server answered like one of the Legacy era. */
  contradicted(): void
}

/**
 * A server that speaks Streamable HTTP of the Modern era: one POST for each call,
 * with the headers that repeat its body. The bodies it is given have their envelope.
 */
export class HttpModernPeer implements ServerPeer {
  readonly #deps: ServerPeerDeps
  readonly #options: HttpModernPeerOptions
  readonly #channel: HttpChannel
  readonly #conversation: Conversation
  readonly #tools: ToolHeaderIndex
  readonly #answers = new Map<Call, HttpAnswer>()
  #refresh: Promise<void> | undefined

  constructor(options: HttpModernPeerOptions, deps: ServerPeerDeps) {
    this.#deps = deps
    this.#options = options
    this.#channel = new HttpChannel(options, deps.limits)
    this.#tools = new ToolHeaderIndex(deps.limits.annotatedTools)
    this.#conversation = new Conversation(deps, {
      carry: (text, call) => this.#carry(text, call),
      notify: (text) => this.notify(text),
      giveUp: (call) => this.#abort(call),
    })
  }

  /** Nothing to listen to: this era has no stream outside of a call. */
  open(): void {
    return
  }

  /** Calls without an answer. */
  get inFlight(): number {
    return this.#conversation.inFlight
  }

  /** Messages of the server so far. */
  get heard(): number {
    return this.#conversation.heard
  }

  /** Sends one call; see `ServerPeer.send`. */
  send(call: Call, timeoutMs?: number): void {
    this.#conversation.send(call, timeoutMs)
  }

  /** Posts one text that needs no answer. False when there was no room for it. */
  notify(line: string): boolean {
    if (this.#conversation.isClosed || !this.#channel.hasRoomFor(line)) return false
    const parsed = parseText(line)
    // The server asks nothing in this era, so there is nothing to respond to.
    if (parsed.kind !== 'message' || parsed.message.kind !== 'notification') return false
    this.#channel.post(line, this.#headersFor(parsed.message), { event: () => undefined, ended: () => undefined })
    return true
  }

  /** Ends the call without a response; the server sees its request end. */
  cancel(call: Call, reason: string | undefined): void {
    this.#conversation.cancel(call, reason)
  }

  /** Ends everything: every call in flight is refused, because it may have run. */
  close(reason: string): void {
    if (!this.#conversation.close(reason)) return
    this.#answers.clear()
    this.#channel.close()
  }

  #carry(text: string, call: Call): boolean {
    const parsed = parseText(text)
    if (parsed.kind !== 'message' || !this.#channel.hasRoomFor(text)) return false
    this.#post(call, parsed.message, true)
    return true
  }

  #post(call: Call, request: Message, mayRepeat: boolean): void {
    const answer = this.#channel.post(request.text, this.#headersFor(request), {
      event: (data) => this.#receive(data, call),
      ended: (end) => {
        this.#answers.delete(call)
        if (!call.settled) this.#ended({ call, request, mayRepeat }, end, answer)
      },
    })
    this.#answers.set(call, answer)
  }

  #ended(sent: Sent, end: AnswerEnd, { status }: HttpAnswer): void {
    const { call, request, mayRepeat } = sent
    const { name, limits } = this.#deps
    if (end.kind === 'refused') return this.#conversation.refuse(call, end.by.tell(name))
    if (end.kind === 'too-large') return this.#conversation.refuse(call, tooLargeError(limits.lineBytes))
    if (end.kind !== 'body') {
      return this.#conversation.refuse(call, lostError(name, end.kind === 'stream' || end.wasSent))
    }
    // The server compared headers and body before it did anything, so the call may be sent again.
    if (mayRepeat && request.method === 'tools/call' && errorCodeIn(end.text) === headerMismatch) {
      return void this.#repeat(call, request)
    }
    if (refusesLikeLegacy(status, end.text)) this.#options.contradicted()
    this.#receive(end.text, call)
    if (!call.settled) refuseWithAnswer(this.#conversation, call, { name, status, text: end.text })
  }

  #receive(text: string, call: Call): void {
    const parsed = parseText(text)
    if (parsed.kind !== 'message') return
    const { message } = parsed
    if (message.kind === 'notification' && message.method !== 'notifications/progress') {
      // It came with the answer to this call, so it is about it, and nobody else's to see. Only a subscription is shared.
      const isTaken = call.settled || call.sink.related(message.text)
      if (!isTaken && call.method === 'subscriptions/listen') this.#conversation.receive(message)
      return
    }
    const { result } = message.value
    if (isRecord(result) && result['resultType'] === undefined) this.#options.contradicted()
    this.#conversation.receive(call.method === 'tools/list' ? this.#learn(message) : message)
    const answer = this.#answers.get(call)
    if (call.settled && answer !== undefined) this.#channel.leave(answer)
  }

  #learn(message: Message): Message {
    const { text, dropped } = this.#tools.learn(message)
    if (dropped.length === 0) return message
    this.#deps.log('warn', 'left out tools whose x-mcp-header annotations break the rules', { tools: dropped })
    const parsed = parseText(text)
    return parsed.kind === 'message' ? parsed.message : message
  }

  async #repeat(call: Call, request: Message): Promise<void> {
    this.#refresh ??= this.#learnAgain(request).finally(() => (this.#refresh = undefined))
    await this.#refresh
    if (!call.settled && !this.#conversation.isClosed) this.#post(call, request, false)
  }

  /** Reads the tool list of the server, with the envelope of the call that needs it. Never rejects. */
  async #learnAgain(request: Message): Promise<void> {
    const { progressToken: _, ...meta } = metaOf(request) ?? {}
    let cursor: unknown
    for (let page = 0; page < this.#deps.limits.toolPages; page += 1) {
      const params = cursor === undefined ? { _meta: meta } : { _meta: meta, cursor }
      const answer = await this.#ask('tools/list', JSON.stringify(params))
      cursor = isRecord(answer) ? answer['nextCursor'] : undefined
      if (typeof cursor !== 'string') return
    }
  }

  #ask(method: string, paramsText: string): Promise<unknown> {
    return new Promise((resolve) => {
      const sink = {
        progress: () => undefined,
        related: () => false,
        response: (text: string) => {
          const parsed = parseText(text)
          resolve(parsed.kind === 'message' ? parsed.message.value['result'] : undefined)
        },
        refused: () => resolve(undefined),
        cancelled: () => resolve(undefined),
      }
      this.#conversation.send(new Call(buildOwnRequest(method, paramsText), sink))
    })
  }

  #headersFor(message: Message): string[] {
    const claimed = metaOf(message)?.[metaKeys.version]
    const headers = ['mcp-protocol-version', typeof claimed === 'string' ? claimed : modernRevision]
    headers.push('mcp-method', encodeHeaderValue(message.method))
    const source = nameSourceOf(message.method)
    const name = source === undefined ? undefined : param(message, source)
    if (typeof name !== 'string') return headers
    headers.push('mcp-name', encodeHeaderValue(name))
    if (message.method === 'tools/call') headers.push(...this.#tools.headersFor(name, param(message, 'arguments')))
    return headers
  }

  #abort(call: Call): void {
    const answer = this.#answers.get(call)
    this.#answers.delete(call)
    if (answer !== undefined) this.#channel.abort(answer)
  }
}

/** One call on its way. */
interface Sent {
  readonly call: Call
  readonly request: Message
  readonly mayRepeat: boolean
}

const headerMismatch = -32020
