import { copySlice, isRecord, type Message } from './message.ts'
import { findOnlyMember, type Span } from './only-member.ts'
import { applySplices, findValue } from './raw-message.ts'

/** A request ready to be sent under any id. It holds the text only, not the parsed tree, which is far bigger. */
export interface PreparedRequest {
  readonly text: string
  readonly method: string
  /** JSON text of the sender's id. */
  readonly idText: string
  /** JSON text of the sender's progress token; empty without. */
  readonly tokenText: string
  /** Where the id, and the progress token if there is one, are. */
  readonly spans: readonly Span[]
}

/**
 * Finds what has to be replaced in a request. Undefined when two parsers could
 * find two different progress tokens in it: then it must not be sent.
 */
export function prepareRequest(message: Message): PreparedRequest | undefined {
  const { text, method } = message
  const id = { start: message.idStart, end: message.idEnd }
  const token = findToken(message)
  if (token === 'ambiguous') return undefined
  const tokenText = token === undefined ? '' : copySlice(text, token.start, token.end)
  return { text, method, idText: message.idText, tokenText, spans: token === undefined ? [id] : [id, token] }
}

/** The request with the id and the progress token of the next hop. */
export function readdressRequest(request: PreparedRequest, hopId: number): string {
  const hop = String(hopId)
  return applySplices(
    request.text,
    request.spans.map(({ start, end }) => ({ start, end, text: hop })),
  )
}

/** The response with another id. */
export function readdressResponse(message: Message, idText: string): string {
  return message.text.slice(0, message.idStart) + idText + message.text.slice(message.idEnd)
}

/** The message with one member of its `params` replaced, or undefined when it has none of that name. */
export function replaceParam(message: Message, name: string, text: string): string | undefined {
  if (message.paramsStart === -1) return undefined
  const found = findValue(message.text, message.paramsStart, [name])
  return found === undefined ? undefined : applySplices(message.text, [{ ...found, text }])
}

function findToken({ value, text, paramsStart }: Message): Span | 'ambiguous' | undefined {
  const params = value['params']
  if (!isRecord(params)) return undefined
  const metaSpan = findOnlyMember(params, { text, at: paramsStart }, '_meta')
  if (metaSpan === undefined || metaSpan === 'ambiguous') return metaSpan
  const meta = params['_meta']
  if (!isRecord(meta)) return undefined
  const span = findOnlyMember(meta, { text, at: metaSpan.start }, 'progressToken')
  if (span === undefined || span === 'ambiguous') return span
  const token = meta['progressToken']
  return typeof token === 'string' || typeof token === 'number' ? span : undefined
}
