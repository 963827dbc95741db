import type { ProxyLimits } from '../limits.ts'
import { askFollowing } from './ask-following.ts'
import { firstData } from './http-ask.ts'
import type { HttpBackend } from './http-backend.ts'
import { inTime } from './in-time.ts'

/** Whose card is read. */
export interface CardOptions {
  readonly backend: Pick<HttpBackend, 'origin' | 'aside' | 'endpoint'>
  readonly limits: ProxyLimits
  readonly signal: AbortSignal
}

/**
 * Reads the server card of a Streamable HTTP server from the place that is reserved for it, `<endpoint>/server-card`
 * (SEP-2127). Resolves to its text, which may say anything; to undefined when there is none. In bounded time and size; never
 * rejects, and no refusal of it is acted on.
 */
export async function readCard({ backend, limits, signal }: CardOptions): Promise<string | undefined> {
  const read = async (inner: AbortSignal): Promise<string | undefined> => {
    const question = { path: cardPath(backend.endpoint), method: 'GET', headers: { accept }, signal: inner } as const
    const answer = await askFollowing({ origin: backend.origin, pool: backend.aside }, question, limits.redirects)
    const type = String(answer.headers['content-type'])
    if (answer.statusCode === 200 && isCardType.test(type)) {
      return await firstData(answer.body, undefined, limits.cardBytes)
    }
    // A page, or a stream that would never end.
    answer.body.on('error', () => undefined).destroy()
    return undefined
  }
  return await inTime(read, limits.cardMs, signal).catch(() => undefined)
}

function cardPath(endpoint: string): string {
  const mark = endpoint.indexOf('?')
  const [path, query] = mark < 0 ? [endpoint, ''] : [endpoint.slice(0, mark), endpoint.slice(mark)]
  return `${path.replace(/\/$/, '')}/server-card${query}`
}

const accept = 'application/mcp-server-card+json, application/json;q=0.5'
const isCardType = /^application\/(?:mcp-server-card\+)?json\s*(?:;|$)/i
