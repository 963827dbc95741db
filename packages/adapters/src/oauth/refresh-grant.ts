import { messageOf, RefreshError, type RemoteGrant } from '@thv/core'
import { processRefreshTokenResponse, refreshTokenGrantRequest, type AuthorizationServer } from 'oauth4webapi'
import type { HttpOptions } from './bounded-request.ts'
import { clientAuthentication } from './client-authentication.ts'
import { networkReason } from './login-failed.ts'
import { readOAuthError } from './oauth-error.ts'
import { protocolOptions } from './protocol-options.ts'
import { readGrant, withoutIdToken } from './read-grant.ts'
import { renewSecret } from './renew-secret.ts'

/** As `RemoteAuthorization.refresh`. */
export async function refreshGrant(
  http: HttpOptions,
  { grant, now }: { grant: RemoteGrant; now: () => number },
  signal: AbortSignal,
): Promise<RemoteGrant> {
  const { issuer, refreshToken } = grant
  if (refreshToken === undefined) throw new RefreshError('permanent', `${issuer} gave no refresh token`)
  const client = await renewSecret(http, { client: grant.client, now }, signal)
  const present = { ...grant, client, refreshToken }
  try {
    return await refreshTokens(http, { grant: present, now }, signal)
  } catch (error) {
    if (client === grant.client) throw error
    // The old secret may be worth nothing by now.
    const kind = error instanceof RefreshError ? error.kind : 'transient'
    throw new RefreshError(kind, messageOf(error), { grant: present, cause: error })
  }
}

async function refreshTokens(
  http: HttpOptions,
  { grant, now }: { grant: RemoteGrant & { refreshToken: string }; now: () => number },
  signal: AbortSignal,
): Promise<RemoteGrant> {
  const { issuer, tokenEndpoint, refreshToken, resource, client } = grant
  const server: AuthorizationServer = { issuer, token_endpoint: tokenEndpoint }
  const sentAt = now()
  const response = await answerTo(issuer, signal, async () => {
    const options = { ...protocolOptions(http, signal), additionalParameters: { resource } }
    const proof = clientAuthentication(client)
    return await withoutIdToken(
      await refreshTokenGrantRequest(server, { client_id: client.clientId }, proof, refreshToken, options),
    )
  })
  if (response.status !== 200) throw await refusalOf(issuer, response)
  return await answerTo(issuer, signal, async () => {
    const answer = await processRefreshTokenResponse(server, { client_id: client.clientId }, response)
    const { accessToken: _old, expiresAt: _end, obtainedAt: _begin, ...kept } = grant
    return readGrant(kept, answer, sentAt)
  })
}

/** What fails here is the network, or an answer that is none of OAuth. */
async function answerTo<T>(issuer: string, signal: AbortSignal, action: () => Promise<T>): Promise<T> {
  try {
    return await action()
  } catch (error) {
    signal.throwIfAborted()
    throw new RefreshError('transient', `${issuer} gives no token for now: ${networkReason(error)}`)
  }
}

/** Only a 4xx with an OAuth error says no; 429 says later, whatever its body says: spec/local 11.2. */
async function refusalOf(issuer: string, response: Response): Promise<RefreshError> {
  const { status } = response
  const answer = await readOAuthError(response)
  const isNo = status >= 400 && status < 500 && status !== 429 && answer !== undefined
  if (isNo) return new RefreshError('permanent', `${issuer} refuses a new token: ${answer}`)
  return new RefreshError('transient', `${issuer} gives no token for now: it answers with the status ${status}`)
}
