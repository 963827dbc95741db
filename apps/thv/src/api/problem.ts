import { isThvError, messageOf, type ErrorCode, type ErrorKind } from '@thv/core'
import type { ApiAnswer, ApiRoute } from './route.ts'

/** Kind of an error to HTTP status. */
export const kindStatuses: Readonly<Record<ErrorKind, number>> = {
  invalid: 400,
  'not-found': 404,
  conflict: 409,
  denied: 403,
  unavailable: 503,
  timeout: 504,
  internal: 500,
}

/** Codes with a status of their own, everywhere. */
export const codeStatuses: Readonly<Partial<Record<ErrorCode, number>>> = {
  'runtime-unsupported': 501,
  'not-implemented': 501,
  'request-too-large': 413,
}

/** Names of the headers that carry what the text of an error does not. */
export const errorHeaders = { code: 'X-Thv-Error-Code', hint: 'X-Thv-Error-Hint' } as const

/**
 * The answer for what was thrown: its message as text, beside its code and its hint in headers.
 * What is our own fault says no more than that; the log has the rest.
 */
export function problemAnswer(error: unknown, statusOf: ApiRoute['statusOf'] = {}): ApiAnswer {
  if (!isThvError(error)) return { status: 500, text: generic, headers: { [errorHeaders.code]: 'internal' } }
  const status = statusOf[error.code] ?? codeStatuses[error.code] ?? kindStatuses[error.kind]
  const headers: Record<string, string> = { [errorHeaders.code]: error.code }
  if (error.hint !== undefined)
    headers[errorHeaders.hint] = encodeURIComponent(error.hint.replace(/\p{Surrogate}/gu, '?'))
  return { status, text: status === 500 ? generic : messageOf(error), headers }
}

const generic = 'Internal Server Error'
