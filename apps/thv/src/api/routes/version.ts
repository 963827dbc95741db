import { versionSchema } from '@thv/core/schemas'
import { defineRoute, type ApiRoute } from '../route.ts'

/** Which version the server is. */
export const versionRoutes: readonly ApiRoute[] = [
  defineRoute({
    method: 'GET',
    path: '/api/v1beta/version',
    tag: 'system',
    summary: 'Tells the version of the server',
    answers: { 200: { description: 'The version', schema: versionSchema } },
    errors: [],
    handle: async ({ version }) => ({ status: 200, json: { version } }),
  }),
]
