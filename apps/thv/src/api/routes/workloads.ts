import { z } from 'zod'
import {
  createWorkload,
  exportRunConfig,
  getWorkload,
  getWorkloadRequest,
  launchAndWait,
  listWorkloads,
  planEdit,
  readWorkloadRequest,
  replaceRunConfig,
  requireGroup,
  startWorkload,
  whileUncontested,
  type RunConfig,
  type Workload,
} from '@thv/core'
import {
  createdWorkloadSchema,
  createWorkloadSchema,
  runConfigSchema,
  updateWorkloadSchema,
  workloadListSchema,
  workloadStatusSchema,
} from '@thv/core/schemas'
import type { ApiDeps } from '../api-deps.ts'
import { apiLimits } from '../api-limits.ts'
import { operationHeader } from '../openapi.ts'
import { countParameter, flagParameter, textParameter } from '../query.ts'
import { defineRoute, type ApiAnswer, type ApiRoute } from '../route.ts'

const tag = 'workloads'
const workloads = '/api/v1beta/workloads'
/** Tells where the next page begins. */
const nextHeader = 'X-Thv-Next'

/** Workloads as they are, and changes of one: spec/local 5.3. */
export const workloadRoutes: readonly ApiRoute[] = [
  defineRoute({
    method: 'GET',
    path: workloads,
    tag,
    summary: 'Lists workloads: by default all that were not stopped on purpose',
    query: z.object({
      all: flagParameter('Whether stopped ones are listed too; default false'),
      group: textParameter('Only the workloads of this group'),
      limit: countParameter(`How many at most, up to ${apiLimits.pageSize}; default all`, { max: apiLimits.pageSize }),
      after: textParameter('Only those whose names come after this one'),
    }),
    answers: {
      200: {
        description: 'The workloads, sorted by name',
        schema: workloadListSchema,
        headers: {
          [nextHeader]: 'With a limit: what to send as `after` for the following ones; absent when there are none',
        },
      },
    },
    errors: [400, 404],
    handle: async (deps, { query: { all = false, group, limit, after } }) => {
      if (group !== undefined) await requireGroup((await deps.workloads()).groups, group)
      const filter = { all, ...(group === undefined ? {} : { group }) }
      const listing = await listWorkloads(await deps.reading(), filter)
      for (const { file, reason } of listing.problems) deps.log('warn', 'a file was passed over', { file, reason })
      const passedOver = listing.problems.length
      const page = pageOf(listing.workloads, { limit, after })
      return passedOver === 0
        ? page
        : { ...page, headers: { ...page.headers, 'X-Thv-Passed-Over': String(passedOver) } }
    },
  }),
  defineRoute({
    method: 'POST',
    path: workloads,
    tag,
    summary: 'Creates a workload; answers when it is saved and being started',
    body: createWorkloadSchema,
    answers: { 201: { description: 'The workload was created', schema: createdWorkloadSchema, isOperation: true } },
    errors: [400, 404, 409, 501],
    isLong: true,
    handle: async (deps, { body, signal }) => await create(deps, readWorkloadRequest(body), signal),
  }),
  defineRoute({
    method: 'GET',
    path: `${workloads}/{name}`,
    tag,
    summary: 'Shows how a workload was asked for',
    answers: { 200: { description: 'Its configuration', schema: createWorkloadSchema } },
    errors: [400, 404],
    handle: async (deps, { params: { name = '' } }) => {
      return { status: 200, json: await getWorkloadRequest(await deps.reading(), name) }
    },
  }),
  defineRoute({
    method: 'POST',
    path: `${workloads}/{name}/edit`,
    tag,
    summary: 'Replaces the whole configuration of a workload, and starts it again',
    body: updateWorkloadSchema,
    answers: {
      200: { description: 'It was saved, and is being started', schema: createdWorkloadSchema, isOperation: true },
    },
    errors: [400, 404, 409, 501],
    isLong: true,
    handle: async (deps, { params: { name = '' }, body, signal }) =>
      await edit(deps, readWorkloadRequest({ ...body, name }), signal),
  }),
  defineRoute({
    method: 'GET',
    path: `${workloads}/{name}/status`,
    tag,
    summary: 'Tells the status of a workload',
    answers: { 200: { description: 'Its status', schema: workloadStatusSchema } },
    errors: [400, 404],
    handle: async (deps, { params: { name = '' } }) => {
      const { status } = await getWorkload(await deps.reading(), name)
      return { status: 200, json: { status } }
    },
  }),
  defineRoute({
    method: 'GET',
    path: `${workloads}/{name}/export`,
    tag,
    summary: 'Shows the saved configuration of a workload',
    answers: { 200: { description: 'The configuration', schema: runConfigSchema } },
    errors: [400, 404],
    handle: async (deps, { params: { name = '' } }) => {
      return { status: 200, json: await exportRunConfig(await deps.reading(), name) }
    },
  }),
]

function pageOf(
  workloads: readonly Workload[],
  { limit = workloads.length, after }: { limit?: number | undefined; after?: string | undefined },
): ApiAnswer {
  const rest = after === undefined ? workloads : workloads.filter(({ name }) => name > after)
  const page = rest.slice(0, limit)
  const last = rest.length > page.length ? page.at(-1) : undefined
  return {
    status: 200,
    json: { workloads: page },
    ...(last === undefined ? {} : { headers: { [nextHeader]: last.name } }),
  }
}

type WorkloadRequest = ReturnType<typeof readWorkloadRequest>

async function create(deps: ApiDeps, request: WorkloadRequest, caller: AbortSignal): Promise<ApiAnswer> {
  const { name } = request
  const workloads = await deps.workloads()
  return await changed(
    deps.operations.begin<RunConfig>({
      kind: 'create',
      subjects: [name],
      caller,
      work: async ({ accept, progress, inTurn }) => {
        const begin = async (signal: AbortSignal): Promise<void> => {
          await deps.addDefaults(request, signal)
          accept(await createWorkload(workloads, { request }, progress, signal))
          await launchAndWait(workloads, name, { debug: false }, signal)
        }
        await inTurn(name, async (ending) => await whileUncontested(workloads, name, begin, ending))
      },
    }),
    201,
  )
}

async function edit(deps: ApiDeps, request: WorkloadRequest, caller: AbortSignal): Promise<ApiAnswer> {
  const { name } = request
  const workloads = await deps.workloads()
  return await changed(
    deps.operations.begin<RunConfig>({
      kind: 'edit',
      subjects: [name],
      work: async ({ accept, progress, inTurn }) => {
        const replace = async (signal: AbortSignal): Promise<void> => {
          // Whoever leaves later would leave a workload behind that is stopped and not changed.
          const planning = AbortSignal.any([signal, caller])
          await deps.addDefaults(request, planning)
          const config = await planEdit(workloads, request, progress, planning)
          planning.throwIfAborted()
          await replaceRunConfig(workloads, config, signal)
          accept(config)
          const start = async (ending: AbortSignal): Promise<void> =>
            await startWorkload(workloads, name, { debug: false, progress }, ending)
          await whileUncontested(workloads, name, start, signal)
        }
        await inTurn(name, replace)
      },
    }),
    200,
  )
}

async function changed(begun: { id: string; accepted: Promise<RunConfig> }, status: number): Promise<ApiAnswer> {
  const { name, port } = await begun.accepted
  return { status, json: { name, port }, headers: { [operationHeader]: begun.id } }
}
