import type { AuthorizationPlan, ClientIdentity, LoginWishes, PendingLogin } from '@thv/core'
import { buildLogin, scopesOf } from './authorization-request.ts'
import { sendBounded, type HttpOptions } from './bounded-request.ts'
import { registerClient } from './register-client.ts'

/** As `RemoteAuthorization.begin`. */
export async function beginLogin(
  http: HttpOptions,
  { plan, wishes }: { plan: AuthorizationPlan; wishes: LoginWishes },
  signal: AbortSignal,
): Promise<PendingLogin> {
  const scopes = scopesOf(plan, wishes)
  const known = wishes.client ?? documentClient(plan, wishes)
  if (known !== undefined) {
    const pending = await buildLogin(plan, wishes, { client: known, scopes })
    if (known.kind === 'configured' || (await isClientTaken(http, { plan, wishes, client: known }, signal)))
      return pending
  }
  const client = await registerClient(http, { plan, redirectUri: wishes.redirectUri }, signal)
  return await buildLogin(plan, wishes, { client, scopes })
}

function documentClient(plan: AuthorizationPlan, { metadataDocumentUrl }: LoginWishes): ClientIdentity | undefined {
  if (!plan.takesMetadataDocuments || metadataDocumentUrl === undefined) return undefined
  return { kind: 'metadata-document', clientId: metadataDocumentUrl, authMethod: 'none' }
}

/**
 * Whether the authorization server takes a document for a client, or still knows one that was registered. It tells nobody
 * but the browser, which would be shown an error page in the middle of a login; so it is asked beforehand, with a login that
 * nobody goes on with. Whatever is no clear refusal counts as yes.
 */
async function isClientTaken(
  http: HttpOptions,
  { plan, wishes, client }: { plan: AuthorizationPlan; wishes: LoginWishes; client: ClientIdentity },
  signal: AbortSignal,
): Promise<boolean> {
  const trial = await buildLogin(plan, wishes, { client, scopes: scopesOf(plan, wishes) })
  try {
    const request = { method: 'GET', headers: { accept: 'text/html' }, headOnly: true, signal }
    const { status, headers } = await sendBounded(http, new URL(trial.authorizationUrl), request)
    const location = headers.get('location') ?? ''
    const error = location.startsWith(`${wishes.redirectUri}?`) ? new URL(location).searchParams.get('error') : null
    return error !== 'invalid_client' && error !== 'unauthorized_client' && !refusals.has(status)
  } catch {
    signal.throwIfAborted()
    return true
  }
}

/** What is in front of many servers keeps programs out with 403 or 429: that says nothing about the client. */
const refusals: ReadonlySet<number> = new Set([400, 401, 404, 422])
