import type { AuthorizationPlan, ClientIdentity, TokenAuthMethod } from '@thv/core'
import { dynamicClientRegistrationRequest, processDynamicClientRegistrationResponse } from 'oauth4webapi'
import type { HttpOptions } from './bounded-request.ts'
import { loginFailed, networkReason } from './login-failed.ts'
import { assertSuccess } from './oauth-error.ts'
import { protocolOptions } from './protocol-options.ts'

/**
 * Registers a native client for one redirect URI (RFC 7591), without a secret where the server takes such clients.
 * Rejects with `login-failed` when it registers none.
 */
export async function registerClient(
  http: HttpOptions,
  { plan, redirectUri }: { plan: AuthorizationPlan; redirectUri: string },
  signal: AbortSignal,
): Promise<ClientIdentity> {
  const { issuer, registrationEndpoint } = plan
  if (registrationEndpoint === undefined) throw refused(issuer, 'it registers no clients')
  const asked = tokenAuthMethods.find((method) => plan.tokenAuthMethods.includes(method))
  if (asked === undefined) throw refused(issuer, 'it wants clients to prove themselves with keys')
  try {
    const response = await dynamicClientRegistrationRequest(
      { issuer, registration_endpoint: registrationEndpoint },
      {
        client_name: 'thv',
        application_type: 'native',
        redirect_uris: [redirectUri],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: asked,
      },
      protocolOptions(http, signal),
    )
    await assertSuccess(response)
    return readRegistration(await processDynamicClientRegistrationResponse(response), { asked, registrationEndpoint })
  } catch (error) {
    signal.throwIfAborted()
    throw refused(issuer, `it does not register us: ${networkReason(error)}`)
  }
}

/** Reads what a registration or its renewal answered: RFC 7591 3.2.1. Throws for a client that could not prove itself. */
export function readRegistration(
  answer: Readonly<Record<string, unknown>>,
  { asked, registrationEndpoint }: { asked: TokenAuthMethod; registrationEndpoint: string },
): ClientIdentity {
  const { client_id: clientId, client_secret: secret, client_secret_expires_at: end } = answer
  const method = answer['token_endpoint_auth_method'] ?? asked
  const authMethod = tokenAuthMethods.find((known) => known === method)
  if (typeof clientId !== 'string' || authMethod === undefined)
    throw new Error('it wants a method that is not supported')
  const clientSecret = typeof secret === 'string' && authMethod !== 'none' ? secret : undefined
  if (clientSecret === undefined && authMethod !== 'none') throw new Error('it gives no secret')
  const ends = clientSecret !== undefined && typeof end === 'number' && end > 0
  const registration = readManagement(answer, registrationEndpoint)
  return {
    kind: 'registered',
    clientId,
    authMethod,
    ...(clientSecret === undefined ? {} : { clientSecret }),
    ...(ends ? { clientSecretExpiresAt: new Date(Math.min(end * 1000, lastDateMs)).toISOString() } : {}),
    ...(registration === undefined ? {} : { registration }),
  }
}

/** In the order in which we want them. */
const tokenAuthMethods = ['none', 'client_secret_basic', 'client_secret_post'] as const satisfies TokenAuthMethod[]

/** What a date can hold. */
const lastDateMs = 8.64e15

/** Where the registration is managed; elsewhere than at the registration endpoint nobody gets its token. */
function readManagement(
  { registration_client_uri: uri, registration_access_token: accessToken }: Readonly<Record<string, unknown>>,
  registrationEndpoint: string,
): ClientIdentity['registration'] {
  if (typeof uri !== 'string' || typeof accessToken !== 'string' || !URL.canParse(uri)) return undefined
  return new URL(uri).origin === new URL(registrationEndpoint).origin ? { uri, accessToken } : undefined
}

function refused(issuer: string, why: string): Error {
  return loginFailed(
    `thv cannot become a client of ${issuer}: ${why}`,
    'register one there and pass --remote-auth-client-id, or pass a token with --remote-auth-bearer-token-file',
  )
}
