import { registryErrorSchema, registryPageSchemas } from '@thv/core/schemas'
import { z } from 'zod'
import { countParameter, textParameter } from '../query.ts'
import { defineRoute, type ApiRoute } from '../route.ts'

const base = '/registry/{registryName}/v0.1'
const extension = `${base}/x/dev.toolhive`
const maxLimit = 200

/** The endpoints after the upstream registry: spec/local 5.7. Any name of a registry is the default one's. */
export const registryPageRoutes: readonly ApiRoute[] = [
  pageRoute('servers', `${base}/servers`),
  entryRoute('servers', `${base}/servers/{serverName}/versions/latest`),
  pageRoute('skills', `${extension}/skills`),
  entryRoute('skills', `${extension}/skills/{namespace}/{skillName}`),
  pageRoute('plugins', `${extension}/plugins`),
  entryRoute('plugins', `${extension}/plugins/{namespace}/{pluginName}`),
]

type Kind = keyof typeof registryPageSchemas

function pageRoute(kind: Kind, path: string): ApiRoute {
  return defineRoute({
    method: 'GET',
    path,
    tag: `registry-${kind}`,
    summary: `Searches the registry for ${kind}`,
    query: z.object({
      q: textParameter('Words to look for'),
      page: countParameter('Which page, from 1; default 1', { max: Number.MAX_SAFE_INTEGER }),
      limit: countParameter(`How many on a page, at most ${maxLimit}; default 50`, { max: maxLimit }),
    }),
    answers: { 200: { description: 'A page', schema: registryPageSchemas[kind] } },
    errors: [],
    handle: async (_deps, { query: { page = 1, limit = 50 } }) =>
      await Promise.resolve({ status: 200, json: { [kind]: [], metadata: { total: 0, page, limit } } }),
  })
}

function entryRoute(kind: Kind, path: string): ApiRoute {
  return defineRoute({
    method: 'GET',
    path,
    tag: `registry-${kind}`,
    summary: `Shows one of the ${kind} of the registry`,
    answers: { 404: { description: 'There is none of this name', schema: registryErrorSchema } },
    errors: [],
    handle: async () =>
      await Promise.resolve({
        status: 404,
        json: { code: 'not_found', message: `the registry has none of these ${kind}` },
      }),
  })
}
