/** Where the secrets of a user come from: spec/local 9.1. */
export const secretProviders = ['encrypted', 'environment', '1password'] as const

/** One of {@link secretProviders}. */
export type SecretProvider = (typeof secretProviders)[number]

/** What can be done with the secrets of a provider. */
export interface SecretCapabilities {
  can_read: boolean
  can_write: boolean
  can_delete: boolean
  can_list: boolean
  can_cleanup: boolean
}

/** Whether a value read from outside is a provider. */
export function isSecretProvider(value: unknown): value is SecretProvider {
  return secretProviders.some((known) => known === value)
}

/** The environment is only read, and one cannot know which of its variables are meant. */
export function secretCapabilities(provider: SecretProvider): SecretCapabilities {
  const isOurs = provider === 'encrypted'
  const lists = isOurs || provider === '1password'
  return { can_read: true, can_write: isOurs, can_delete: isOurs, can_list: lists, can_cleanup: isOurs }
}

/** The variable that holds a secret of the environment: the name as it is. */
export function secretVariable(name: string): string {
  return `TOOLHIVE_SECRET_${name}`
}
