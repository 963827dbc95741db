import type { WireError } from '../errors.ts'
import { isRecord, parseText } from '../mcp/message.ts'
import { findValue } from '../mcp/raw-message.ts'
import type { Call } from './call.ts'
import type { Conversation } from './conversation.ts'
import type { ServerPeerDeps } from './server-peer.ts'

/** Takes the messages in a text that a server answered with. */
export function takeAnswerText(
  conversation: Conversation,
  text: string,
  { limits, log }: Pick<ServerPeerDeps, 'limits' | 'log'>,
): void {
  const parsed = parseText(text)
  if (parsed.kind === 'message') return conversation.receive(parsed.message)
  const reason = parsed.kind === 'invalid' ? parsed.reason : 'too many messages'
  if (parsed.kind === 'invalid' || parsed.items.length > limits.batchItems) {
    return log('debug', 'the server sent what is no message', { reason })
  }
  for (const item of parsed.items) {
    const member = parseText(item)
    if (member.kind === 'message') conversation.receive(member.message)
  }
}

/**
 * Ends a call whose answer was no response to it. An error without the id of the
 * call is still the answer to the one request of a POST; anything else is not.
 */
export function refuseWithAnswer(
  conversation: Conversation,
  call: Call,
  answer: { name: string; status: number; text: string },
): void {
  const parsed = parseText(answer.text)
  const text = parsed.kind === 'message' && parsed.message.kind === 'response' ? parsed.message.text : ''
  const error = text === '' ? undefined : findValue(text, 0, ['error'])
  if (error === undefined) conversation.refuse(call, refusedError(answer))
  else conversation.reject(call, text.slice(error.start, error.end))
}

/** The code of the JSON-RPC error in an answer, undefined without. */
export function errorCodeIn(text: string): number | undefined {
  const parsed = parseText(text)
  const error = parsed.kind === 'message' ? parsed.message.value['error'] : undefined
  const code = isRecord(error) ? error['code'] : undefined
  return typeof code === 'number' ? code : undefined
}

/** Whether a refusal of a Modern request has no code that Modern servers use. */
export function refusesLikeLegacy(status: number, text: string): boolean {
  if (!legacyRefusals.has(status)) return false
  const code = errorCodeIn(text)
  return code === undefined || (code <= -32_000 && code >= -32_019)
}

/** The refusal of a call whose connection was lost. */
export function lostError(name: string, wasSent: boolean): WireError {
  const run = wasSent ? 'the call may have run' : 'the call was not sent'
  return {
    name: 'backend-unreachable',
    message: `The connection to the server "${name}" was lost; ${run}`,
    data: { outcome: wasSent ? 'unknown' : 'not-sent', backend: name },
  }
}

/** The refusal of a call that a server did not take, because it has forgotten the session. */
export function forgottenError(name: string): WireError {
  return {
    name: 'server-absent',
    message: `The server "${name}" has forgotten the session; the call did not run, send it again`,
    data: { outcome: 'not-sent', backend: name },
  }
}

/** The refusal of a call that was answered with no response. A server that says 4xx has not begun. */
function refusedError({ name, status }: { name: string; status: number }): WireError {
  const isTurnedDown = status >= 400 && status < 500
  return {
    name: 'backend-refused',
    message: `The server "${name}" answered HTTP ${status} without a response; the call ${isTurnedDown ? 'did not run' : 'may have run'}`,
    data: { outcome: isTurnedDown ? 'not-sent' : 'unknown', backend: name },
  }
}

const legacyRefusals: ReadonlySet<number> = new Set([400, 404, 405, 406, 415])
