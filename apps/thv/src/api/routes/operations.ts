import { z } from 'zod'
import { ThvError, withTimeLimit } from '@thv/core'
import { operationListSchema, operationSchema } from '@thv/core/schemas'
import { apiLimits } from '../api-limits.ts'
import { countParameter } from '../query.ts'
import { defineRoute, type ApiRoute } from '../route.ts'

const tag = 'operations'
const operations = '/api/v1beta/operations'

/** What goes on behind answers: an addition to ToolHive's API. */
export const operationRoutes: readonly ApiRoute[] = [
  defineRoute({
    method: 'GET',
    path: operations,
    tag,
    summary: 'Lists operations that run or have ended lately',
    answers: { 200: { description: 'The operations', schema: operationListSchema } },
    errors: [],
    handle: async (deps) => ({ status: 200, json: { operations: deps.operations.list() } }),
  }),
  defineRoute({
    method: 'GET',
    path: `${operations}/{id}`,
    tag,
    summary: 'Shows one operation, and may wait for its end',
    query: z.object({
      wait: countParameter('Seconds to wait for its end; default 0, at most 50', {
        min: 0,
        max: apiLimits.operationWaitMs / 1000,
      }),
    }),
    answers: { 200: { description: 'The operation as it stands', schema: operationSchema } },
    errors: [400, 404],
    handle: async (deps, { params: { id = '' }, query: { wait = 0 }, signal, closing }) => {
      const enough = withTimeLimit(AbortSignal.any([signal, closing]), wait * 1000)
      const operation = await deps.operations.wait(id, enough)
      if (operation !== undefined) return { status: 200, json: operation }
      throw new ThvError('operation-not-found', `operation '${id}' not found`, {
        hint: 'an operation is forgotten with its server, and some time after its end; look at the workload',
      })
    },
  }),
]
