import { readScopes, type AuthorizationPlan } from '@thv/core'
import type { AuthorizationServer } from 'oauth4webapi'
import { loginFailed } from './login-failed.ts'
import type { UrlCheck } from './url-check.ts'

/** What a plan has from the remote server. */
export type ServerPart = Pick<AuthorizationPlan, 'resource' | 'scopes' | 'ca'>

/**
 * Makes a plan out of the metadata of an authorization server. Rejects with `login-failed` when a login would not be safe
 * there or cannot work: no PKCE with S256, no authorization code, an endpoint that may not be used.
 */
export async function buildPlan(
  metadata: AuthorizationServer,
  server: ServerPart,
  check: UrlCheck,
): Promise<AuthorizationPlan> {
  const { issuer } = metadata
  assertCapable(metadata)
  const endpoint = async (name: Endpoint): Promise<string | undefined> => {
    const url = metadata[name]
    if (url === undefined) return undefined
    if (typeof url !== 'string') throw refused(issuer, `its ${name} is no text`)
    const problem = await check.problemOf(url)
    if (problem !== undefined) throw refused(issuer, `its ${name} cannot be used: ${problem}`)
    return url
  }
  const [authorizationEndpoint, tokenEndpoint] = [
    await endpoint('authorization_endpoint'),
    await endpoint('token_endpoint'),
  ]
  if (authorizationEndpoint === undefined) throw refused(issuer, 'its metadata has no authorization_endpoint')
  if (tokenEndpoint === undefined) throw refused(issuer, 'its metadata has no token_endpoint')
  const registrationEndpoint = await endpoint('registration_endpoint')
  const revocationEndpoint = await endpoint('revocation_endpoint')
  return {
    ...server,
    issuer,
    authorizationEndpoint,
    tokenEndpoint,
    ...(registrationEndpoint === undefined ? {} : { registrationEndpoint }),
    ...(revocationEndpoint === undefined ? {} : { revocationEndpoint }),
    takesMetadataDocuments: metadata['client_id_metadata_document_supported'] === true,
    namesIssuer: metadata.authorization_response_iss_parameter_supported === true,
    takesOfflineAccess: readScopes(metadata.scopes_supported).includes('offline_access'),
    // RFC 8414 2: what holds where the metadata is silent.
    tokenAuthMethods: readScopes(metadata.token_endpoint_auth_methods_supported ?? 'client_secret_basic'),
  }
}

type Endpoint = 'authorization_endpoint' | 'token_endpoint' | 'registration_endpoint' | 'revocation_endpoint'

function assertCapable(metadata: AuthorizationServer): void {
  const { issuer, code_challenge_methods_supported: challenges, response_types_supported: responses } = metadata
  if (!lists(challenges, 'S256')) {
    throw refused(issuer, 'it does not say that it protects logins with PKCE and S256, which MCP demands')
  }
  if (responses !== undefined && !lists(responses, 'code')) throw refused(issuer, 'it has no authorization code flow')
}

function lists(values: unknown, wanted: string): boolean {
  return Array.isArray(values) && values.includes(wanted)
}

function refused(issuer: string, why: string): Error {
  return loginFailed(
    `the authorization server ${issuer} cannot be used: ${why}`,
    'ask whoever runs it, or pass a token with --remote-auth-bearer-token-file',
  )
}
