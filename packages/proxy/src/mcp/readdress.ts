import { foldName } from './fold-name.ts'
import { copySlice, isRecord, type Message } from './message.ts'
import { applySplices, findValue, scanMembers } from './raw-message.ts'

interface Span {
  readonly start: number
  readonly end: number
}

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

function findToken(message: Message): Span | 'ambiguous' | undefined {
  const params = message.value['params']
  if (!isRecord(params)) return undefined
  if (hasLookalike(params, '_meta')) return 'ambiguous'
  const meta = params['_meta']
  if (meta === undefined) return undefined
  const metaSpan = findOnly(message.text, message.paramsStart, '_meta')
  if (metaSpan === undefined) return 'ambiguous'
  if (!isRecord(meta)) return undefined
  if (hasLookalike(meta, 'progressToken')) return 'ambiguous'
  const token = meta['progressToken']
  if (token === undefined) return undefined
  const span = findOnly(message.text, metaSpan.start, 'progressToken')
  if (span === undefined) return 'ambiguous'
  return typeof token === 'string' || typeof token === 'number' ? span : undefined
}

/** Whether another key is the same to a parser that ignores case. */
function hasLookalike(value: Record<string, unknown>, name: string): boolean {
  const folded = foldName(name)
  return Object.keys(value).some((key) => key !== name && foldName(key) === folded)
}

/** Where the member of a name is, undefined when there is more than one. */
function findOnly(text: string, at: number, name: string): Span | undefined {
  const found: Span[] = []
  scanMembers(text, at, (key, start, end) => {
    if (key === name) found.push({ start, end })
  })
  return found.length === 1 ? found[0] : undefined
}
