import { clientKinds, isClientKind, listRegisteredClients, requireGroup, ThvError } from '@thv/core'
import {
  clientSelectionSchema,
  clientStatusesSchema,
  registerClientSchema,
  registeredClientsSchema,
} from '@thv/core/schemas'
import type { ApiDeps } from '../api-deps.ts'
import { notYet } from '../not-yet.ts'
import { defineRoute, type ApiAnswer, type ApiRoute } from '../route.ts'

const tag = 'clients'
const clients = '/api/v1beta/clients'

/**
 * Clients: spec/local 5.5. What ToolHive has registered is told; registering comes with the
 * commands that edit the files of clients, so everything that would have to do that is refused.
 */
export const clientRoutes: readonly ApiRoute[] = [
  defineRoute({
    method: 'GET',
    path: '/api/v1beta/discovery/clients',
    tag: 'discovery',
    summary: 'Lists every client that thv knows',
    answers: { 200: { description: 'The clients', schema: clientStatusesSchema } },
    errors: [500],
    handle: async (deps) => {
      const registered = (await listRegisteredClients(await deps.workloads())).map(({ name }) => name)
      // Nothing here looks for installed programs yet.
      const nothing = { installed: false, supports_skills: false, supports_plugins: false }
      const all = clientKinds.map((name) => ({ client_type: name, registered: registered.includes(name), ...nothing }))
      return { status: 200, json: { clients: all } }
    },
  }),
  defineRoute({
    method: 'GET',
    path: clients,
    tag,
    summary: 'Lists the registered clients',
    answers: { 200: { description: 'The clients', schema: registeredClientsSchema } },
    errors: [500],
    handle: async (deps) => ({ status: 200, json: await listRegisteredClients(await deps.workloads()) }),
  }),
  defineRoute({
    method: 'POST',
    path: clients,
    tag,
    summary: 'Registers a client',
    body: registerClientSchema,
    answers: {},
    errors: [400, 404, 501],
    handle: async (deps, { body: { name, groups = [] } }) => await refuse(deps, [name], groups),
  }),
  ...(['register', 'unregister'] as const).map((action) =>
    defineRoute({
      method: 'POST',
      path: `${clients}/${action}`,
      tag,
      summary: action === 'register' ? 'Registers several clients' : 'Unregisters several clients',
      body: clientSelectionSchema,
      answers: {},
      errors: [400, 404, 501],
      handle: async (deps, { body: { names, groups = [] } }) => await refuse(deps, names, groups),
    }),
  ),
  defineRoute({
    method: 'DELETE',
    path: `${clients}/{name}`,
    tag,
    summary: 'Unregisters a client',
    answers: {},
    errors: [400, 501],
    handle: async (deps, { params: { name = '' } }) => await refuse(deps, [name], []),
  }),
  defineRoute({
    method: 'DELETE',
    path: `${clients}/{name}/groups/{group}`,
    tag,
    summary: 'Takes the workloads of a group from a client',
    answers: {},
    errors: [400, 404, 501],
    handle: async (deps, { params: { name = '', group = '' } }) => await refuse(deps, [name], [group]),
  }),
]

/** What is wrong with the request is told first. */
async function refuse(deps: ApiDeps, names: readonly string[], groups: readonly string[]): Promise<ApiAnswer> {
  const unknown = names.find((name) => !isClientKind(name))
  if (unknown !== undefined) {
    // Tools match on the first three words: spec/local 5.5.
    throw new ThvError('request-invalid', `unsupported client type: ${unknown}`, {
      hint: 'choose one of GET /api/v1beta/discovery/clients',
    })
  }
  const { groups: store } = await deps.workloads()
  for (const group of groups) await requireGroup(store, group)
  throw notYet('clients')
}
