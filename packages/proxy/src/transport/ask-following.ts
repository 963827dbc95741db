import type { Dispatcher } from 'undici'
import type { HttpBackend } from './http-backend.ts'

/** A question of our own to a server. */
export interface OwnQuestion {
  readonly path: string
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly headers: Record<string, string> | string[]
  readonly body?: string | Buffer
  readonly signal: AbortSignal
}

/**
 * Asks, and follows redirects of the server to itself with method and body, as calls of clients do. A redirect to
 * anywhere else, or one too many, is the answer: nothing is ever sent to another origin.
 */
export async function askFollowing(
  backend: Pick<HttpBackend, 'origin' | 'pool'>,
  question: OwnQuestion,
  redirects: number,
): Promise<Dispatcher.ResponseData> {
  let { path } = question
  for (let left = redirects; ; left -= 1) {
    const answer = await backend.pool.request({ ...question, path })
    const next = left === 0 ? undefined : ownRedirect(backend.origin, path, answer)
    if (next === undefined) return answer
    answer.body.on('error', () => undefined).destroy()
    path = next
  }
}

/** Where a redirect leads to on the same origin. */
export function ownRedirect(
  origin: string,
  path: string,
  { statusCode, headers }: Pick<Dispatcher.ResponseData, 'statusCode' | 'headers'>,
): string | undefined {
  const { location } = headers
  if (!redirectStatuses.has(statusCode) || typeof location !== 'string') return undefined
  if (!URL.canParse(location, origin + path)) return undefined
  const url = new URL(location, origin + path)
  return url.origin === new URL(origin).origin ? url.pathname + url.search : undefined
}

const redirectStatuses: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])
