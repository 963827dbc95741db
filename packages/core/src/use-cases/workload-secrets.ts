import { assertForwardHeader, parseBearerToken } from '../domain/forward-header.ts'
import { clientSecretPrefix, parseClientSecret } from '../domain/remote-auth.ts'
import { parseRemoteUrl } from '../domain/remote-url.ts'
import { isRemote, type RunConfig } from '../domain/run-config.ts'
import {
  bearerTokenPrefix,
  bearerTokenTarget,
  formatSecretParameter,
  parseSecretParameter,
  parseServerSecret,
  workloadSecretName,
} from '../domain/secret-name.ts'
import { isThvError, messageOf, ThvError } from '../errors.ts'
import type { SecretStore } from '../ports/secret-store.ts'
import type { RunConfigStore } from '../ports/state-store.ts'
import { getSecret, type UserSecrets } from './manage-secrets.ts'

/** The variables that a server gets from secrets. `secret-not-found` and the like, before anything is started. */
export async function resolveServerSecrets(
  secrets: UserSecrets,
  { secrets: wanted = [] }: RunConfig,
  signal: AbortSignal,
): Promise<Record<string, string>> {
  const variables: [string, string][] = []
  for (const { name, target } of wanted.map(parseServerSecret)) {
    const value = await getSecret(secrets, name, signal)
    if (value.includes('\0')) {
      throw new ThvError('invalid-argument', `the secret '${name}' has a NUL byte, which no variable can hold`, {
        hint: `run 'thv secret set ${name}'`,
      })
    }
    variables.push([target, value])
  }
  return Object.fromEntries(variables)
}

/** The headers that a remote server gets from secrets, its token among them. Rejects for values that no header can hold. */
export async function resolveHeaderSecrets(
  secrets: UserSecrets,
  config: RunConfig,
  signal: AbortSignal,
): Promise<Record<string, string>> {
  const headers: [string, string][] = []
  for (const [header, name] of Object.entries(headerSecretsOf(config))) {
    const value = await getSecret(secrets, name, signal)
    assertForwardHeader(header, value)
    headers.push([header, value])
  }
  const reference = bearerTokenOf(config)
  if (reference !== undefined) {
    const token = parseBearerToken(
      await getWorkloadSecret(secrets, { name: reference, prefix: bearerTokenPrefix }, signal),
    )
    if (token === undefined) {
      throw new ThvError('invalid-argument', `the secret '${reference}' is no token: no header can hold it`, {
        hint: 'save it again',
      })
    }
    headers.push(['Authorization', `Bearer ${token}`])
  }
  return Object.fromEntries(headers)
}

/** Rejects as a start would, if a secret of a config is not there or cannot be used. Asks nobody when it names none. */
export async function requireSecrets(secrets: UserSecrets, config: RunConfig, signal: AbortSignal): Promise<void> {
  try {
    if (isRemote(config)) await resolveHeaderSecrets(secrets, config, signal)
    else await resolveServerSecrets(secrets, config, signal)
  } catch (error) {
    if (!isThvError(error)) throw error
    throw new ThvError(error.code, `a secret of '${config.name}' cannot be used: ${messageOf(error)}`, {
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      cause: error,
    })
  }
}

/** Whether a config names a secret. */
export function namesSecrets(config: RunConfig): boolean {
  return secretNamesOf(config).length > 0
}

/** The workloads that use a secret of a user. Configs that cannot be read use nothing. */
export async function listWorkloadsUsingSecret(configs: RunConfigStore, secret: string): Promise<string[]> {
  const { names } = await configs.list()
  const users = await Promise.all(
    names.map(async (name) => {
      const config = await configs.load(name).catch(() => undefined)
      return config !== undefined && secretNamesOf(config).includes(secret)
    }),
  )
  return names.filter((_name, index) => users[index])
}

/** Keeps the token of a remote server in the store, and its name in the config. */
export async function keepBearerToken(
  store: SecretStore,
  config: RunConfig,
  token: string,
  signal: AbortSignal,
): Promise<void> {
  let name = ''
  await store.update((present) => {
    name = freeName(`${bearerTokenPrefix}${config.name}`, present)
    return new Map([[workloadSecretName(name), token]])
  }, signal)
  const reference = formatSecretParameter({ name, target: bearerTokenTarget })
  config.remote_auth_config = { ...config.remote_auth_config, bearer_token: reference }
}

/** Deletes what {@link keepBearerToken} kept, unless another config names it too. A secret of the user stays. */
export async function forgetBearerToken(
  deps: { configs: RunConfigStore; store: SecretStore },
  config: RunConfig,
  signal: AbortSignal,
): Promise<void> {
  const name = bearerTokenOf(config)
  if (name?.startsWith(bearerTokenPrefix) !== true) return
  const users = await listWorkloadsUsingSecret(deps.configs, name)
  if (users.some((user) => user !== config.name)) return
  await deps.store.update(() => new Map([[workloadSecretName(name), null]]), signal)
}

/** The name of the secret with the token of a remote server. */
export function bearerTokenOf({ remote_auth_config: auth }: RunConfig): string | undefined {
  const reference = auth?.['bearer_token']
  return typeof reference === 'string' && reference !== '' ? parseSecretParameter(reference).name : undefined
}

/**
 * What belongs to workloads, of the use that the prefix says; else one of the user's, which older configs name, and requests
 * over the API. A login is of another use: the config of somebody else could have it sent to a server of theirs.
 */
export async function getWorkloadSecret(
  secrets: UserSecrets,
  { name, prefix }: { name: string; prefix: string },
  signal: AbortSignal,
): Promise<string> {
  const own = name.startsWith(prefix) ? await secrets.store.get(workloadSecretName(name), signal) : undefined
  return own ?? (await getSecret(secrets, name, signal))
}

/**
 * Throws `invalid-argument` for a config that names what thv keeps for a workload whose server is another one, or was before
 * an edit: it would be told to this one.
 */
export async function assertOwnSecrets(
  { configs, userSecrets }: { configs: RunConfigStore; userSecrets: UserSecrets },
  config: RunConfig,
  signal: AbortSignal,
): Promise<void> {
  const kept = secretNamesOf(config).filter((name) => keptPrefixes.some((prefix) => name.startsWith(prefix)))
  if (kept.length === 0) return
  for (const name of (await configs.list()).names) {
    const other = await configs.load(name).catch(() => undefined)
    if (other === undefined || originOf(other) === originOf(config)) continue
    const shared = secretNamesOf(other).find((secret) => kept.includes(secret))
    // A user may call a secret of their own like that.
    if (shared === undefined || (await userSecrets.store.get(workloadSecretName(shared), signal)) === undefined)
      continue
    throw new ThvError('invalid-argument', `'${shared}' is kept for the server of '${name}', which is another one`, {
      hint: 'leave it out, and give this server a token or a client secret of its own',
    })
  }
}

const keptPrefixes: readonly string[] = [bearerTokenPrefix, clientSecretPrefix]

function originOf({ remote_url: url = '' }: RunConfig): string {
  return url === '' ? '' : parseRemoteUrl(url).origin
}

function headerSecretsOf({ header_forward: forward }: RunConfig): Record<string, string> {
  return forward?.add_headers_from_secret ?? {}
}

function secretNamesOf(config: RunConfig): string[] {
  const token = bearerTokenOf(config)
  const ofServer = (config.secrets ?? []).map((text) => parseSecretParameter(text).name)
  const client = parseClientSecret(config.remote_auth_config?.client_secret ?? '')
  const ofLogin = [token, client].filter((name) => name !== undefined)
  return [...ofServer, ...Object.values(headerSecretsOf(config)), ...ofLogin]
}

/** Deterministic, unlike ToolHive's: what counts is that it is free. */
function freeName(name: string, present: ReadonlyMap<string, string>): string {
  for (let number = 1; ; number += 1) {
    const candidate = number === 1 ? name : `${name}_${number}`
    if (!present.has(workloadSecretName(candidate))) return candidate
  }
}
