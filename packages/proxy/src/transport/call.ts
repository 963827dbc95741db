import type { WireError } from '../errors.ts'
import type { Era } from '../mcp/revision.ts'
import { readdressRequest, type PreparedRequest } from '../mcp/readdress.ts'

/** Where the answers to one call go. Exactly one of the last three is called, once. */
export interface CallSink {
  /** A progress notification of this call, with the client's own token. */
  progress(text: string): void
  /**
   * Another message of the server that belongs to this call. False when the client cannot be reached this
   * way now. What follows up on such a message is kept for a client that lost its connection and comes back.
   */
  related(text: string, isFollowUp?: boolean): boolean
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
  cancel(call: Call, reason: string | undefined): void
  notify(line: string): void
}

/** What a call has to know of the server that is about to get it. */
export interface ServerTraits {
  readonly era: Era
  /** JSON text of the server's description of itself; empty when it gave none. */
  readonly serverInfoText: string
}

/** A request and the place for its answers. */
export interface CallEnds {
  readonly request: PreparedRequest
  readonly sink: CallSink
}

/** What a call becomes for a server of the other era, or of the same. */
export type CallAdapter = (server: ServerTraits, ends: CallEnds) => CallEnds

/** Calls of one owner by the key of the client's id. */
export type CallRegister = Map<string, Call>

/** One request on its way through the proxy. Its text is kept only until it was sent. */
export class Call {
  readonly method: string
  /** JSON text of the client's id. */
  readonly idText: string
  /** JSON text of the client's progress token; empty without. */
  readonly tokenText: string
  sink: CallSink
  /** The id on the server's side; 0 until it was sent. */
  hopId = 0
  timer: NodeJS.Timeout | undefined
  settled = false
  /** Gives back what the call holds while it waits. Called at its end, whatever that is. */
  released: (() => void) | undefined
  /** Absent for a call that every server understands as it is. */
  adapt: CallAdapter | undefined
  readonly #register: CallRegister | undefined
  readonly #key: string
  #request: PreparedRequest | undefined
  #wasTakenBack = false

  constructor(request: PreparedRequest, sink: CallSink, register?: CallRegister, key = '') {
    this.#request = request
    this.method = request.method
    this.idText = request.idText
    this.tokenText = request.tokenText
    this.sink = sink
    this.#register = register
    this.#key = key
    register?.set(key, this)
  }

  /** Takes the form that the server understands which is about to get it. */
  meet(server: ServerTraits): void {
    if (this.adapt === undefined || this.#request === undefined) return
    const { request, sink } = this.adapt(server, { request: this.#request, sink: this.sink })
    this.#request = request
    this.sink = sink
  }

  /** Size of the text that is kept. */
  get bytes(): number {
    return this.#request === undefined ? 0 : Buffer.byteLength(this.#request.text)
  }

  /** The line for the server. */
  lineFor(hopId: number): string {
    return this.#request === undefined ? '' : readdressRequest(this.#request, hopId)
  }

  /** Notes that the line is on its way. */
  sent(hopId: number): void {
    this.hopId = hopId
    this.#request = undefined
  }

  /** Makes the call ready to be sent once more, as the server got it: it said that it did not take it. False the second time. */
  takeBack(request: PreparedRequest): boolean {
    if (this.settled || this.#wasTakenBack) return false
    this.#wasTakenBack = true
    this.hopId = 0
    this.#request = request
    this.adapt = undefined
    clearTimeout(this.timer)
    return true
  }

  /**
   * Marks the end of the call, and gives its sink for the last word. Undefined when
   * it had ended before: then nothing may be delivered.
   */
  settle(): CallSink | undefined {
    if (this.settled) return undefined
    const { sink } = this
    this.settled = true
    this.#request = undefined
    clearTimeout(this.timer)
    if (this.#register?.get(this.#key) === this) this.#register.delete(this.#key)
    this.released?.()
    // V8 keeps what a Map has lost for a while; then it must not be the answer, its socket and all their buffers.
    this.sink = ignored
    this.timer = undefined
    this.released = undefined
    this.adapt = undefined
    return sink
  }

  /** Ends the call with a refusal. */
  refuse(error: WireError): void {
    this.settle()?.refused(error)
  }

  /** Ends the call of a client that left, unless the server has it already: then it goes on there. */
  abandon(): void {
    if (this.hopId === 0) this.settle()?.cancelled()
  }
}

/** For requests of the proxy's own whose answer changes nothing, and for calls that have ended. */
export const ignored: CallSink = {
  progress: () => undefined,
  related: () => false,
  response: () => undefined,
  refused: () => undefined,
  cancelled: () => undefined,
}
