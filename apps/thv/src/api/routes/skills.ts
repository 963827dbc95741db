import { ThvError } from '@thv/core'
import { installedSchemas, localBuildsSchema } from '@thv/core/schemas'
import { z } from 'zod'
import { notYetRoute } from '../not-yet.ts'
import { textParameter } from '../query.ts'
import { defineRoute, type ApiRoute } from '../route.ts'

type Kind = keyof typeof installedSchemas

const scope = z.enum(['user', 'project']).optional().describe('Whose: default user')
const project = textParameter('Absolute path of the project, for scope project')

/** Skills and plugins, which have the same routes: spec/local 5.9. Nothing is installed, and nothing can be yet. */
export const skillRoutes: readonly ApiRoute[] = [...routesOf('skills'), ...routesOf('plugins')]

function routesOf(tag: Kind): ApiRoute[] {
  const base = `/api/v1beta/${tag}`
  const scopes = z.object({ scope, project_root: project })
  const actions = ['validate', 'build', 'push', 'sync', 'upgrade'].map((action) =>
    notYetRoute({ method: 'POST', path: `${base}/${action}`, tag, summary: `Does ${action} for ${tag}` }),
  )
  return [
    defineRoute({
      method: 'GET',
      path: base,
      tag,
      summary: `Lists the installed ${tag}`,
      query: scopes.extend({
        client: textParameter('Of this client only'),
        group: textParameter('Of this group only'),
      }),
      answers: { 200: { description: 'What is installed', schema: installedSchemas[tag] } },
      errors: [400],
      handle: async () => await Promise.resolve({ status: 200, json: { [tag]: [] } }),
    }),
    notYetRoute({ method: 'POST', path: base, tag, summary: `Installs one of the ${tag}` }),
    ...actions,
    defineRoute({
      method: 'GET',
      path: `${base}/builds`,
      tag,
      summary: `Lists the ${tag} that were built on this machine`,
      answers: { 200: { description: 'The builds', schema: localBuildsSchema } },
      errors: [],
      handle: async () => await Promise.resolve({ status: 200, json: { builds: [] } }),
    }),
    absent('DELETE', `${base}/builds/{tag}`, { tag, summary: `Deletes a build of ${tag}` }),
    notYetRoute({ method: 'GET', path: `${base}/content`, tag, summary: `Shows what is in one of the ${tag}` }),
    absent('GET', `${base}/{name}`, { tag, summary: `Shows one of the installed ${tag}`, query: scopes }),
    absent('DELETE', `${base}/{name}`, { tag, summary: `Uninstalls one of the ${tag}`, query: scopes }),
  ]
}

function absent(
  method: ApiRoute['method'],
  path: string,
  more: { tag: Kind; summary: string; query?: z.ZodObject },
): ApiRoute {
  return {
    ...more,
    method,
    path,
    answers: {},
    errors: [404, ...(more.query === undefined ? [] : [400])],
    handle: async (_deps, { params }) =>
      await Promise.reject(
        new ThvError('skill-not-found', `'${Object.values(params)[0] ?? ''}' is none of the installed ${more.tag}`, {
          hint: 'nothing can be installed yet',
        }),
      ),
  }
}
