import { createHash, timingSafeEqual } from 'node:crypto'
import { remoteErrorText, type PendingLogin, type RemoteGrant } from '@thv/core'
import {
  authorizationCodeGrantRequest,
  AuthorizationResponseError,
  processAuthorizationCodeResponse,
  validateAuthResponse,
  type AuthorizationServer,
} from 'oauth4webapi'
import type { HttpOptions } from './bounded-request.ts'
import { clientAuthentication } from './client-authentication.ts'
import { loginFailed, networkReason } from './login-failed.ts'
import { assertSuccess } from './oauth-error.ts'
import { protocolOptions } from './protocol-options.ts'
import { readGrant, withoutIdToken } from './read-grant.ts'

/** As `RemoteAuthorization.finish`. */
export async function finishLogin(
  http: HttpOptions,
  { pending, callback, now }: { pending: PendingLogin; callback: URL; now: () => number },
  signal: AbortSignal,
): Promise<RemoteGrant> {
  const { plan, client, redirectUri, codeVerifier, scopes } = pending
  const server: AuthorizationServer = {
    issuer: plan.issuer,
    token_endpoint: plan.tokenEndpoint,
    authorization_response_iss_parameter_supported: plan.namesIssuer,
  }
  const parameters = checkCallback(server, pending, callback)
  const sentAt = now()
  try {
    const response = await authorizationCodeGrantRequest(
      server,
      { client_id: client.clientId },
      clientAuthentication(client),
      parameters,
      redirectUri,
      codeVerifier,
      { ...protocolOptions(http, signal), additionalParameters: { resource: plan.resource } },
    )
    await assertSuccess(response)
    const answer = await processAuthorizationCodeResponse(
      server,
      { client_id: client.clientId },
      await withoutIdToken(response),
    )
    const { issuer, resource, tokenEndpoint, revocationEndpoint } = plan
    const revocation = revocationEndpoint === undefined ? {} : { revocationEndpoint }
    return readGrant({ issuer, resource, tokenEndpoint, ...revocation, client, scopes }, answer, sentAt)
  } catch (error) {
    signal.throwIfAborted()
    throw loginFailed(`${plan.issuer} gave no token for the login: ${networkReason(error)}`, 'log in again')
  }
}

/** Checks state and issuer (RFC 9207), and only then looks at an error: one of somebody else is never shown. */
function checkCallback(
  server: AuthorizationServer,
  { client, state, plan }: PendingLogin,
  callback: URL,
): URLSearchParams {
  const { searchParams } = callback
  if (!isSame(searchParams.get('state') ?? '', state)) {
    throw loginFailed('the answer that the browser brought belongs to another login', 'log in again')
  }
  try {
    return validateAuthResponse(server, { client_id: client.clientId }, searchParams, state)
  } catch (error) {
    if (error instanceof AuthorizationResponseError) {
      throw loginFailed(
        `${plan.issuer} refused the login: ${remoteErrorText(error.error, error.error_description)}`,
        'log in again, and allow what is asked for',
      )
    }
    throw loginFailed(
      `the answer that the browser brought is not one of ${plan.issuer}`,
      'somebody may be mixing up authorization servers: do not log in elsewhere, and try again',
    )
  }
}

/** In constant time. */
function isSame(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(expected))
}
