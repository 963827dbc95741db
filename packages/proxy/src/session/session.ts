import type { LogLevel } from '../mcp/log-level.ts'
import type { CallLink, CallRegister } from '../transport/call.ts'
import type { Lane } from '../transport/lane.ts'
import type { SseStream } from '../transport/sse-stream.ts'
import type { MissedChanges } from './missed-changes.ts'

/** One client, from `initialize` (or its event stream) to its end. */
export interface Session {
  readonly id: string
  /** The way to the server this client talks to: the shared one, or its lane. */
  link: CallLink
  /** Set when this client has a server of its own. */
  lane: Lane | undefined
  /** Calls in flight by the key of the client's id, for cancellation. */
  readonly calls: CallRegister
  /** URIs this client subscribed to. */
  readonly subscriptions: Set<string>
  /** JSON text of what the client declared, for servers that are told with each call. */
  capabilitiesText: string
  /** Empty until `initialize` was answered. */
  protocolVersion: string
  /** Undefined until the client asked for log messages. */
  logLevel: LogLevel | undefined
  /** The stream for messages that belong to no request. */
  stream: SseStream | undefined
  /** What the client is to be told when it opens a stream. */
  readonly missed: MissedChanges
  lastUsedMs: number
  /** Whether the client came back after `initialize`. */
  wasUsed: boolean
}
