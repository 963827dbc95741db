import type { Group } from '@thv/core'
import { namedObjectsOf, objectOf, textIn, type AnswerObject } from './answer-shape.ts'
import { apiPath, type ApiCaller } from './call-api.ts'

/** The groups of a server: spec/local 5.4. Every call rejects as `ApiCaller` does, or with `api-answer-invalid`. */
export interface GroupCalls {
  list(signal: AbortSignal): Promise<Group[]>
  get(name: string, signal: AbortSignal): Promise<Group>
  /** Resolves to the name as the server took it. */
  create(name: string, signal: AbortSignal): Promise<string>
  /** Its workloads move to the default group, unless `withWorkloads` deletes them too. */
  delete(name: string, options: { withWorkloads: boolean }, signal: AbortSignal): Promise<void>
}

const base = '/api/v1beta/groups'

/** The group calls over a caller. */
export function createGroupCalls(call: ApiCaller): GroupCalls {
  return {
    list: async (signal) => namedObjectsOf(await call({ method: 'GET', path: base }, signal), 'groups').map(parseGroup),
    get: async (name, signal) =>
      parseGroup(objectOf(await call({ method: 'GET', path: base + apiPath`/${name}` }, signal))),
    create: async (name, signal) =>
      textIn(objectOf(await call({ method: 'POST', path: base, body: { name } }, signal)), 'name'),
    delete: async (name, { withWorkloads }, signal) => {
      const query = { 'with-workloads': withWorkloads ? 'true' : undefined }
      await call({ method: 'DELETE', path: base + apiPath`/${name}`, query }, signal)
    },
  }
}

function parseGroup(raw: AnswerObject): Group {
  const clients = raw['registered_clients']
  return {
    name: textIn(raw, 'name'),
    registered_clients: Array.isArray(clients) ? clients.filter((client) => typeof client === 'string') : [],
  }
}
