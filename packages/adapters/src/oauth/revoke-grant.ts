import type { RemoteGrant } from '@thv/core'
import { processRevocationResponse, revocationRequest } from 'oauth4webapi'
import type { HttpOptions } from './bounded-request.ts'
import { clientAuthentication } from './client-authentication.ts'
import { loginFailed, networkReason } from './login-failed.ts'
import { readOAuthError } from './oauth-error.ts'
import { protocolOptions } from './protocol-options.ts'

/** As `RemoteAuthorization.revoke`: the refresh token first, because that ends the login. */
export async function revokeGrant(http: HttpOptions, grant: RemoteGrant, signal: AbortSignal): Promise<void> {
  const { refreshToken, accessToken, revocationEndpoint } = grant
  if (revocationEndpoint === undefined) return
  if (refreshToken !== undefined) await revokeToken(http, { grant, token: refreshToken, hint: 'refresh_token' }, signal)
  await revokeToken(http, { grant, token: accessToken, hint: 'access_token' }, signal)
}

async function revokeToken(
  http: HttpOptions,
  { grant, token, hint }: { grant: RemoteGrant; token: string; hint: string },
  signal: AbortSignal,
): Promise<void> {
  const { client, issuer, revocationEndpoint = '' } = grant
  try {
    const response = await revocationRequest(
      { issuer, revocation_endpoint: revocationEndpoint },
      { client_id: client.clientId },
      clientAuthentication(client),
      token,
      { ...protocolOptions(http, signal), additionalParameters: { token_type_hint: hint } },
    )
    // RFC 7009 2.2.1: a server may revoke refresh tokens only; the others end by themselves.
    const refusal = response.ok
      ? undefined
      : ((await readOAuthError(response)) ?? `it answers with the status ${response.status}`)
    if (refusal?.startsWith('unsupported_token_type') === true) return
    if (refusal !== undefined) throw new Error(refusal)
    await processRevocationResponse(response)
  } catch (error) {
    signal.throwIfAborted()
    throw loginFailed(
      `${issuer} did not take the login back: ${networkReason(error)}`,
      'end it in the account settings there',
    )
  }
}
