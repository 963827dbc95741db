import { z } from 'zod'

/** The body that chooses a provider of secrets. */
export const setUpSecretsSchema = z
  .strictObject({
    provider_type: z.string().describe('encrypted or environment'),
    password: z.string().optional().describe('Password of the encrypted file; of a new one, or the one it has'),
  })
  .meta({ id: 'SetUpSecretsRequest', description: 'Where secrets are to come from' })

/** What the choice of a provider answers. */
export const secretsSetUpSchema = z
  .object({ provider_type: z.string(), message: z.string() })
  .meta({ id: 'SecretsSetUp', description: 'The provider that was chosen' })

/** The provider of secrets, and what can be done with it. */
export const secretProviderSchema = z
  .object({
    name: z.string().describe('Always default'),
    provider_type: z.string(),
    capabilities: z.object({
      can_read: z.boolean(),
      can_write: z.boolean(),
      can_delete: z.boolean(),
      can_list: z.boolean(),
      can_cleanup: z.boolean(),
    }),
  })
  .meta({ id: 'SecretProvider', description: 'Where secrets come from, and what can be done with them there' })

/** Names of secrets. */
export const secretListSchema = z
  .object({
    keys: z.array(z.object({ key: z.string(), description: z.string().exactOptional() })).describe('Sorted'),
  })
  .meta({ id: 'SecretList', description: 'The names of the secrets; never their values' })

/** The body that saves a secret. */
export const createSecretSchema = z
  .strictObject({ key: z.string().describe('Name of the secret'), value: z.string().describe('What is kept') })
  .meta({ id: 'CreateSecretRequest', description: 'A new secret' })

/** The body that changes a secret. */
export const updateSecretSchema = z
  .strictObject({ value: z.string().describe('What is kept from now on') })
  .meta({ id: 'UpdateSecretRequest', description: 'The new value of a secret' })

/** What both answer. */
export const savedSecretSchema = z
  .object({ key: z.string(), message: z.string() })
  .meta({ id: 'SavedSecret', description: 'The secret that was saved' })
