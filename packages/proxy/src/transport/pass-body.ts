import { isUtf8 } from 'node:buffer'
import type { Chain } from '../chain.ts'
import { buildErrorText, wireErrors, type WireError } from '../errors.ts'
import { idKey, param, parseText, type Message } from '../mcp/message.ts'
import type { AnswerContext } from '../middleware.ts'

/** The requests of one body whose answers the chain has to see, by the key of their id. */
export type AskedRequests = ReadonlyMap<string, AnswerContext>

/** A body that may travel on. */
export interface PassedBody {
  readonly bytes: Buffer
  /** False when the bytes are those that came. */
  readonly isChanged: boolean
  /** The name in the body, which the header `Mcp-Name` repeats; undefined when it stayed. */
  readonly renamed: { readonly from: string; readonly to: string } | undefined
  readonly asked: AskedRequests
}

/** A body that may not: the answer to it, as a status and a JSON text. */
export interface RefusedBody {
  readonly error: WireError
  readonly status: number
  readonly text: string
}

/**
 * Takes a body through the message steps of the chain, batches member by member.
 * What cannot be read does not pass, because the server might read it differently.
 * A batch with a member that is refused is refused as a whole, with an answer to
 * each of its requests.
 */
export function passBody(chain: Chain, bytes: Buffer): PassedBody | RefusedBody {
  if (!isUtf8(bytes)) return refuse({ name: 'parse-error', message: 'Parse error: the body is not UTF-8' })
  const parsed = parseText(bytes.toString('utf8'))
  if (parsed.kind === 'invalid') return refuse({ name: parsed.name, message: parsed.reason }, parsed.idText)
  if (parsed.kind === 'batch') return passBatch(chain, bytes, parsed.items)
  const { message: given } = parsed
  const passage = chain.fromClient?.(given) ?? { message: given }
  if ('refused' in passage) return refuse(passage.refused, given.idText)
  const { message } = passage
  const asked = askedOf(chain, [message])
  if (message === given) return { bytes, isChanged: false, renamed: undefined, asked }
  return { bytes: Buffer.from(message.text), isChanged: true, renamed: renameOf(given, message), asked }
}

function passBatch(chain: Chain, bytes: Buffer, items: readonly string[]): PassedBody | RefusedBody {
  const given: Message[] = []
  for (const item of items) {
    const parsed = parseText(item)
    if (parsed.kind === 'message') given.push(parsed.message)
    else
      return refuse({ name: 'invalid-request', message: 'Invalid Request: the batch has a member that is no message' })
  }
  const passages = given.map((message) => chain.fromClient?.(message) ?? { message })
  const messages = passages.flatMap((passage) => ('message' in passage ? passage.message : []))
  const refusal = passages.find((passage) => 'refused' in passage)
  if (refusal !== undefined && 'refused' in refusal) {
    const errors = passages.map((passage) => ('refused' in passage ? passage.refused : notSent))
    return refuseBatch(given, errors, refusal.refused)
  }
  const asked = askedOf(chain, messages)
  if (messages.every((message, index) => message === given[index])) {
    return { bytes, isChanged: false, renamed: undefined, asked }
  }
  const text = `[${messages.map((message) => message.text).join(',')}]`
  return { bytes: Buffer.from(text), isChanged: true, renamed: undefined, asked }
}

function refuseBatch(given: readonly Message[], errors: readonly WireError[], error: WireError): RefusedBody {
  const texts = given.flatMap(({ kind, idText }, index) =>
    kind === 'request' ? buildErrorText(errors[index] ?? notSent, idText) : [],
  )
  if (texts.length === 0) return refuse(error)
  return { error, status: 200, text: `[${texts.join(',')}]` }
}

function refuse(error: WireError, idText = ''): RefusedBody {
  return { error, status: wireErrors[error.name].status, text: buildErrorText(error, idText) }
}

function askedOf(chain: Chain, messages: readonly Message[]): AskedRequests {
  const asked = new Map<string, AnswerContext>()
  for (const { kind, method, idText, value } of messages) {
    if (kind === 'request' && chain.wantsAnswer(method)) asked.set(idKey(value['id'], idText), { method, idText })
  }
  return asked
}

function renameOf(given: Message, message: Message): PassedBody['renamed'] {
  const from = param(given, 'name')
  const to = param(message, 'name')
  return typeof from === 'string' && typeof to === 'string' && from !== to ? { from, to } : undefined
}

const notSent: WireError = {
  name: 'invalid-request',
  message: 'Invalid Request: another member of the batch was refused; the call was not sent',
  data: { outcome: 'not-sent' },
}
