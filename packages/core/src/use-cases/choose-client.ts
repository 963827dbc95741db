import { clientSecretPrefix, parseClientSecret, type RemoteAuthConfig } from '../domain/remote-auth.ts'
import type { ClientIdentity, RemoteGrant } from '../domain/remote-grant.ts'
import { ThvError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Clock } from '../ports/clock.ts'
import type { AuthorizationPlan } from '../ports/remote-authorization.ts'
import type { UserSecrets } from './manage-secrets.ts'
import { getWorkloadSecret } from './workload-secrets.ts'

/** What {@link chooseClient} needs. */
export interface ChooseClientDeps {
  userSecrets: UserSecrets
  /** Reads a file of the user; rejects when it cannot. */
  readUserFile: (path: string) => Promise<string>
  clock: Clock
}

/** Who to be at an authorization server, and where its answers are to arrive. */
export interface ChosenClient {
  /** A client that is known already; undefined when one is to be registered, or is a document. */
  client?: ClientIdentity
  metadataDocumentUrl?: string
  /** Where to listen; another port is no use to a client that was set up by hand. */
  port: number
  orElse: 'any' | 'fail'
}

/**
 * The client of a login: one that was set up by hand, else one that a login before has registered with the same
 * authorization server. `login-failed` for a client with a secret when another authorization server has taken the place of
 * the last login's; `secret-not-found`, or what reading the file of the secret says.
 */
export async function chooseClient(
  deps: ChooseClientDeps,
  known: { auth: RemoteAuthConfig; plan: AuthorizationPlan; grant: RemoteGrant | undefined },
  signal: AbortSignal,
): Promise<ChosenClient> {
  const { auth, plan, grant } = known
  const { client_id: clientId = '', callback_port: callbackPort = 0, cached_dcr_callback_port: registeredPort } = auth
  const port = callbackPort === 0 ? limits.callbackPort : callbackPort
  if (clientId !== '' && !isMetadataDocument(clientId)) {
    const client = await configuredClient(deps, { auth, clientId, plan }, signal)
    if (client.clientSecret !== undefined) assertSameIssuer(auth, plan, grant)
    return { client, port, orElse: 'fail' }
  }
  if (clientId !== '' && plan.takesMetadataDocuments) return { metadataDocumentUrl: clientId, port, orElse: 'any' }
  const isUsable = grant !== undefined && isRegisteredWith(plan, grant, deps.clock)
  if (!isUsable || registeredPort === undefined) return { port, orElse: 'any' }
  return { client: grant.client, port: registeredPort, orElse: 'any' }
}

/** What is left of a choice when the listener got another port: a registered client has said where it listens. */
export function atPort(chosen: ChosenClient, port: number): Pick<ChosenClient, 'client' | 'metadataDocumentUrl'> {
  const { client, metadataDocumentUrl } = chosen
  if (client?.kind === 'registered' && port !== chosen.port) return {}
  return {
    ...(client === undefined ? {} : { client }),
    ...(metadataDocumentUrl === undefined ? {} : { metadataDocumentUrl }),
  }
}

/** draft-ietf-oauth-client-id-metadata-document: such an id is an https URL. */
function isMetadataDocument(clientId: string): boolean {
  return clientId.startsWith('https://')
}

async function configuredClient(
  deps: ChooseClientDeps,
  { auth, clientId, plan }: { auth: RemoteAuthConfig; clientId: string; plan: AuthorizationPlan },
  signal: AbortSignal,
): Promise<ClientIdentity> {
  const clientSecret = await readSecret(deps, auth, signal)
  if (clientSecret === undefined) return { clientId, kind: 'configured', authMethod: 'none' }
  const takesPostOnly =
    plan.tokenAuthMethods.includes('client_secret_post') && !plan.tokenAuthMethods.includes('client_secret_basic')
  const authMethod = takesPostOnly ? 'client_secret_post' : 'client_secret_basic'
  return { clientId, kind: 'configured', authMethod, clientSecret }
}

async function readSecret(
  { userSecrets, readUserFile }: ChooseClientDeps,
  { client_secret_file: file = '', client_secret: reference = '' }: RemoteAuthConfig,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (file !== '') return (await readUserFile(file)).trim()
  const name = parseClientSecret(reference)
  if (name === undefined) return undefined
  return await getWorkloadSecret(userSecrets, { name, prefix: clientSecretPrefix }, signal)
}

/** The remote server alone says who gives its tokens: it must not lead the user's secret elsewhere. */
function assertSameIssuer(auth: RemoteAuthConfig, plan: AuthorizationPlan, grant: RemoteGrant | undefined): void {
  const isChosen = [auth.issuer, auth.authorize_url].some((url) => url !== undefined && url !== '')
  if (isChosen || grant === undefined || grant.issuer === plan.issuer) return
  throw new ThvError(
    'login-failed',
    `the remote server now names the authorization server ${plan.issuer}, and the last login was at ${grant.issuer}: it is not told the client secret`,
    { hint: "ask whoever runs the remote server; when that is right, run 'thv logout' first" },
  )
}

/** A client is of no use with another authorization server, nor after the end of its secret. */
function isRegisteredWith(plan: AuthorizationPlan, { client, issuer }: RemoteGrant, clock: Clock): boolean {
  if (client.kind !== 'registered' || issuer !== plan.issuer) return false
  const { clientSecretExpiresAt: end } = client
  return end === undefined || Date.parse(end) > clock.now().getTime() + limits.loginMs
}
