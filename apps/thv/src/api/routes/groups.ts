import { z } from 'zod'
import { createGroup, deleteGroup, getGroup, listGroups } from '@thv/core'
import { createdGroupSchema, createGroupSchema, groupListSchema, groupSchema } from '@thv/core/schemas'
import { flagParameter } from '../query.ts'
import { defineRoute, type ApiRoute } from '../route.ts'

const tag = 'groups'
const groups = '/api/v1beta/groups'

/** Sets of workloads: spec/local 5.4. */
export const groupRoutes: readonly ApiRoute[] = [
  defineRoute({
    method: 'GET',
    path: groups,
    tag,
    summary: 'Lists all groups',
    answers: { 200: { description: 'The groups', schema: groupListSchema } },
    errors: [500],
    handle: async (deps) => ({ status: 200, json: { groups: await listGroups(await deps.workloads()) } }),
  }),
  defineRoute({
    method: 'POST',
    path: groups,
    tag,
    summary: 'Creates a group',
    body: createGroupSchema,
    answers: { 201: { description: 'The group was created', schema: createdGroupSchema } },
    errors: [400, 409, 500],
    handle: async (deps, { body: { name } }) => {
      await createGroup(await deps.workloads(), name)
      return { status: 201, json: { name } }
    },
  }),
  defineRoute({
    method: 'GET',
    path: `${groups}/{name}`,
    tag,
    summary: 'Shows one group',
    answers: { 200: { description: 'The group', schema: groupSchema } },
    errors: [400, 404, 500],
    handle: async (deps, { params: { name = '' } }) => ({
      status: 200,
      json: await getGroup(await deps.workloads(), name),
    }),
  }),
  defineRoute({
    method: 'DELETE',
    path: `${groups}/{name}`,
    tag,
    summary: 'Deletes a group; its workloads move to the default group, or are deleted with it',
    query: z.object({ 'with-workloads': flagParameter('Whether the workloads are deleted too; default false') }),
    answers: { 204: { description: 'The group was deleted' } },
    errors: [400, 404, 500],
    isLong: true,
    handle: async (deps, { params: { name = '' }, query, signal }) => {
      await deleteGroup(await deps.workloads(), name, { withWorkloads: query['with-workloads'] === true }, signal)
      return { status: 204 }
    },
  }),
]
