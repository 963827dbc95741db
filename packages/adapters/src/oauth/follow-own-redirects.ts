import { sendBounded, type HttpOptions, type HttpRequest } from './bounded-request.ts'
import { oauthLimits } from './oauth-limits.ts'

/**
 * Sends a request that carries no secret, and follows redirects to the same origin. Resolves to the redirect itself when it
 * leads elsewhere, or to too many others.
 */
export async function followOwnRedirects(
  http: HttpOptions,
  url: URL,
  request: HttpRequest & { signal: AbortSignal },
): Promise<Response> {
  let current = url
  for (let count = 0; ; count += 1) {
    const response = await sendBounded(http, current, request)
    const next = redirectWithin(current, response, request.method)
    if (next === undefined || count === oauthLimits.redirects) return response
    current = next
  }
}

/** 307 and 308 keep the method; the others do so for GET alone. */
function redirectWithin(url: URL, { status, headers }: Response, method: string): URL | undefined {
  const keeps = status === 307 || status === 308 || (method === 'GET' && [301, 302, 303].includes(status))
  const location = headers.get('location')
  if (!keeps || location === null || !URL.canParse(location, url.href)) return undefined
  const next = new URL(location, url)
  return next.origin === url.origin ? next : undefined
}
