import type { IncomingHttpHeaders } from 'node:http'
import { isErrorCode, ThvError } from '@thv/core'

/**
 * The error that an answer stands for. thv sends code and hint in headers beside the text that every client knows; the
 * answer of another server becomes `api-error` with its status and its words.
 */
export function apiError(status: number, headers: IncomingHttpHeaders, body: string): ThvError {
  const words = wordsOf(body)
  const code = headers['x-thv-error-code']
  if (!isErrorCode(code)) {
    return new ThvError('api-error', `the ToolHive API server answered ${status}${words === '' ? '' : `: ${words}`}`)
  }
  const hint = decode(headers['x-thv-error-hint'])
  return new ThvError(code, words === '' ? `the ToolHive API server answered ${status}` : words, hint)
}

/** A line of text, or the `message` of the JSON form that some endpoints use. */
function wordsOf(body: string): string {
  try {
    const parsed: unknown = JSON.parse(body)
    if (typeof parsed === 'object' && parsed !== null && 'message' in parsed && typeof parsed.message === 'string') {
      return parsed.message.trim()
    }
  } catch {
    // Plain text, as usual.
  }
  return body.trim()
}

function decode(value: string | string[] | undefined): { hint?: string } {
  if (typeof value !== 'string' || value === '') return {}
  try {
    return { hint: decodeURIComponent(value) }
  } catch {
    return {}
  }
}
