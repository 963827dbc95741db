import {
  deleteSecret,
  listSecrets,
  requireSecretProvider,
  secretCapabilities,
  setSecret,
  setUpSecrets,
  type SecretInput,
} from '@thv/core'
import {
  createSecretSchema,
  savedSecretSchema,
  secretListSchema,
  secretProviderSchema,
  secretsSetUpSchema,
  setUpSecretsSchema,
  updateSecretSchema,
} from '@thv/core/schemas'
import type { ApiDeps } from '../api-deps.ts'
import { defineRoute, type ApiRoute } from '../route.ts'

const tag = 'secrets'
const secrets = '/api/v1beta/secrets'
const keys = `${secrets}/default/keys`
/** What the provider cannot do is no method of it: spec/local 5.8. */
const statusOf = { 'secrets-read-only': 405 } as const

/** Secrets of the user: spec/local 5.8. No answer has a value. */
export const secretRoutes: readonly ApiRoute[] = [
  defineRoute({
    method: 'POST',
    path: secrets,
    tag,
    summary: 'Chooses where secrets come from',
    body: setUpSecretsSchema,
    answers: { 201: { description: 'It was chosen, and works', schema: secretsSetUpSchema } },
    errors: [400, 403, 500, 501, 503],
    handle: async (deps, { body, signal }) => {
      const { provider_type: provider, password = '' } = body
      const input = { provider, ...(password === '' ? {} : { password }) }
      const wasThere = await setUpSecrets(await deps.secrets(), input, signal)
      const message = `Secrets provider ${wasThere ? 'reconfigured' : 'setup'} successfully`
      return { status: 201, json: { provider_type: provider, message } }
    },
  }),
  defineRoute({
    method: 'GET',
    path: `${secrets}/default`,
    tag,
    summary: 'Shows where secrets come from',
    answers: { 200: { description: 'The provider', schema: secretProviderSchema } },
    errors: [404],
    handle: async (deps) => {
      const provider = await requireSecretProvider((await deps.secrets()).secrets)
      const capabilities = secretCapabilities(provider)
      return { status: 200, json: { name: 'default', provider_type: provider, capabilities } }
    },
  }),
  defineRoute({
    method: 'GET',
    path: keys,
    tag,
    summary: 'Lists the names of the secrets',
    answers: { 200: { description: 'The names', schema: secretListSchema } },
    errors: [403, 404, 405, 500, 503],
    statusOf,
    handle: async (deps, { signal }) => {
      const names = await listSecrets((await deps.secrets()).secrets, signal)
      return { status: 200, json: { keys: names.map((key) => ({ key })) } }
    },
  }),
  defineRoute({
    method: 'POST',
    path: keys,
    tag,
    summary: 'Saves a new secret',
    body: createSecretSchema,
    answers: { 201: { description: 'It was saved', schema: savedSecretSchema } },
    errors: [400, 403, 404, 405, 409, 500, 503],
    statusOf,
    handle: async (deps, { body: { key, value }, signal }) => {
      await save(deps, { name: key, value, when: 'new' }, signal)
      return { status: 201, json: { key, message: 'Secret created successfully' } }
    },
  }),
  defineRoute({
    method: 'PUT',
    path: `${keys}/{key}`,
    tag,
    summary: 'Changes a secret',
    body: updateSecretSchema,
    answers: { 200: { description: 'It was changed', schema: savedSecretSchema } },
    errors: [400, 403, 404, 405, 500, 503],
    statusOf,
    handle: async (deps, { params: { key = '' }, body: { value }, signal }) => {
      await save(deps, { name: key, value, when: 'present' }, signal)
      return { status: 200, json: { key, message: 'Secret updated successfully' } }
    },
  }),
  defineRoute({
    method: 'DELETE',
    path: `${keys}/{key}`,
    tag,
    summary: 'Deletes a secret',
    answers: { 204: { description: 'It was deleted' } },
    errors: [400, 403, 404, 405, 500, 503],
    statusOf,
    handle: async (deps, { params: { key = '' }, signal }) => {
      await deleteSecret((await deps.secrets()).secrets, key, signal)
      return { status: 204 }
    },
  }),
]

async function save(deps: ApiDeps, input: SecretInput, signal: AbortSignal): Promise<void> {
  await setSecret((await deps.secrets()).secrets, input, signal)
}
