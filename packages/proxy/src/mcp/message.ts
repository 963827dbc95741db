import { foldName } from './fold-name.ts'
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
 * twice, also in another spelling of case, are invalid, because two parsers would
 * see two different messages: one of them the id, the other one the `ID`.
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

/** Reads what a client sent: {@link parseText}, and what has no id must be a notification by its name. */
export function parseClientText(input: string): ParsedText {
  const parsed = parseText(input)
  if (parsed.kind !== 'message' || parsed.message.kind !== 'notification') return parsed
  return parsed.message.method.startsWith('notifications/') ? parsed : invalid('a request needs an id', '')
}

/** A key for one request of one session: `1` and `"1"` differ, `"a"` and `"\u0061"` do not. */
export function idKey(id: unknown, idText: string): string {
  return typeof id === 'string' ? JSON.stringify(id) : idText
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

/** The message with pieces of its text replaced. The pieces must leave it a message. @throws TypeError */
export function spliceMessage(message: Message, splices: readonly Splice[]): Message {
  const parsed = parseText(applySplices(message.text, splices))
  if (parsed.kind !== 'message') throw new TypeError('the splices left no message')
  return parsed.message
}

/** The response text with a result. */
export function buildResultText(idText: string, resultText: string): string {
  return `{"jsonrpc":"2.0","id":${idText},"result":${resultText}}`
}

/** Whether a value is a JSON object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A piece of a text as a text of its own: V8 makes a slice point into the whole, which would keep megabytes for an id. */
export function copySlice(text: string, start: number, end: number): string {
  const piece = text.slice(start, end)
  // V8 copies what is shorter itself.
  return piece.length < 13 ? piece : Buffer.from(piece, 'utf8').toString('utf8')
}

function readEnvelope(text: string, value: Record<string, unknown>): ParsedText {
  let idStart = -1
  let idEnd = -1
  let paramsStart = -1
  const seen: string[] = []
  let ambiguous = ''
  scanMembers(text, text.indexOf('{'), (key, start, end) => {
    if (!isEnvelopeKey(key)) {
      if (isEnvelopeKey(foldName(key))) ambiguous = key
      return
    }
    if (seen.includes(key)) ambiguous = key
    seen.push(key)
    if (key === 'id') {
      idStart = start
      idEnd = end
    } else if (key === 'params') paramsStart = start
  })
  const { id, method } = value
  const idIsValid = typeof id === 'string' || typeof id === 'number'
  const idText = idIsValid ? copySlice(text, idStart, idEnd) : ''
  if (ambiguous !== '') return invalid(`the member "${ambiguous}" is ambiguous`, '')
  if (value['jsonrpc'] !== '2.0') return invalid('the member "jsonrpc" must be "2.0"', idText)
  const isResponse = method === undefined && (seen.includes('result') || seen.includes('error'))
  if (typeof method !== 'string' && !isResponse) {
    return invalid('a message needs a method, a result or an error', idText)
  }
  if (!isResponse && idStart !== -1 && !idIsValid) {
    return invalid('the id of a request must be a string or a number', '')
  }
  const kind = isResponse ? 'response' : idIsValid ? 'request' : 'notification'
  const name = typeof method === 'string' ? method : ''
  // One by one: spreading an object would cost V8 more than all the rest of this.
  return { kind: 'message', message: { kind, text, value, method: name, idText, idStart, idEnd, paramsStart } }
}

function isEnvelopeKey(key: string): boolean {
  return (
    key === 'id' || key === 'method' || key === 'params' || key === 'result' || key === 'error' || key === 'jsonrpc'
  )
}

function invalid(reason: string, idText: string): ParsedText {
  return { kind: 'invalid', name: 'invalid-request', reason: `Invalid Request: ${reason}`, idText }
}
