import { parseBearerToken, readScopes, type RemoteGrant } from '@thv/core'
import type { TokenEndpointResponse } from 'oauth4webapi'
import { oauthLimits } from './oauth-limits.ts'

/** What a grant has from the request that led to it. */
export type GrantBase = Omit<RemoteGrant, 'accessToken' | 'expiresAt' | 'obtainedAt'>

/**
 * Makes a grant out of an answer of the token endpoint. Its end is counted from when the request was sent, by this
 * machine's clock, so that a server with a wrong one does no harm. Throws for a token that no header can hold, and for
 * tokens that are bound to a key.
 */
export function readGrant(base: GrantBase, answer: TokenEndpointResponse, sentAt: number): RemoteGrant {
  if (answer.token_type !== 'bearer') throw new Error('it gives tokens that are not of the kind Bearer')
  if (parseBearerToken(answer.access_token) !== answer.access_token)
    throw new Error('its token cannot be sent in a header')
  const { expires_in: seconds, refresh_token: refreshToken } = answer
  const scopes = readScopes(answer.scope)
  // Some servers say 0 for a token without an end.
  const ends = seconds !== undefined && seconds > 0
  return {
    ...base,
    accessToken: answer.access_token,
    ...(refreshToken === undefined ? {} : { refreshToken }),
    ...(ends ? { expiresAt: new Date(sentAt + Math.min(seconds * 1000, oauthLimits.lifetimeMs)).toISOString() } : {}),
    scopes: scopes.length > 0 ? scopes : base.scopes,
    obtainedAt: new Date(sentAt).toISOString(),
  }
}

/** The same answer without the id token: nobody asked for one, and a server with a wrong clock makes invalid ones. */
export async function withoutIdToken(response: Response): Promise<Response> {
  if (response.status !== 200) return response
  const text = await response.text()
  const { status, headers } = response
  try {
    const answer: unknown = JSON.parse(text)
    if (typeof answer !== 'object' || answer === null || !('id_token' in answer))
      throw new Error('nothing to leave out')
    return new Response(JSON.stringify({ ...answer, id_token: undefined }), { status, headers })
  } catch {
    return new Response(text, { status, headers })
  }
}
