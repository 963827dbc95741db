import { withEnvelope, withoutEnvelope, type Envelope } from '../mcp/envelope.ts'
import { proxyIdentity } from '../mcp/identity.ts'
import type { LogLevel } from '../mcp/log-level.ts'
import { parseText, type Message } from '../mcp/message.ts'
import { prepareRequest, type PreparedRequest } from '../mcp/readdress.ts'
import { modernRevision } from '../mcp/revision.ts'
import { toLegacyResponse } from '../mcp/to-legacy.ts'
import { relayModernResponse, toModernResponse } from '../mcp/to-modern.ts'
import type { CallAdapter, CallSink } from './call.ts'

/** What a session said about its client. */
export interface LegacyClient {
  /** JSON text of the capabilities that a server may be told. */
  readonly capabilitiesText: string
  readonly logLevel: LogLevel | undefined
}

/** The adapter for a call of a Legacy client. A Modern server gets it with an envelope, and its answer is translated. */
export function adaptLegacyCall(client: LegacyClient | undefined): CallAdapter {
  return ({ era }, { request, sink }) => {
    if (era === 'legacy') return { request, sink }
    const envelope = {
      version: modernRevision,
      clientInfo: proxyIdentity,
      capabilitiesText: client?.capabilitiesText ?? '{}',
      ...(client?.logLevel === undefined ? {} : { logLevel: client.logLevel }),
    }
    const translate: Translate = (text) => toLegacyResponse(text, request.method)
    return {
      request: rewrite(request, (message) => withEnvelope(message, envelope)),
      sink: translated(sink, translate),
    }
  }
}

/**
 * The adapter for a call of a Modern client. A Legacy server gets it without an envelope;
 * a Modern one with an envelope of ours that tells the client's capabilities. `contradicted`
 * is called when a server that should be Modern answers as a Legacy one.
 */
export function adaptModernCall(client: Envelope, contradicted: () => void): CallAdapter {
  return ({ era, serverInfoText }, { request, sink }) => {
    const context = { method: request.method, serverInfoText }
    if (era === 'legacy') {
      const translate: Translate = (text) => toModernResponse(text, context)
      return { request: rewrite(request, withoutEnvelope), sink: translated(sink, translate) }
    }
    const envelope = { ...client, version: modernRevision, clientInfo: proxyIdentity }
    const translate: Translate = (text) => {
      const relayed = relayModernResponse(text, serverInfoText)
      if (relayed !== undefined) return relayed
      contradicted()
      return toModernResponse(text, context)
    }
    return {
      request: rewrite(request, (message) => withEnvelope(message, envelope)),
      sink: translated(sink, translate),
    }
  }
}

type Translate = (text: string) => ReturnType<typeof toLegacyResponse>

/** The same sink behind a translation of the response, and without what the server said to this hop. */
function translated(sink: CallSink, translate: Translate): CallSink {
  return {
    ...sink,
    progress: (text) => sink.progress(stripNotification(text)),
    response: (text, failed) => {
      const answer = translate(text)
      if (typeof answer === 'string') sink.response(answer, failed)
      else sink.refused(answer)
    },
  }
}

function stripNotification(text: string): string {
  const parsed = parseText(text)
  return parsed.kind === 'message' ? withoutEnvelope(parsed.message) : text
}

function rewrite(request: PreparedRequest, change: (message: Message) => string): PreparedRequest {
  const parsed = parseText(request.text)
  const text = parsed.kind === 'message' ? change(parsed.message) : request.text
  if (text === request.text) return request
  const changed = parseText(text)
  const prepared = changed.kind === 'message' ? prepareRequest(changed.message) : undefined
  if (prepared === undefined) throw new TypeError('a rewritten request cannot be sent')
  return prepared
}
