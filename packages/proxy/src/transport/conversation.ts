import { HopIds } from '../mcp/hop-ids.ts'
import { param, parseText, type Message } from '../mcp/message.ts'
import { prepareRequest, readdressResponse, replaceParam } from '../mcp/readdress.ts'
import type { WireError } from '../errors.ts'
import type { Call } from './call.ts'
import { busyError, stoppedError } from './call-errors.ts'
import type { ServerPeerDeps } from './server-peer.ts'

/** What takes the texts of a conversation to the server. */
export interface Carrier {
  /** Puts a call on its way. False when it cannot be queued. */
  carry(text: string, call: Call): boolean
  /** Sends a text that needs no answer. False when it cannot be queued. */
  notify(text: string): boolean
  /** Tells the server that nobody waits for the answer to a call any more. */
  giveUp(call: Call, reason: string | undefined): void
}

/**
 * What is the same in every conversation with a server, whatever carries it. It
 * mints the ids and progress tokens on the server's side, so that what clients
 * chose can never meet, and gives every answer back under the names its client chose.
 */
export class Conversation {
  readonly #deps: ServerPeerDeps
  readonly #carrier: Carrier
  readonly #pending = new Map<number, Call>()
  readonly #ids = new HopIds()
  #isClosed = false
  #heard = 0

  constructor(deps: ServerPeerDeps, carrier: Carrier) {
    this.#deps = deps
    this.#carrier = carrier
  }

  /** Calls without an answer. */
  get inFlight(): number {
    return this.#pending.size
  }

  /** Messages of the server so far. */
  get heard(): number {
    return this.#heard
  }

  /** Whether it is over. */
  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Sends one call; see `ServerPeer.send`. */
  send(call: Call, timeoutMs: number = this.#deps.limits.requestTimeoutMs): void {
    if (call.settled) return
    if (this.#isClosed) return call.refuse(stoppedError(this.#deps.name))
    if (this.#pending.size >= this.#deps.limits.inFlightCalls) return call.refuse(busyError('too many calls in flight'))
    const hopId = this.#ids.next((id) => this.#pending.has(id))
    if (!this.#carrier.carry(call.lineFor(hopId), call)) {
      return call.refuse(busyError('the server does not read its input'))
    }
    call.sent(hopId)
    if (timeoutMs !== Infinity) call.timer = setTimeout(() => this.#expire(call, timeoutMs), timeoutMs)
    this.#pending.set(hopId, call)
  }

  /** Takes a message of the server. Never throws: one bad message must not take the server of every client with it. */
  receive(message: Message): void {
    this.#heard += 1
    try {
      if (message.kind === 'response') this.#settle(message)
      else if (message.kind === 'request') this.#answer(message)
      else if (message.method === 'notifications/progress') this.#progress(message)
      else this.#deps.notified(message)
    } catch (error) {
      this.fail(error)
    }
  }

  /** Notes a fault of ours in delivering a message. */
  fail(error: unknown): void {
    this.#deps.log('error', 'a message of the server could not be delivered', { error: String(error) })
  }

  /** Tells the server about a client's cancellation, and ends the call without a response. */
  cancel(call: Call, reason: string | undefined): void {
    if (!this.#pending.delete(call.hopId)) return
    const sink = call.settle()
    if (sink === undefined) return
    this.#giveUp(call, reason)
    sink.cancelled()
  }

  /** The call that waits for an answer with this id. Some servers give ids and tokens back as text. */
  pending(id: unknown): Call | undefined {
    if (typeof id === 'string' && /^\d{1,10}$/.test(id)) return this.#pending.get(Number(id))
    return typeof id === 'number' ? this.#pending.get(id) : undefined
  }

  /** Ends a call to which no answer will come. */
  refuse(call: Call, error: WireError): void {
    if (this.#pending.delete(call.hopId)) call.refuse(error)
  }

  /** Lets go of a call that the server did not take, ready to be sent again. False when that is not possible. */
  giveBack(call: Call, text: string): boolean {
    const parsed = parseText(text)
    const request = parsed.kind === 'message' ? prepareRequest(parsed.message) : undefined
    const { hopId } = call
    if (this.#deps.returned === undefined || request === undefined || !call.takeBack(request)) return false
    this.#pending.delete(hopId)
    return true
  }

  /** Ends a call with an error of the server, given as JSON text. */
  reject(call: Call, errorText: string): void {
    if (!this.#pending.delete(call.hopId)) return
    call.settle()?.response(`{"jsonrpc":"2.0","id":${call.idText},"error":${errorText}}`, true)
  }

  /** Ends everything: every call in flight is refused, because it may have run. False when it was over before. */
  close(reason: string): boolean {
    if (this.#isClosed) return false
    this.#isClosed = true
    const calls = [...this.#pending.values()]
    this.#pending.clear()
    if (calls.length > 0) this.#deps.log('warn', 'calls lost their server', { calls: calls.length, reason })
    for (const call of calls) call.refuse(stoppedError(this.#deps.name))
    return true
  }

  #settle(message: Message): void {
    const id = message.value['id']
    const call = this.pending(id)
    if (call === undefined) return this.#deps.log('debug', 'the server answered a call that nobody waits for', { id })
    this.#pending.delete(call.hopId)
    call.settle()?.response(readdressResponse(message, call.idText), 'error' in message.value)
  }

  #answer(message: Message): void {
    if (message.method === 'ping') {
      this.#carrier.notify(`{"jsonrpc":"2.0","id":${message.idText},"result":{}}`)
      return
    }
    if (this.#deps.asked !== undefined) return this.#deps.asked(message)
    // The shared connection declared no client capability, so there is nobody to ask.
    this.#deps.log('debug', 'refused a request of the server', { method: message.method })
    const error = JSON.stringify({ code: -32601, message: `Method not found: ${message.method}` })
    this.#carrier.notify(`{"jsonrpc":"2.0","id":${message.idText},"error":${error}}`)
  }

  #progress(message: Message): void {
    const call = this.pending(param(message, 'progressToken'))
    if (call === undefined || call.tokenText === '') return
    call.timer?.refresh()
    const text = replaceParam(message, 'progressToken', call.tokenText)
    if (text !== undefined) call.sink.progress(text)
  }

  #expire(call: Call, timeoutMs: number): void {
    if (this.#deps.isHeldUp?.() === true) {
      call.timer = setTimeout(() => this.#expire(call, timeoutMs), timeoutMs)
      return
    }
    this.#pending.delete(call.hopId)
    const reason = `no answer within ${timeoutMs / 1000} s`
    this.#giveUp(call, reason)
    call.refuse({ name: 'timeout', message: `Timeout: the server gave ${reason}` })
  }

  #giveUp(call: Call, reason: string | undefined): void {
    // The protocol forbids to cancel `initialize`.
    if (call.method !== 'initialize') this.#carrier.giveUp(call, reason)
  }
}

/** Written from nothing: in a client's own text other members could name the calls of others. */
export function cancelledText(call: Call, reason: string | undefined): string {
  const params = JSON.stringify({ requestId: call.hopId, reason })
  return `{"jsonrpc":"2.0","method":"notifications/cancelled","params":${params}}`
}
