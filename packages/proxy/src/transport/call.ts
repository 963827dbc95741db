import type { WireError } from '../errors.ts'
import type { Message } from '../mcp/message.ts'

/** Where the answers to one call go. Exactly one of the last three is called, once. */
export interface CallSink {
  /** A progress notification of this call, with the client's own token. */
  progress(text: string): void
  /** Another message of the server that belongs to this call. False when the client cannot be reached this way. */
  related(text: string): boolean
  /** The response, with the client's own id. `failed` when it carries an error. */
  response(text: string, failed: boolean): void
  /** The proxy could not get a response. */
  refused(error: WireError): void
  /** The client cancelled the call; nothing more is to be delivered. */
  cancelled(): void
}

/** The way of a session's messages to its server. */
export interface CallLink {
  send(call: Call): void
  /** Ends a call without a response, and tells the server when it knows the call. */
  cancel(call: Call, notification: Message): void
  notify(line: string): void
}

/** Calls of one owner by the key of the client's id. */
export type CallRegister = Map<string, Call>

/** One request on its way through the proxy. */
export class Call {
  readonly message: Message
  readonly sink: CallSink
  /** The id on the server's side; 0 until it was sent. */
  hopId = 0
  /** JSON text of the client's progress token; empty without. */
  tokenText = ''
  timer: NodeJS.Timeout | undefined
  settled = false
  readonly #register: CallRegister | undefined
  readonly #key: string

  constructor(message: Message, sink: CallSink, register?: CallRegister, key = '') {
    this.message = message
    this.sink = sink
    this.#register = register
    this.#key = key
    register?.set(key, this)
  }

  /** Marks the end of the call. False when it had ended before: then nothing may be delivered. */
  settle(): boolean {
    if (this.settled) return false
    this.settled = true
    clearTimeout(this.timer)
    if (this.#register?.get(this.#key) === this) this.#register.delete(this.#key)
    return true
  }

  /** Ends the call with a refusal. */
  refuse(error: WireError): void {
    if (this.settle()) this.sink.refused(error)
  }
}
