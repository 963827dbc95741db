import { parseText } from '../mcp/message.ts'
import type { RequestBody } from './request-body.ts'

/** What the bookkeeping of sessions needs to know of a body. */
export type PeekedBody =
  | { readonly kind: 'initialize'; readonly bytes: Buffer }
  | { readonly kind: 'batch' }
  | { readonly kind: 'other' }

/**
 * Looks for `initialize` in a collected POST body. A body is parsed only when it
 * contains the word, or when it names a session nobody knows; a body too large to
 * be collected is never looked at. That is enough: `initialize` begins sessions,
 * and everything else either names a session in its header or needs none.
 */
export function peekBody(
  method: string | undefined,
  body: RequestBody,
  request: { isSessionKnown: boolean; hasSessionId: boolean },
): PeekedBody {
  if (method !== 'POST' || body.kind !== 'whole') return { kind: 'other' }
  const isForeign = request.hasSessionId && !request.isSessionKnown
  if (!isForeign && !body.bytes.includes('"initialize"')) return { kind: 'other' }
  const parsed = parseText(body.bytes.toString('utf8'))
  if (parsed.kind === 'batch') return isForeign || !request.isSessionKnown ? { kind: 'batch' } : { kind: 'other' }
  if (parsed.kind !== 'message') return { kind: 'other' }
  const { kind, method: name } = parsed.message
  return kind === 'request' && name === 'initialize' ? { kind: 'initialize', bytes: body.bytes } : { kind: 'other' }
}

/** The id of the request in a body, as text; empty when there is none to be read. */
export function requestIdIn(method: string | undefined, body: RequestBody): string {
  if (body.kind !== 'whole' || method !== 'POST') return ''
  const parsed = parseText(body.bytes.toString('utf8'))
  return parsed.kind === 'message' && parsed.message.kind === 'request' ? parsed.message.idText : ''
}
