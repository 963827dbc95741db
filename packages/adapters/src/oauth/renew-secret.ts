import { authorizationUrlProblem, type ClientIdentity } from '@thv/core'
import { sendBounded, type HttpOptions } from './bounded-request.ts'
import { oauthLimits } from './oauth-limits.ts'
import { readRegistration } from './register-client.ts'

/**
 * Has the secret of a registered client renewed when it ends soon (RFC 7592 2.2). Resolves to the client as it was when
 * there is nothing to renew, no time for it, or the server does not: the old secret may still do. Never rejects.
 */
export async function renewSecret(
  http: HttpOptions,
  { client, now }: { client: ClientIdentity; now: () => number },
  signal: AbortSignal,
): Promise<ClientIdentity> {
  const { registration, clientSecret, clientSecretExpiresAt: end } = client
  if (registration === undefined || clientSecret === undefined || end === undefined) return client
  if (Date.parse(end) - now() > oauthLimits.secretRenewalMs) return client
  if (authorizationUrlProblem(registration.uri, true) !== undefined) return client
  try {
    const present = await manage(http, registration, { method: 'GET', signal })
    const { accessToken = registration.accessToken } = readRegistrationToken(present)
    const metadata = Object.fromEntries(Object.entries(present).filter(([key]) => !ofTheServer.has(key)))
    const renewed = await manage(
      http,
      { uri: registration.uri, accessToken },
      { method: 'PUT', signal, body: JSON.stringify(metadata) },
    )
    return readRegistration(
      { registration_client_uri: registration.uri, registration_access_token: accessToken, ...renewed },
      { asked: client.authMethod, registrationEndpoint: registration.uri },
    )
  } catch {
    return client
  }
}

/** RFC 7592 2.2: what an update must not contain. */
const ofTheServer: ReadonlySet<string> = new Set([
  'registration_access_token',
  'registration_client_uri',
  'client_secret_expires_at',
  'client_id_issued_at',
])

async function manage(
  http: HttpOptions,
  { uri, accessToken }: { uri: string; accessToken: string },
  { method, body, signal }: { method: string; body?: string; signal: AbortSignal },
): Promise<Record<string, unknown>> {
  const response = await sendBounded(http, new URL(uri), {
    method,
    signal,
    headers: { authorization: `Bearer ${accessToken}`, accept: 'application/json', 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body }),
  })
  const answer: unknown = await response.json()
  if (response.status !== 200 || typeof answer !== 'object' || answer === null) throw new Error('no registration')
  return { ...answer }
}

function readRegistrationToken({ registration_access_token: token }: Readonly<Record<string, unknown>>): {
  accessToken?: string
} {
  return typeof token === 'string' ? { accessToken: token } : {}
}
