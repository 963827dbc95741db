import { ThvError } from '@thv/core'
import { registryListSchema, registrySchema, registryServersSchema } from '@thv/core/schemas'
import { notYet, notYetRoute } from '../not-yet.ts'
import { defineRoute, type ApiRoute } from '../route.ts'

const tag = 'registry'
const registry = '/api/v1beta/registry'

/** The one registry there is, with nothing in it: content comes with a later change. */
const nothing = {
  name: 'default',
  version: '',
  last_updated: '',
  server_count: 0,
  type: 'default',
  source: '',
  auth_status: 'none',
  auth_type: '',
}

/** Registries: spec/local 5.6. */
export const registryRoutes: readonly ApiRoute[] = [
  defineRoute({
    method: 'GET',
    path: registry,
    tag,
    summary: 'Lists the registries',
    answers: { 200: { description: 'The registries', schema: registryListSchema } },
    errors: [],
    handle: async () => await Promise.resolve({ status: 200, json: { registries: [nothing] } }),
  }),
  notYetRoute({ method: 'POST', path: registry, tag, summary: 'Adds a registry' }),
  defineRoute({
    method: 'GET',
    path: `${registry}/{name}`,
    tag,
    summary: 'Shows a registry with its servers',
    answers: { 200: { description: 'The registry', schema: registrySchema } },
    errors: [404],
    handle: async (_deps, { params: { name = '' } }) => {
      assertDefault(name)
      const content = { version: '', last_updated: '', servers: {}, remote_servers: {}, groups: [] }
      return await Promise.resolve({ status: 200, json: { ...nothing, registry: content } })
    },
  }),
  defineRoute({
    method: 'DELETE',
    path: `${registry}/{name}`,
    tag,
    summary: 'Deletes a registry; the default one stays',
    answers: {},
    errors: [400, 404],
    handle: async (_deps, { params: { name = '' } }) => {
      assertDefault(name)
      return await Promise.reject(
        new ThvError('request-invalid', "the registry 'default' cannot be deleted", { hint: 'there is no other' }),
      )
    },
  }),
  ...(
    [
      ['PUT', '', 'Changes where a registry comes from'],
      ['POST', '/refresh', 'Fetches a registry anew'],
    ] as const
  ).map(([method, rest, summary]) =>
    defineRoute({
      method,
      path: `${registry}/{name}${rest}`,
      tag,
      summary,
      answers: {},
      errors: [404, 501],
      handle: async (_deps, { params: { name = '' } }) => {
        assertDefault(name)
        return await Promise.reject(notYet('registries'))
      },
    }),
  ),
  defineRoute({
    method: 'GET',
    path: `${registry}/{name}/servers`,
    tag,
    summary: 'Lists the servers of a registry',
    answers: { 200: { description: 'The servers', schema: registryServersSchema } },
    errors: [404],
    handle: async (_deps, { params: { name = '' } }) => {
      assertDefault(name)
      return await Promise.resolve({ status: 200, json: { servers: [] } })
    },
  }),
  defineRoute({
    method: 'GET',
    path: `${registry}/{name}/servers/{serverName}`,
    tag,
    summary: 'Shows one server of a registry',
    answers: {},
    errors: [404],
    handle: async (_deps, { params: { name = '', serverName = '' } }) => {
      assertDefault(name)
      return await Promise.reject(
        new ThvError('registry-entry-not-found', `there is no server '${serverName}' in the registry`, {
          hint: 'run it by its image or package instead',
        }),
      )
    },
  }),
  ...(['login', 'logout'] as const).map((action) =>
    defineRoute({
      method: 'POST',
      path: `${registry}/auth/${action}`,
      tag,
      summary: action === 'login' ? 'Logs in to the registry' : 'Logs out of the registry',
      answers: {},
      errors: [400],
      handle: async () =>
        await Promise.reject(
          new ThvError('request-invalid', 'the registry needs no login: OAuth is not configured for it', {
            hint: 'nothing has to be done',
          }),
        ),
    }),
  ),
]

function assertDefault(name: string): void {
  if (name === nothing.name) return
  throw new ThvError('registry-not-found', `there is no registry '${name}'`, { hint: "the only one is 'default'" })
}
