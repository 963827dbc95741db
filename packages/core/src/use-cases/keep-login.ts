import {
  clientSecretPrefix,
  formatClientSecret,
  grantPrefix,
  parseClientSecret,
  type RemoteAuthConfig,
} from '../domain/remote-auth.ts'
import { isGrantFor } from '../domain/is-grant-for.ts'
import type { RunConfig } from '../domain/run-config.ts'
import { workloadSecretName } from '../domain/secret-name.ts'
import { takesLogin } from '../domain/takes-login.ts'
import type { GrantStore } from '../ports/grant-store.ts'
import type { RunConfigStore } from '../ports/state-store.ts'
import type { UserSecrets } from './manage-secrets.ts'
import { bearerTokenOf, forgetBearerToken } from './workload-secrets.ts'

/** Where logins are kept. */
export interface KeepLoginDeps {
  configs: RunConfigStore
  grants: GrantStore
  userSecrets: UserSecrets
}

/**
 * Gives a config that takes a login the name of the secret that will hold its grant: a supervisor knows so from the
 * beginning where to look. The name is that of no other config; one that was exported after a login shares its
 * grant, if it is still for the same server.
 */
export async function nameGrant(
  deps: Pick<KeepLoginDeps, 'configs' | 'grants'>,
  config: RunConfig,
  signal: AbortSignal,
): Promise<void> {
  if (!takesLogin(config) || (await sharesGrant(deps, config, signal))) return
  const taken = (await readOthers(deps.configs, config.name)).map(grantReferenceOf)
  const reference = freeName(`${grantPrefix}${config.name}`, taken)
  config.remote_auth_config = { ...withoutClient(config.remote_auth_config), cached_refresh_token_ref: reference }
}

/**
 * Whether the name that a config brings leads to a login for its server. What another program has left is told by its config
 * alone: a name from elsewhere could be that of any secret, which would then be sent to the server of this config.
 */
async function sharesGrant(
  { configs, grants }: Pick<KeepLoginDeps, 'configs' | 'grants'>,
  config: RunConfig,
  signal: AbortSignal,
): Promise<boolean> {
  const reference = grantReferenceOf(config)
  if (reference === undefined || !hasLoggedIn(config)) return false
  const grant = await grants.read(reference, signal)
  if (grant !== undefined) return isGrantFor(grant, config)
  return (await readConfigs(configs)).some(
    (known) => grantReferenceOf(known) === reference && known.remote_url === config.remote_url && hasLoggedIn(known),
  )
}

/** The keys of a run config without what the last login has written, but the name of its grant. */
export function withoutClient(auth: RemoteAuthConfig = {}): RemoteAuthConfig {
  const kept = Object.entries(auth).filter(([key]) => !key.startsWith('cached_') || key === 'cached_refresh_token_ref')
  return Object.fromEntries(kept)
}

/** Keeps a client secret, and gives the config its name. */
export async function keepClientSecret(
  { configs, userSecrets }: Pick<KeepLoginDeps, 'configs' | 'userSecrets'>,
  config: RunConfig,
  value: string,
  signal: AbortSignal,
): Promise<void> {
  const taken = (await readOthers(configs, config.name)).map(clientSecretOf)
  const name = freeName(`${clientSecretPrefix}${config.name}`, taken)
  await userSecrets.store.update(() => new Map([[workloadSecretName(name), value]]), signal)
  config.remote_auth_config = { ...config.remote_auth_config, client_secret: formatClientSecret(name) }
}

/**
 * Deletes what a login of this config left, and the client secret that was kept for it, unless another config refers to
 * them, or the one that takes its place. The secret store is not touched where there was neither.
 */
export async function forgetLogin(
  deps: KeepLoginDeps,
  { config, successor }: { config: RunConfig; successor?: RunConfig },
  signal: AbortSignal,
): Promise<void> {
  const others = await readOthers(deps.configs, config.name)
  if (successor !== undefined) others.push(successor)
  const reference = grantReferenceOf(config)
  // One that was logged out has the name still.
  const sharers = others.filter((other) => hasLoggedIn(other) && grantReferenceOf(other) === reference)
  if (reference !== undefined && hasLoggedIn(config) && sharers.length === 0) {
    await deps.grants.renew(reference, async () => 'delete', signal)
  }
  const secret = clientSecretOf(config)
  // A secret of another name is the user's own.
  if (secret?.startsWith(clientSecretPrefix) === true && !others.map(clientSecretOf).includes(secret)) {
    await deps.userSecrets.store.update(() => new Map([[workloadSecretName(secret), null]]), signal)
  }
}

/** Deletes what was kept for a config whose place another one has taken, and is not for that, too. */
export async function forgetReplaced(
  deps: KeepLoginDeps,
  { previous, config }: { previous: RunConfig; config: RunConfig },
  signal: AbortSignal,
): Promise<void> {
  await forgetLogin(deps, { config: previous, successor: config }, signal)
  if (bearerTokenOf(previous) === bearerTokenOf(config)) return
  await forgetBearerToken({ configs: deps.configs, store: deps.userSecrets.store }, previous, signal)
}

/** The name of the secret that holds the grant of a config; undefined before it was given one. */
export function grantReferenceOf({ remote_auth_config: auth }: RunConfig): string | undefined {
  const reference = auth?.cached_refresh_token_ref
  return reference === undefined || reference === '' ? undefined : reference
}

/** The other configs that share the grant of this one. */
export async function sharersOf(configs: RunConfigStore, config: RunConfig): Promise<string[]> {
  const reference = grantReferenceOf(config)
  if (reference === undefined) return []
  const others = await readOthers(configs, config.name)
  return others.filter((other) => grantReferenceOf(other) === reference).map(({ name }) => name)
}

function clientSecretOf({ remote_auth_config: auth }: RunConfig): string | undefined {
  return parseClientSecret(auth?.client_secret ?? '')
}

/** Whether a config has a login: the client that it was done as is written down with it. */
export function hasLoggedIn({ remote_auth_config: auth }: RunConfig): boolean {
  return [auth?.cached_client_id, auth?.cached_cimd_client_id].some((id) => id !== undefined && id !== '')
}

function freeName(name: string, taken: readonly (string | undefined)[]): string {
  if (!taken.includes(name)) return name
  for (let number = 2; ; number += 1) if (!taken.includes(`${name}_${number}`)) return `${name}_${number}`
}

async function readOthers(configs: RunConfigStore, name: string): Promise<RunConfig[]> {
  return (await readConfigs(configs)).filter((config) => config.name !== name)
}

/** A config that cannot be read refers to nothing that could be used. */
async function readConfigs(configs: RunConfigStore): Promise<RunConfig[]> {
  const { names } = await configs.list()
  const read = await Promise.all(names.map(async (other) => await configs.load(other).catch(() => undefined)))
  return read.filter((config) => config !== undefined)
}
