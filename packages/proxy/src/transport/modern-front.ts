import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Accepted } from '../front-door.ts'
import type { HeldBytes } from '../held-bytes.ts'
import type { ProxyLimits } from '../limits.ts'
import type { Classification } from '../mcp/classify-request.ts'
import { sendEmpty, sendError } from '../respond.ts'
import type { Bridge } from './bridge.ts'
import { ModernAnswer } from './modern-answer.ts'
import { encodeSseMessage } from './sse-codec.ts'
import type { SseStreams } from './sse-stream.ts'

/** One POST of a Modern client, and what it is answered with. */
export interface ModernRequest {
  readonly parts: {
    readonly bridge: Bridge
    readonly streams: SseStreams
    readonly limits: ProxyLimits
    readonly held: HeldBytes
  }
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly accepted: Accepted
}

/** Serves one message of a Modern client. It belongs to no session, whatever its headers say. */
export function serveModern(request: ModernRequest, asked: Extract<Classification, { kind: 'modern' }>): void {
  const { parts, req, res, accepted } = request
  const { bridge, streams, limits, held } = parts
  const { message, envelope } = asked
  // The era has no notifications of clients that a server would have to hear over HTTP.
  if (message.kind === 'notification' || envelope === undefined) return sendEmpty(res, 202)
  if (message.method === 'subscriptions/listen' && !accepted.events) {
    const error = { name: 'not-acceptable', message: 'Not Acceptable: subscriptions need text/event-stream' } as const
    return sendError(res, error, message.idText)
  }
  let leave: () => void = () => undefined
  const { streamAfterMs } = limits
  const options = { accepted, streams, held, streamAfterMs, left: () => leave() }
  const answer = new ModernAnswer(res, message.idText, options)
  leave =
    message.method === 'subscriptions/listen'
      ? bridge.listen(message, { open: () => listenWay(answer), refused: (error) => answer.refuse(error) })
      : bridge.requestModern({ message, envelope, headers: req.headers }, answer.sink)
}

function listenWay(answer: ModernAnswer): { send(text: string): void; end(): void } | undefined {
  const stream = answer.openStream()
  if (stream === undefined) return undefined
  return { send: (text) => void stream.send(encodeSseMessage(text)), end: () => answer.end() }
}
