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
  if (wishes.client !== undefined) return await buildLogin(plan, wishes, { client: wishes.client, scopes })
  const { metadataDocumentUrl, redirectUri } = wishes
  if (plan.takesMetadataDocuments && metadataDocumentUrl !== undefined) {
    const client: ClientIdentity = { kind: 'metadata-document', clientId: metadataDocumentUrl, authMethod: 'none' }
    const trial = await buildLogin(plan, wishes, { client, scopes })
    if (await isClientTaken(http, trial, signal)) return await buildLogin(plan, wishes, { client, scopes })
  }
  const client = await registerClient(http, { plan, redirectUri }, signal)
  return await buildLogin(plan, wishes, { client, scopes })
}

/**
 * Whether the authorization server takes a document for a client. It tells nobody but the browser, which would be shown an
 * error page in the middle of a login; so it is asked beforehand, with a login that nobody goes on with. Whatever is no
 * clear refusal counts as yes.
 */
async function isClientTaken(
  http: HttpOptions,
  { authorizationUrl, redirectUri }: PendingLogin,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const request = { method: 'GET', headers: { accept: 'text/html' }, headOnly: true, signal }
    const { status, headers } = await sendBounded(http, new URL(authorizationUrl), request)
    const location = headers.get('location') ?? ''
    const isError = location.startsWith(`${redirectUri}?`) && new URL(location).searchParams.has('error')
    return !isError && !(status >= 400 && status < 500)
  } catch {
    signal.throwIfAborted()
    return true
  }
}
