import { clientSecretPrefix, formatClientSecret, grantPrefix, parseClientSecret } from '../domain/remote-auth.ts'
import type { RunConfig } from '../domain/run-config.ts'
import { workloadSecretName } from '../domain/secret-name.ts'
import { takesLogin } from '../domain/takes-login.ts'
import type { GrantStore } from '../ports/grant-store.ts'
import type { RunConfigStore } from '../ports/state-store.ts'
import type { UserSecrets } from './manage-secrets.ts'

/** Where logins are kept. */
export interface KeepLoginDeps {
  configs: RunConfigStore
  grants: GrantStore
  userSecrets: UserSecrets
}

/**
 * Gives a config that takes a login the name of the secret that will hold its grant: a supervisor knows so from the
 * beginning where to look. The name is that of no other config; one that was exported after a login shares its grant.
 */
export async function nameGrant(configs: RunConfigStore, config: RunConfig): Promise<void> {
  if (!takesLogin(config) || (grantReferenceOf(config) !== undefined && hasLoggedIn(config))) return
  const taken = (await readOthers(configs, config.name)).map(grantReferenceOf)
  const reference = freeName(`${grantPrefix}${config.name}`, taken)
  config.remote_auth_config = { ...config.remote_auth_config, cached_refresh_token_ref: reference }
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
 * them. The secret store is not touched where there was neither.
 */
export async function forgetLogin(deps: KeepLoginDeps, config: RunConfig, signal: AbortSignal): Promise<void> {
  const others = await readOthers(deps.configs, config.name)
  const reference = grantReferenceOf(config)
  if (reference !== undefined && hasLoggedIn(config) && !others.map(grantReferenceOf).includes(reference)) {
    await deps.grants.renew(reference, async () => 'delete', signal)
  }
  const secret = clientSecretOf(config)
  // A secret of another name is the user's own.
  if (secret?.startsWith(clientSecretPrefix) === true && !others.map(clientSecretOf).includes(secret)) {
    await deps.userSecrets.store.update(() => new Map([[workloadSecretName(secret), null]]), signal)
  }
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

/** A config that cannot be read refers to nothing that could be used. */
async function readOthers(configs: RunConfigStore, name: string): Promise<RunConfig[]> {
  const { names } = await configs.list()
  const others = names.filter((other) => other !== name)
  const read = await Promise.all(others.map(async (other) => await configs.load(other).catch(() => undefined)))
  return read.filter((config) => config !== undefined)
}
