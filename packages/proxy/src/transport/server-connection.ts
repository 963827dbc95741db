import { ProxyError, type WireError } from '../errors.ts'
import { HopIds } from '../mcp/hop-ids.ts'
import { param, parseText, type Message, type ParsedText } from '../mcp/message.ts'
import { readdressResponse, replaceParam } from '../mcp/readdress.ts'
import type { Call } from './call.ts'
import { NoiseLog } from './noise-log.ts'
import type { ServerPeer, ServerPeerDeps } from './server-peer.ts'
import { StdioChannel } from './stdio-channel.ts'
import type { Readable, Writable } from 'node:stream'

/**
 * The life of one server process as a JSON-RPC peer: it mints the ids and
 * progress tokens on the server's side, so that what clients chose can never
 * meet, and gives every answer back under the names its client chose.
 */
export class ServerConnection implements ServerPeer {
  readonly #deps: ServerPeerDeps
  readonly #channel: StdioChannel
  readonly #pending = new Map<number, Call>()
  readonly #noise: NoiseLog
  readonly #ids = new HopIds()
  #wrappedLines = 0
  #isClosed = false

  constructor(streams: { input: Writable; output: Readable }, deps: ServerPeerDeps) {
    this.#deps = deps
    this.#noise = new NoiseLog(deps.limits, deps.log)
    this.#channel = new StdioChannel(streams, deps.limits, {
      line: (text) => this.#receive(text),
      oversize: (head, tail, bytes) => this.#receiveOversize(head, tail, bytes),
      closed: (reason) => this.#lose(reason),
      failed: (error) => this.#fail(error),
    })
  }

  /** Starts to read. */
  open(): void {
    this.#channel.open()
  }

  /** Calls without an answer. */
  get inFlight(): number {
    return this.#pending.size
  }

  /**
   * Sends one call. Its sink hears about everything that can happen from here on.
   * `timeoutMs` is Infinity for a caller that bounds the wait itself.
   */
  send(call: Call, timeoutMs: number = this.#deps.limits.requestTimeoutMs): void {
    if (call.settled) return
    if (this.#isClosed) return call.refuse(stoppedError(this.#deps.name))
    if (this.#pending.size >= this.#deps.limits.inFlightCalls) return call.refuse(busyError('too many calls in flight'))
    const hopId = this.#ids.next((id) => this.#pending.has(id))
    if (!this.#channel.send(call.lineFor(hopId))) return call.refuse(busyError('the server does not read its input'))
    call.sent(hopId)
    if (timeoutMs !== Infinity) call.timer = setTimeout(() => this.#expire(call, timeoutMs), timeoutMs)
    this.#pending.set(hopId, call)
  }

  /** Sends a line that needs no answer. False when it could not be queued. */
  notify(line: string): boolean {
    return !this.#isClosed && this.#channel.send(line)
  }

  /** Tells the server about a client's cancellation, and ends the call without a response. */
  cancel(call: Call, reason: string | undefined): void {
    if (!this.#pending.delete(call.hopId) || !call.settle()) return
    this.#tellCancelled(call, reason)
    call.sink.cancelled()
  }

  /** Ends the life: every call in flight is refused, because it may have run. */
  close(reason: string): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#channel.close()
    this.#noise.flush()
    const calls = [...this.#pending.values()]
    this.#pending.clear()
    if (calls.length > 0) this.#deps.log('warn', 'calls lost their server', { calls: calls.length, reason })
    for (const call of calls) call.refuse(stoppedError(this.#deps.name))
  }

  #lose(reason: string): void {
    if (this.#isClosed) return
    this.#deps.lost(reason)
    this.close(reason)
  }

  #receive(text: string): void {
    if (text.trim() === '') return
    const parsed = this.#parse(text)
    if (parsed.kind === 'message') return this.#route(parsed.message)
    if (parsed.kind === 'invalid') return this.#noise.skip(text, parsed.name)
    const { batchItems } = this.#deps.limits
    if (parsed.items.length > batchItems) this.#noise.skip(text, `a batch of more than ${batchItems} messages`)
    for (const item of parsed.items.slice(0, batchItems)) {
      const member = parseText(item)
      // How deep batches are nested is the server's choice, our stack is not: a batch in a batch is no message.
      if (member.kind === 'message') this.#route(member.message)
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

  #route(message: Message): void {
    try {
      if (message.kind === 'response') this.#settle(message)
      else if (message.kind === 'request') this.#answer(message)
      else if (message.method === 'notifications/progress') this.#progress(message)
      else this.#deps.notified(message)
    } catch (error) {
      this.#fail(error)
    }
  }

  /** One bad message must not take the connection of every client with it. */
  #fail(error: unknown): void {
    this.#deps.log('error', 'a message of the server could not be delivered', { error: String(error) })
  }

  #settle(message: Message): void {
    const id = message.value['id']
    const call = this.#pendingCall(id)
    if (call === undefined) return this.#deps.log('debug', 'the server answered a call that nobody waits for', { id })
    this.#pending.delete(call.hopId)
    if (call.settle()) call.sink.response(readdressResponse(message, call.idText), 'error' in message.value)
  }

  /** Some servers give ids and tokens back as text. */
  #pendingCall(id: unknown): Call | undefined {
    if (typeof id === 'string' && /^\d{1,10}$/.test(id)) return this.#pending.get(Number(id))
    return typeof id === 'number' ? this.#pending.get(id) : undefined
  }

  #answer(message: Message): void {
    if (message.method === 'ping') {
      this.notify(`{"jsonrpc":"2.0","id":${message.idText},"result":{}}`)
      return
    }
    if (this.#deps.asked !== undefined) return this.#deps.asked(message)
    // The shared connection declared no client capability, so there is nobody to ask.
    this.#deps.log('debug', 'refused a request of the server', { method: message.method })
    const error = JSON.stringify({ code: -32601, message: `Method not found: ${message.method}` })
    this.notify(`{"jsonrpc":"2.0","id":${message.idText},"error":${error}}`)
  }

  #progress(message: Message): void {
    const call = this.#pendingCall(param(message, 'progressToken'))
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
    this.#tellCancelled(call, reason)
    call.refuse({ name: 'timeout', message: `Timeout: the server gave ${reason}` })
  }

  /** Written here from nothing: in a client's own text other members could name the calls of others. */
  #tellCancelled(call: Call, reason: string | undefined): void {
    // The protocol forbids to cancel `initialize`.
    if (call.method === 'initialize') return
    const params = JSON.stringify({ requestId: call.hopId, reason })
    this.notify(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":${params}}`)
  }

  #receiveOversize(head: string, tail: string, bytes: number): void {
    const limitBytes = this.#deps.limits.lineBytes
    this.#deps.log('warn', 'dropped a line of the server that is too long', { bytes, limitBytes })
    // An id next to the outermost brace is the message's own, whatever lies between.
    const id = /^\{(?:"jsonrpc":"2\.0",)?"id":"?(\d+)"?,/.exec(head)?.[1] ?? /,"id":"?(\d+)"?\}\s*$/.exec(tail)?.[1]
    const call = this.#pendingCall(id)
    if (call === undefined) return
    this.#pending.delete(call.hopId)
    call.refuse({ name: 'answer-too-large', message: `The server's answer is longer than ${limitBytes} bytes` })
  }
}

/** Turns a refusal of a call of our own into an error to throw. */
export function toProxyError(error: WireError): ProxyError {
  if (error.name === 'timeout') return new ProxyError('attach-timeout', error.message)
  if (error.name === 'server-stopped') return new ProxyError('server-gone', 'the server stopped before it answered')
  return new ProxyError('handshake-failed', error.message)
}

/** The refusal of a call that a server took with it. */
export function stoppedError(name: string): WireError {
  return {
    name: 'server-stopped',
    message: `The server "${name}" stopped while the call was running; the call may have run`,
    data: { outcome: 'unknown', backend: name },
  }
}

/** The refusal of a call that did not go out. */
export function busyError(why: string): WireError {
  return { name: 'server-busy', message: `The call was not sent: ${why}`, data: { outcome: 'not-sent' } }
}

/** The refusal of a call for which the memory budget has no room. */
export const memoryError = busyError('too much is waiting to be sent or read')
