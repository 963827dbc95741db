import { assertUserSecretName, isSystemSecret, parseSystemSecret } from '../domain/secret-name.ts'
import {
  isSecretProvider,
  secretCapabilities,
  secretVariable,
  type SecretCapabilities,
  type SecretProvider,
} from '../domain/secret-provider.ts'
import { ThvError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { EncryptedSecretStore, SecretStore } from '../ports/secret-store.ts'

/** The secrets of a user, wherever they come from. */
export interface UserSecrets {
  /** What was set up; undefined when nothing was. Asked again each time. */
  provider: () => Promise<SecretProvider | undefined>
  /** Also where thv keeps what is its own. */
  store: SecretStore
  /** A variable of the environment. */
  variable: (name: string) => string | undefined
  /** Whether a secret that the provider does not have may be in the environment. */
  fallsBack: boolean
}

/** The provider that was set up. `secrets-not-set-up`, or `not-implemented` for one that this version does not know. */
export async function requireSecretProvider(secrets: UserSecrets): Promise<SecretProvider> {
  const provider = await secrets.provider()
  if (provider === '1password') throw noOnePassword()
  if (provider !== undefined) return provider
  // Tools match on this sentence: spec/local 9.1.
  throw new ThvError(
    'secrets-not-set-up',
    "secrets provider not configured. Please run 'thv secret setup' to configure a secrets provider first",
    { hint: "run 'thv secret setup', or set TOOLHIVE_SECRETS_PROVIDER=environment" },
  )
}

/** The value of a user's secret. `secret-not-found`, `secrets-not-set-up`, or what the store says. */
export async function getSecret(secrets: UserSecrets, name: string, signal: AbortSignal): Promise<string> {
  const provider = await requireSecretProvider(secrets)
  assertUserSecretName(name)
  const fromVariable = (): string | undefined => {
    const value = secrets.variable(secretVariable(name))
    return value === '' ? undefined : value
  }
  if (provider === 'environment') return fromVariable() ?? fail(secretNotFound(name))
  const value = await secrets.store.get(name, signal)
  return value ?? (secrets.fallsBack ? fromVariable() : undefined) ?? fail(secretNotFound(name))
}

/** The names of the user's secrets, in order. `secrets-read-only` when the provider cannot tell. */
export async function listSecrets(secrets: UserSecrets, signal: AbortSignal): Promise<string[]> {
  await requireCapability(secrets, 'can_list', 'list its secrets')
  return (await secrets.store.list(signal)).filter((name) => !isSystemSecret(name))
}

/** What a new value is meant for. */
export interface SecretInput {
  name: string
  value: string
  /** `new`: `secret-exists` otherwise; `present`: `secret-not-found` otherwise. */
  when: 'new' | 'present' | 'any'
}

/** Saves a secret of a user; resolves to whether there was one of that name. */
export async function setSecret(secrets: UserSecrets, input: SecretInput, signal: AbortSignal): Promise<boolean> {
  const { name, value, when } = input
  await requireSecretProvider(secrets)
  assertUserSecretName(name)
  assertSecretValue(name, value)
  await requireCapability(secrets, 'can_write', 'be written to')
  let isThere = false
  await secrets.store.update((present) => {
    isThere = present.has(name)
    if (isThere && when === 'new') {
      throw new ThvError('secret-exists', `the secret '${name}' already exists`, {
        hint: 'choose another name, or change it',
      })
    }
    if (!isThere && when === 'present') throw secretNotFound(name)
    return new Map([[name, value]])
  }, signal)
  return isThere
}

/** Deletes a secret of a user. `secret-not-found`. */
export async function deleteSecret(secrets: UserSecrets, name: string, signal: AbortSignal): Promise<void> {
  await requireSecretProvider(secrets)
  assertUserSecretName(name)
  await requireCapability(secrets, 'can_delete', 'be written to')
  await removeSecret(secrets.store, name, signal)
}

/** The secrets that thv keeps for itself. */
export async function listSystemSecrets(
  store: SecretStore,
  signal: AbortSignal,
): Promise<{ key: string; name: string; scope: string }[]> {
  const names = await store.list(signal)
  return names
    .filter(isSystemSecret)
    .map((key) => ({ key, ...(parseSystemSecret(key) ?? { scope: 'unknown', name: key }) }))
}

/** Deletes a secret that thv keeps for itself, by its whole name: one that was left behind. `secret-not-found`. */
export async function deleteSystemSecret(store: SecretStore, key: string, signal: AbortSignal): Promise<void> {
  if (!isSystemSecret(key)) {
    throw new ThvError('invalid-argument', `'${key}' is no secret of thv's own`, { hint: 'leave --system out' })
  }
  await removeSecret(store, key, signal)
}

/** What {@link setUpSecrets} needs. */
export interface SetUpSecretsDeps {
  secrets: UserSecrets & { store: EncryptedSecretStore }
  saveProvider: (provider: SecretProvider, signal: AbortSignal) => Promise<void>
}

/**
 * Chooses where secrets come from, and proves that it works. Of `encrypted`, a password is kept: that of a new file from now
 * on, or that of the file there is; without one, a new file gets one that nobody needs to know. Resolves to whether there
 * was a provider before. `invalid-argument`, `not-implemented`, and what the store says.
 */
export async function setUpSecrets(
  { secrets, saveProvider }: SetUpSecretsDeps,
  { provider, password }: { provider: string; password?: string },
  signal: AbortSignal,
): Promise<boolean> {
  if (!isSecretProvider(provider)) {
    throw new ThvError('invalid-argument', `unknown secret manager type: ${JSON.stringify(provider.slice(0, 100))}`, {
      hint: 'choose encrypted or environment',
    })
  }
  if (provider === '1password') throw noOnePassword()
  if (provider === 'encrypted') {
    if (password !== undefined) await secrets.store.unlock(password, signal)
    await tryStore(secrets.store, signal)
  }
  const wasThere = (await secrets.provider()) !== undefined
  await saveProvider(provider, signal)
  return wasThere
}

/** ToolHive uses the same name. */
const trialName = 'setup-validation-test'

async function tryStore(store: SecretStore, signal: AbortSignal): Promise<void> {
  await store.update(() => new Map([[trialName, trialName]]), signal)
  const value = await store.get(trialName, signal)
  await store.update(() => new Map([[trialName, null]]), signal)
  if (value !== trialName)
    throw new ThvError('secrets-corrupt', 'the secrets file does not give back what it was given')
}

async function removeSecret(store: SecretStore, name: string, signal: AbortSignal): Promise<void> {
  await store.update((present) => {
    if (!present.has(name)) throw secretNotFound(name)
    return new Map([[name, null]])
  }, signal)
}

function assertSecretValue(name: string, value: string): void {
  if (value === '') {
    throw new ThvError('invalid-argument', `the value of the secret '${name}' is empty`, {
      hint: 'give one, or delete it',
    })
  }
  if (new TextEncoder().encode(value).length <= limits.secretValueBytes) return
  throw new ThvError('invalid-argument', `the value of the secret '${name}' is too long`, {
    hint: `give one of at most ${limits.secretValueBytes} bytes`,
  })
}

async function requireCapability(
  secrets: UserSecrets,
  capability: keyof SecretCapabilities,
  what: string,
): Promise<void> {
  const provider = await requireSecretProvider(secrets)
  if (secretCapabilities(provider)[capability]) return
  throw new ThvError('secrets-read-only', `the secrets provider '${provider}' cannot ${what}`, {
    hint: "choose another one with 'thv secret provider encrypted'",
  })
}

function secretNotFound(name: string): ThvError {
  return new ThvError('secret-not-found', `secret not found: '${name}'`, { hint: `run 'thv secret set ${name}'` })
}

function noOnePassword(): ThvError {
  return new ThvError('not-implemented', "the secrets provider '1password' is not supported by this version of thv", {
    hint: "choose another one with 'thv secret provider encrypted'",
  })
}

function fail(error: ThvError): never {
  throw error
}
