import type { ProxyLimits } from '../limits.ts'
import type { Message } from '../mcp/message.ts'
import type { ProxyLog } from '../proxy-config.ts'
import type { Call } from './call.ts'

/** What a conversation with a server needs and reports. */
export interface ServerPeerDeps {
  readonly name: string
  readonly limits: ProxyLimits
  readonly log: ProxyLog
  /** A notification that belongs to no call. */
  notified(message: Message): void
  /** A request of the server, other than `ping`. Without this, it is refused. */
  asked?(request: Message): void
  /** Whether the server waits for its client, so that silence of its own is no reason to give a call up. */
  isHeldUp?(): boolean
  /** A call that did not run, as the server says, and can be sent again. Called after `lost`. Without this it is refused. */
  returned?(call: Call): void
  /** The conversation is over. Called once, before the calls in flight are refused. */
  lost(reason: string): void
}

/** Makes a conversation that is not open yet. What it reports goes to `deps`. */
export type CreatePeer = (deps: ServerPeerDeps) => ServerPeer

/** One conversation with one server, whatever carries it. */
export interface ServerPeer {
  /** Calls without an answer. */
  readonly inFlight: number
  /** Messages of the server so far: each is a sign of life. */
  readonly heard: number
  /** Starts to listen. */
  open(): void
  /**
   * Sends one call. Its sink hears about everything that can happen from here on.
   * `timeoutMs` is Infinity for a caller that bounds the wait itself.
   */
  send(call: Call, timeoutMs?: number): void
  /** Sends one JSON-RPC text that needs no answer. False when it could not be queued. */
  notify(line: string): boolean
  /** Tells the server about a client's cancellation, and ends the call without a response. */
  cancel(call: Call, reason: string | undefined): void
  /** Ends the conversation: every call in flight is refused, because it may have run. */
  close(reason: string): void
}
