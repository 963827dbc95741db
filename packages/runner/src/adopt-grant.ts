import {
  authorizationTargetOf,
  grantPrefix,
  grantReferenceOf,
  parseClientSecret,
  workloadSecretName,
  type AuthorizationPlan,
  type ClientIdentity,
  type RemoteAuthorization,
  type RemoteGrant,
  type RunConfig,
  type SecretStore,
} from '@thv/core'

/** What the login of another program is taken over with. */
export interface AdoptDeps {
  secrets: Pick<SecretStore, 'get'>
  authorization: () => Promise<Pick<RemoteAuthorization, 'discover'>>
  readUserFile: (path: string) => Promise<string>
}

/** The name of the secret that holds the grant of a workload, whether or not its config says so. */
export function referenceOf(config: RunConfig): string {
  return grantReferenceOf(config) ?? `${grantPrefix}${config.name}`
}

/**
 * A grant out of what ToolHive leaves of a login: a refresh token in the secret store and a client in the run config. It has no
 * access token yet. Undefined where there is no such login. Rejects as discovery and the secret store do.
 */
export async function adoptGrant(
  deps: AdoptDeps,
  config: RunConfig & { remote_url: string },
  signal: AbortSignal,
): Promise<RemoteGrant | undefined> {
  const auth = config.remote_auth_config ?? {}
  const [registered, document, configured] = [auth.cached_client_id, auth.cached_cimd_client_id, auth.client_id]
  const clientId = [registered, document, configured].find((id) => id !== undefined && id !== '')
  const refreshToken = await secretOf(deps, referenceOf(config), signal)
  if (clientId === undefined || refreshToken === undefined) return undefined
  const authorization = await deps.authorization()
  const plan = await authorization.discover(await authorizationTargetOf(deps, config), signal)
  if (plan === undefined) return undefined
  const secretName = parseClientSecret(auth.client_secret ?? '') ?? text(auth['cached_client_secret_ref'])
  const clientSecret = secretName === '' ? undefined : await secretOf(deps, secretName, signal)
  const kind = clientId === registered ? 'registered' : clientId === document ? 'metadata-document' : 'configured'
  const { issuer, resource, tokenEndpoint, revocationEndpoint, scopes } = plan
  return {
    issuer,
    resource,
    tokenEndpoint,
    ...(revocationEndpoint === undefined ? {} : { revocationEndpoint }),
    client: {
      clientId,
      kind,
      authMethod: methodOf(auth.cached_token_auth_method, plan, clientSecret),
      ...(clientSecret === undefined ? {} : { clientSecret }),
    },
    accessToken: '',
    refreshToken,
    scopes,
    obtainedAt: new Date(0).toISOString(),
  }
}

function methodOf(
  cached: string | undefined,
  { tokenAuthMethods }: AuthorizationPlan,
  clientSecret: string | undefined,
): ClientIdentity['authMethod'] {
  if (clientSecret === undefined) return 'none'
  if (cached === 'client_secret_post' || cached === 'client_secret_basic') return cached
  const takesBasic = tokenAuthMethods.length === 0 || tokenAuthMethods.includes('client_secret_basic')
  return takesBasic ? 'client_secret_basic' : 'client_secret_post'
}

/** A name may lead to what was there before secrets had scopes: spec/local 9.3. */
async function secretOf({ secrets }: AdoptDeps, name: string, signal: AbortSignal): Promise<string | undefined> {
  const value = (await secrets.get(workloadSecretName(name), signal)) ?? (await secrets.get(name, signal))
  return value === '' ? undefined : value
}

/** ToolHive may name the use of a secret with it. */
function text(value: unknown): string {
  return typeof value === 'string' ? (value.split(',')[0] ?? '') : ''
}
