import type { MissedChanges } from '../session/missed-changes.ts'
import type { EventSink } from '../session/resumable-stream.ts'
import type { Call, CallRegister } from './call.ts'
import { encodeSseMessage } from './sse-codec.ts'

/** A way to the client. False when it leads nowhere now; what follows up on something sent this way is kept then. */
export type Sender = (text: string, isFollowUp?: boolean) => boolean

/** The part of a session that leads to its client. */
export interface LaneClient {
  readonly calls: CallRegister
  readonly stream: EventSink | undefined
  readonly missed: MissedChanges
  readonly lastUsedMs: number
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
  // The sink is looked up now: a call that has ended has none, but what follows up still goes the same way.
  if (origin !== undefined) yield wayOfCall(origin)
  yield wayOfStream(client)
  // Any stream of the session leads to the right client.
  for (const call of calls.toReversed()) if (call !== origin) yield wayOfCall(call)
}

/** A notification is about no call in particular, unless there is nothing else it could be about. */
export function* waysForNotification(client: LaneClient | undefined): Iterable<Sender> {
  if (client === undefined) return
  const byStream = wayOfStream(client)
  yield byStream
  const [only, ...others] = client.calls.values()
  if (only !== undefined && others.length === 0) yield wayOfCall(only)
  yield (text) => byStream(text, true)
}

function wayOfCall({ sink }: Call): Sender {
  return (text, isFollowUp) => sink.related(text, isFollowUp)
}

/** The stream is looked up once: what follows up must not go on another one. */
function wayOfStream({ stream }: LaneClient): Sender {
  return (text, isFollowUp = false) => {
    if (stream === undefined || (stream.isClosed && !isFollowUp)) return false
    return stream.send(encodeSseMessage(text))
  }
}
