import type { MissedChanges } from '../session/missed-changes.ts'
import type { Call, CallRegister } from './call.ts'
import { encodeSseMessage } from './sse-codec.ts'
import type { SseStream } from './sse-stream.ts'

/** A way to the client. False when it leads nowhere any more. */
export type Sender = (text: string) => boolean

/** The part of a session that leads to its client. */
export interface LaneClient {
  readonly calls: CallRegister
  readonly stream: SseStream | undefined
  readonly missed: MissedChanges
}

/** Sends a text by the first way that works, and tells which it was. */
export function sendFirst(ways: Iterable<Sender>, text: string): Sender | undefined {
  for (const send of ways) if (send(text)) return send
  return undefined
}

/**
 * Streamable HTTP wants a question on the stream of the call it came from. Stdio does not
 * say which that is; one call in flight leaves no doubt, and a progress token names one.
 */
export function* waysForQuestion(client: LaneClient | undefined, progressToken: unknown): Iterable<Sender> {
  if (client === undefined) return
  const calls = [...client.calls.values()]
  const named = (call: Call): boolean => call.tokenText !== '' && call.hopId === progressToken
  const origin = calls.length === 1 ? calls[0] : calls.find(named)
  if (origin !== undefined) yield (text) => origin.sink.related(text)
  yield (text) => sendOnStream(client, text)
  // Any stream of the session leads to the right client.
  for (const call of calls.toReversed()) if (call !== origin) yield (text) => call.sink.related(text)
}

/** A notification is about no call in particular, unless there is nothing else it could be about. */
export function* waysForNotification(client: LaneClient | undefined): Iterable<Sender> {
  if (client === undefined) return
  yield (text) => sendOnStream(client, text)
  const [only, ...others] = client.calls.values()
  if (only !== undefined && others.length === 0) yield (text) => only.sink.related(text)
}

function sendOnStream(client: LaneClient, text: string): boolean {
  return client.stream?.send(encodeSseMessage(text)) ?? false
}
