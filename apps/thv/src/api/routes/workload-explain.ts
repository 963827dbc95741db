import { explainWorkload } from '@thv/core'
import { explanationSchema } from '@thv/core/schemas'
import { defineRoute, type ApiRoute } from '../route.ts'

/** Why a workload is as it is: an addition to ToolHive's API. */
export const workloadExplainRoutes: readonly ApiRoute[] = [
  defineRoute({
    method: 'GET',
    path: '/api/v1beta/workloads/{name}/explain',
    tag: 'workloads',
    summary: 'Tells why a workload is as it is, what its probes found, and what to do',
    answers: { 200: { description: 'The chain of causes', schema: explanationSchema } },
    errors: [400, 404],
    handle: async (deps, { params: { name = '' } }) => {
      return { status: 200, json: await explainWorkload(await deps.reading(), name) }
    },
  }),
]
