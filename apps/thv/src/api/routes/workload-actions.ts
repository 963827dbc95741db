import {
  assertWorkloadName,
  checkUpgrade,
  checkUpgrades,
  deleteWorkload,
  forEachWorkload,
  getWorkload,
  limits,
  refuseUpgrade,
  requireGroup,
  restartWorkload,
  selectWorkloads,
  stopWorkload,
  throwFailures,
  whileUncontested,
} from '@thv/core'
import { bulkSchema, upgradeChecksSchema, upgradeCheckSchema, upgradeRequestSchema } from '@thv/core/schemas'
import { z } from 'zod'
import type { ApiDeps } from '../api-deps.ts'
import { operationHeader } from '../openapi.ts'
import { flagParameter, textParameter } from '../query.ts'
import { defineRoute, type ApiAnswer, type ApiRoute } from '../route.ts'

const tag = 'workloads'
const workloads = '/api/v1beta/workloads'
const actions = ['stop', 'restart', 'delete'] as const
type Action = (typeof actions)[number]

/** What goes on behind its answer, and what a registry has newer: spec/local 5.3. */
export const workloadActionRoutes: readonly ApiRoute[] = [
  ...actions.map((action) =>
    defineRoute({
      method: 'POST',
      path: `${workloads}/${action}`,
      tag,
      summary: `Begins to ${action} several workloads`,
      body: bulkSchema,
      answers: { 202: { description: 'It has begun', isOperation: true } },
      errors: [400],
      // The contract knows one status for everything that is wrong with the selection.
      statusOf: { 'group-not-found': 400 },
      handle: async (deps, { body }) => {
        const all = await deps.workloads()
        return await begin(deps, action, await selectWorkloads(all, body))
      },
    }),
  ),
  ...(['stop', 'restart'] as const).map((action) =>
    defineRoute({
      method: 'POST',
      path: `${workloads}/{name}/${action}`,
      tag,
      summary: `Begins to ${action} a workload`,
      answers: { 202: { description: 'It has begun', isOperation: true } },
      errors: [400, 404],
      handle: async (deps, { params: { name = '' } }) => await beginOne(deps, action, name),
    }),
  ),
  defineRoute({
    method: 'DELETE',
    path: `${workloads}/{name}`,
    tag,
    summary: 'Begins to delete a workload',
    answers: { 202: { description: 'It has begun', isOperation: true } },
    errors: [400, 404],
    handle: async (deps, { params: { name = '' } }) => await beginOne(deps, 'delete', name),
  }),
  defineRoute({
    method: 'GET',
    path: `${workloads}/upgrade-check`,
    tag,
    summary: 'Tells of several workloads whether a registry has something newer',
    query: z.object({
      all: flagParameter('Whether stopped ones are looked at too; default false'),
      group: textParameter('Only the workloads of this group'),
    }),
    answers: { 200: { description: 'What was found', schema: upgradeChecksSchema } },
    errors: [400, 404],
    handle: async (deps, { query: { all = false, group } }) => {
      if (group !== undefined) await requireGroup((await deps.workloads()).groups, group)
      const filter = { all, ...(group === undefined ? {} : { group }) }
      return { status: 200, json: { results: await checkUpgrades(await deps.reading(), filter) } }
    },
  }),
  defineRoute({
    method: 'GET',
    path: `${workloads}/{name}/upgrade-check`,
    tag,
    summary: 'Tells of a workload whether a registry has something newer',
    answers: { 200: { description: 'What was found', schema: upgradeCheckSchema } },
    errors: [400, 404],
    handle: async (deps, { params: { name = '' } }) => {
      return { status: 200, json: { result: await checkUpgrade(await deps.reading(), name) } }
    },
  }),
  defineRoute({
    method: 'POST',
    path: `${workloads}/{name}/upgrade`,
    tag,
    summary: 'Takes what a registry has newer',
    body: upgradeRequestSchema,
    bodyIsOptional: true,
    answers: { 200: { description: 'It was upgraded', schema: upgradeCheckSchema } },
    errors: [400, 404, 422, 500],
    statusOf: { 'upgrade-unavailable': 422 },
    handle: async (deps, { params: { name = '' } }) => await refuseUpgrade(await deps.reading(), name),
  }),
]

async function beginOne(deps: ApiDeps, action: Action, name: string): Promise<ApiAnswer> {
  assertWorkloadName(name)
  await getWorkload(await deps.reading(), name)
  return await begin(deps, action, [name])
}

async function begin(deps: ApiDeps, action: Action, names: readonly string[]): Promise<ApiAnswer> {
  const all = await deps.workloads()
  const { id } = deps.operations.begin({
    kind: action,
    subjects: names,
    work: async ({ signal, accept, progress, inTurn }) => {
      accept(undefined)
      const act = async (name: string, ending: AbortSignal): Promise<void> => {
        if (action === 'stop') await stopWorkload(all, name, {}, ending)
        else if (action === 'delete') await deleteWorkload(all, name, {}, ending)
        else {
          const restart = async (contested: AbortSignal): Promise<void> =>
            await restartWorkload(all, name, { debug: false, progress, timeoutMs: limits.stopMs }, contested)
          await whileUncontested(all, name, restart, ending)
        }
      }
      const each = async (name: string): Promise<void> => await inTurn(name, async (ending) => await act(name, ending))
      throwFailures(await forEachWorkload(names, each, signal), `not every workload could be handled by the ${action}`)
    },
  })
  return { status: 202, headers: { [operationHeader]: id } }
}
