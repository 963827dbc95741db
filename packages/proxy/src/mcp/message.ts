import { applySplices, findValue, scanMembers, sliceElements, type Splice } from './raw-message.ts'

/** One JSON-RPC message: its text on one line, and what routing needs to know about it. */
export interface Message {
  readonly kind: 'request' | 'notification' | 'response'
  /** The text as received, on one line. */
  readonly text: string
  readonly value: Readonly<Record<string, unknown>>
  /** Empty for a response. */
  readonly method: string
  /** JSON text of the id with its type; empty for a notification. */
  readonly idText: string
  readonly idStart: number
  readonly idEnd: number
  /** Index of the value of `params`, -1 without. */
  readonly paramsStart: number
}

/** What a text turned out to be. */
export type ParsedText =
  | { kind: 'message'; message: Message }
  | { kind: 'batch'; items: string[] }
  | { kind: 'invalid'; name: 'parse-error' | 'invalid-request'; reason: string; idText: string }

/**
 * Reads one JSON-RPC text. Never throws. Messages with the same envelope member
 * twice are invalid, because two parsers would see two different messages.
 */
export function parseText(input: string): ParsedText {
  let value: unknown
  const text = input.charCodeAt(0) === 0xfeff ? input.slice(1) : input
  try {
    value = JSON.parse(text)
  } catch {
    return { kind: 'invalid', name: 'parse-error', reason: 'Parse error: the body is not valid JSON', idText: '' }
  }
  // Line ends in valid JSON are only space between tokens; on stdio and SSE they would end the message.
  const line = /[\r\n]/.test(text) ? text.replaceAll(/[\r\n]/g, ' ') : text
  if (Array.isArray(value)) return { kind: 'batch', items: sliceElements(line, line.indexOf('[')) }
  if (!isRecord(value)) return invalid('a message must be an object', '')
  return readEnvelope(line, value)
}

/** A key for one request of one session: `1` and `"1"` differ, `"a"` and `"\u0061"` do not. */
export function idKey(id: unknown, idText: string): string {
  return typeof id === 'string' ? JSON.stringify(id) : idText
}

/** The request as it goes to the next hop, and the client's progress token text (empty without). */
export function readdressRequest(message: Message, hopId: number): { line: string; tokenText: string } {
  const hop = String(hopId)
  const splices: Splice[] = [{ start: message.idStart, end: message.idEnd, text: hop }]
  const token = hasProgressToken(message) ? findValue(message.text, message.paramsStart, tokenPath) : undefined
  if (token === undefined) return { line: applySplices(message.text, splices), tokenText: '' }
  splices.push({ ...token, text: hop })
  return { line: applySplices(message.text, splices), tokenText: message.text.slice(token.start, token.end) }
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

/** The text of one member of `params`, or undefined. */
export function paramText(message: Message, name: string): string | undefined {
  if (message.paramsStart === -1) return undefined
  const found = findValue(message.text, message.paramsStart, [name])
  return found === undefined ? undefined : message.text.slice(found.start, found.end)
}

/** The parsed value of one member of `params`. */
export function param(message: Message, name: string): unknown {
  const params = message.value['params']
  return isRecord(params) ? params[name] : undefined
}

/** The response text with a result. */
export function buildResultText(idText: string, resultText: string): string {
  return `{"jsonrpc":"2.0","id":${idText},"result":${resultText}}`
}

/** Whether a value is a JSON object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const tokenPath = ['_meta', 'progressToken'] as const

function readEnvelope(text: string, value: Record<string, unknown>): ParsedText {
  let idStart = -1
  let idEnd = -1
  let paramsStart = -1
  const seen = new Set<string>()
  let duplicate = ''
  scanMembers(text, text.indexOf('{'), (key, start, end) => {
    if (!isEnvelopeKey(key)) return
    if (seen.has(key)) duplicate = key
    seen.add(key)
    if (key === 'id') {
      idStart = start
      idEnd = end
    } else if (key === 'params') paramsStart = start
  })
  const { id, method } = value
  const idIsValid = typeof id === 'string' || typeof id === 'number'
  const idText = idIsValid ? text.slice(idStart, idEnd) : ''
  if (duplicate !== '') return invalid(`the member "${duplicate}" appears twice`, '')
  if (value['jsonrpc'] !== '2.0') return invalid('the member "jsonrpc" must be "2.0"', idText)
  const found = { text, value, idText, idStart, idEnd, paramsStart }
  if (typeof method === 'string') {
    if (idStart !== -1 && !idIsValid) return invalid('the id of a request must be a string or a number', '')
    return { kind: 'message', message: { ...found, kind: idIsValid ? 'request' : 'notification', method } }
  }
  if (method === undefined && (seen.has('result') || seen.has('error'))) {
    return { kind: 'message', message: { ...found, kind: 'response', method: '' } }
  }
  return invalid('a message needs a method, a result or an error', idText)
}

function isEnvelopeKey(key: string): boolean {
  return (
    key === 'id' || key === 'method' || key === 'params' || key === 'result' || key === 'error' || key === 'jsonrpc'
  )
}

function hasProgressToken(message: Message): boolean {
  const meta = param(message, '_meta')
  if (!isRecord(meta)) return false
  const token = meta['progressToken']
  return typeof token === 'string' || typeof token === 'number'
}

function invalid(reason: string, idText: string): ParsedText {
  return { kind: 'invalid', name: 'invalid-request', reason: `Invalid Request: ${reason}`, idText }
}
