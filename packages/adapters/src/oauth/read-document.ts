import type { HttpOptions } from './bounded-request.ts'
import { followOwnRedirects } from './follow-own-redirects.ts'
import { loginFailed, networkReason, shownUrl } from './login-failed.ts'

/**
 * Gets a metadata document. Undefined when there is none: any answer but 200 with a JSON object, as from servers that
 * answer every path with a page. Rejects with `login-failed` when nobody knows: no answer, too large a one, 429 or 5xx.
 */
export async function readDocument(
  http: HttpOptions,
  url: string,
  signal: AbortSignal,
): Promise<Record<string, unknown> | undefined> {
  const response = await get(http, url, signal)
  if (response.status === 429 || response.status >= 500) {
    throw unknown(url, `it answers with the status ${response.status}`)
  }
  if (response.status !== 200) return undefined
  try {
    const document: unknown = await response.json()
    return isRecord(document) ? document : undefined
  } catch {
    return undefined
  }
}

async function get(http: HttpOptions, url: string, signal: AbortSignal): Promise<Response> {
  try {
    const headers = { accept: 'application/json' }
    return await followOwnRedirects(http, new URL(url), { method: 'GET', headers, signal })
  } catch (error) {
    signal.throwIfAborted()
    throw unknown(url, networkReason(error))
  }
}

function unknown(url: string, why: string): Error {
  return loginFailed(`${shownUrl(url)} cannot be read: ${why}`, 'try again later')
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
