import { ThvError } from '@thv/core'
import { notYetRoute } from '../not-yet.ts'
import { defineRoute, type ApiRoute } from '../route.ts'

const tag = 'secrets'
const secrets = '/api/v1beta/secrets'

/** Secrets: spec/local 5.8. There is no provider yet, and that is what everything but the set-up says. */
export const secretRoutes: readonly ApiRoute[] = [
  notYetRoute({ method: 'POST', path: secrets, tag, summary: 'Sets up a provider of secrets' }),
  notSetUp('GET', '/default', 'Shows the provider of secrets'),
  notSetUp('GET', '/default/keys', 'Lists the names of the secrets'),
  notSetUp('POST', '/default/keys', 'Saves a secret'),
  notSetUp('PUT', '/default/keys/{key}', 'Changes a secret'),
  notSetUp('DELETE', '/default/keys/{key}', 'Deletes a secret'),
]

function notSetUp(method: ApiRoute['method'], rest: string, summary: string): ApiRoute {
  return defineRoute({
    method,
    path: `${secrets}${rest}`,
    tag,
    summary,
    answers: {},
    errors: [404],
    handle: async () =>
      await Promise.reject(
        new ThvError('secrets-not-set-up', 'thv has no provider of secrets yet', {
          hint: 'give the values as environment of the workload',
        }),
      ),
  })
}
