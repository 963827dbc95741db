import type { RemoteAuthConfig } from '../domain/remote-auth.ts'
import type { ClientIdentity, RemoteGrant } from '../domain/remote-grant.ts'
import { isGrantFor } from '../domain/is-grant-for.ts'
import type { RunConfig } from '../domain/run-config.ts'
import { takesLogin } from '../domain/takes-login.ts'
import { ThvError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { LoginAnswer, LoginCallback, OpenLoginCallback } from '../ports/login-callback.ts'
import type {
  AuthorizationPlan,
  AuthorizationTarget,
  LoginWishes,
  PendingLogin,
  RemoteAuthorization,
} from '../ports/remote-authorization.ts'
import type { StatusStore } from '../ports/state-store.ts'
import { withTimeLimit } from '../with-time-limit.ts'
import { atPort, chooseClient, type ChooseClientDeps } from './choose-client.ts'
import { grantReferenceOf, nameGrant, withoutClient, type KeepLoginDeps } from './keep-login.ts'
import { workloadNotFound } from './list-workloads.ts'

/** What {@link logIn} needs. */
export interface LogInDeps extends ChooseClientDeps, KeepLoginDeps {
  authorization: RemoteAuthorization
  statuses: StatusStore
  openCallback: OpenLoginCallback
}

/** One login. */
export interface LogInRequest {
  name: string
  /** In the place of all that is known about scopes. */
  scopes?: readonly string[] | undefined
  callbackPort?: number | undefined
  /** From the URL on, for a person. */
  timeoutMs: number
}

/** What a login has led to. */
export interface LoggedIn {
  issuer: string
  scopes: readonly string[]
  /** Whether the grant renews itself; otherwise its end needs another login. */
  renews: boolean
}

/**
 * Logs in to the remote server of a workload: finds out who gives out tokens, has a person open `show`'s URL in a browser,
 * and keeps the grant; the supervisor takes it up by itself. Rejects with `login-failed`, `login-timeout`, `port-in-use`,
 * `invalid-argument` for a workload that takes no login, and what the secret store says; all is then as it was.
 */
export async function logIn(
  deps: LogInDeps,
  request: LogInRequest,
  show: (url: string) => Promise<void>,
  signal: AbortSignal,
): Promise<LoggedIn> {
  const config = await loadLogin(deps, request.name, signal)
  const auth = config.remote_auth_config ?? {}
  const target = await targetOf(deps, config)
  const plan = await deps.authorization.discover(target, signal)
  if (plan === undefined) throw nobodyAsks(request.name)
  const grant = await deps.grants.read(referenceOf(config), signal)
  if (grant !== undefined && !isGrantFor(grant, config)) throw foreignGrant(request.name)
  const chosen = await chooseClient(deps, { auth, plan, grant }, signal)
  const scopes = request.scopes ?? (await scopesOf(deps, { config, plan, grant }))
  const callback = await deps.openCallback({ port: request.callbackPort ?? chosen.port, orElse: chosen.orElse })
  try {
    const wishes = wishesOf(auth, { ...atPort(chosen, callback.port), scopes, port: callback.port })
    const pending = await deps.authorization.begin(plan, wishes, signal)
    // Both at once: a browser with a session of its own may be back before it is said to be open.
    const [answer] = await Promise.all([
      waitForAnswer(callback, pending, request, signal),
      show(pending.authorizationUrl),
    ])
    const obtained = await answered(answer, async () => {
      const fresh = await deps.authorization.finish(pending, answer.url, signal)
      // The code is used up: from here on an interruption must not lose what it brought.
      await keep(deps, config, { grant: fresh, port: callback.port })
      return fresh
    })
    return { issuer: obtained.issuer, scopes: obtained.scopes, renews: obtained.refreshToken !== undefined }
  } finally {
    await callback.close()
  }
}

/** The config of a workload that takes a login, with a name for its grant. `workload-not-found`, `invalid-argument`. */
export async function loadLogin(
  deps: Pick<LogInDeps, 'configs' | 'grants'>,
  name: string,
  signal: AbortSignal,
): Promise<RunConfig & { remote_url: string }> {
  const { configs } = deps
  const config = await configs.load(name)
  if (config === undefined) throw workloadNotFound(name)
  if (!takesLogin(config)) {
    const why = (config.remote_url ?? '') === '' ? 'its server is not at a URL' : 'it was given a token'
    throw new ThvError('invalid-argument', `'${name}' takes no login: ${why}`, {
      hint: 'logins are for remote servers that are run without a token',
    })
  }
  if (grantReferenceOf(config) === undefined) {
    // Another program has saved it.
    await nameGrant(deps, config, signal)
    await configs.save(config)
  }
  return config
}

/** The name of the secret that holds the grant of a config that has one. */
export function referenceOf(config: RunConfig): string {
  const reference = grantReferenceOf(config)
  if (reference === undefined) throw new TypeError('the config has no name for its grant')
  return reference
}

/** What an authorization server is found by. */
export async function targetOf(
  { readUserFile }: Pick<LogInDeps, 'readUserFile'>,
  { remote_url: url, remote_auth_config: auth = {}, thv_ca_bundle: bundle = '' }: RunConfig & { remote_url: string },
): Promise<AuthorizationTarget> {
  const { issuer = '', authorize_url: authorizeUrl = '', token_url: tokenUrl = '', resource = '' } = auth
  return {
    url,
    ...(issuer === '' ? {} : { issuer }),
    ...(authorizeUrl === '' ? {} : { endpoints: { authorizeUrl, tokenUrl } }),
    ...(resource === '' ? {} : { resource }),
    ...(bundle === '' ? {} : { ca: await readUserFile(bundle) }),
  }
}

/** What was said, or is asked for, together with what was granted before and what a call has turned out to need. */
async function scopesOf(
  { statuses }: LogInDeps,
  { config, plan, grant }: { config: RunConfig; plan: AuthorizationPlan; grant: RemoteGrant | undefined },
): Promise<string[]> {
  const { scopes = [] } = config.remote_auth_config ?? {}
  const wanted = (await statuses.read(config.name))?.thv?.wanted_scopes ?? []
  const granted = grant?.issuer === plan.issuer ? grant.scopes : []
  return [...new Set([...(scopes.length > 0 ? scopes : plan.scopes), ...granted, ...wanted])]
}

function wishesOf(
  { scope_param_name: scopeParameter = '', oauth_params: parameters }: RemoteAuthConfig,
  known: Pick<LoginWishes, 'client' | 'metadataDocumentUrl' | 'scopes'> & { port: number },
): LoginWishes {
  const { port, ...wishes } = known
  return {
    ...wishes,
    redirectUri: `http://localhost:${port}/callback`,
    ...(parameters === undefined ? {} : { parameters }),
    ...(scopeParameter === '' ? {} : { scopeParameter }),
  }
}

async function waitForAnswer(
  callback: LoginCallback,
  { state }: PendingLogin,
  { name, timeoutMs }: LogInRequest,
  signal: AbortSignal,
): Promise<LoginAnswer> {
  const bounded = withTimeLimit(signal, timeoutMs)
  try {
    return await callback.wait(state, bounded)
  } catch (error) {
    signal.throwIfAborted()
    if (!bounded.aborted) throw error
    throw new ThvError('login-timeout', `nobody has logged in to '${name}' within ${timeoutMs / 1000} s`, {
      hint: `run 'thv login ${name}', and open the URL that it shows`,
      cause: error,
    })
  }
}

/** The page tells the truth about what followed. */
async function answered<T>(answer: LoginAnswer, action: () => Promise<T>): Promise<T> {
  let outcome: 'done' | 'failed' = 'failed'
  try {
    const result = await action()
    outcome = 'done'
    return result
  } finally {
    await answer.reply(outcome)
  }
}

async function keep(
  { configs, grants }: LogInDeps,
  before: RunConfig,
  { grant, port }: { grant: RemoteGrant; port: number },
): Promise<void> {
  const reference = referenceOf(before)
  // Read again: it may have been edited, or removed, while somebody was looking for the password.
  const config = await configs.load(before.name)
  if (config === undefined) throw workloadNotFound(before.name)
  if (config.remote_url !== before.remote_url || grantReferenceOf(config) !== reference) {
    throw new ThvError('login-failed', `'${before.name}' was changed during the login`, { hint: 'log in again' })
  }
  const auth = { ...withoutClient(config.remote_auth_config), ...clientKeys(grant.client, port) }
  // Before the grant: one that no config tells of would be removed by nobody.
  await configs.save({ ...config, remote_auth_config: auth })
  try {
    await grants.renew(reference, async () => grant, AbortSignal.timeout(limits.undoMs))
  } catch (error) {
    await configs.save(config)
    throw error
  }
}

function clientKeys(
  { clientId, kind, authMethod, clientSecretExpiresAt }: ClientIdentity,
  port: number,
): RemoteAuthConfig {
  return {
    ...(kind === 'metadata-document' ? { cached_cimd_client_id: clientId } : { cached_client_id: clientId }),
    cached_token_auth_method: authMethod,
    ...(kind === 'registered' ? { cached_dcr_callback_port: port } : {}),
    ...(clientSecretExpiresAt === undefined ? {} : { cached_secret_expiry: clientSecretExpiresAt }),
  }
}

function nobodyAsks(name: string): ThvError {
  return new ThvError('login-failed', `the server of '${name}' asks for no login`, {
    hint: `see 'thv explain ${name}'; a server that wants a token of another kind takes --remote-auth-bearer-token-file`,
  })
}

/** A new grant in its place would end the login of the other one. */
function foreignGrant(name: string): ThvError {
  return new ThvError('login-failed', `the run config of '${name}' names the login of another server`, {
    hint: `remove it with 'thv rm ${name}', and run it again`,
  })
}
