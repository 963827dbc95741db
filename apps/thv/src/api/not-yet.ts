import { ThvError } from '@thv/core'
import type { ApiRoute } from './route.ts'

/** A route of the contract whose capability does not exist yet: says so with 501, whatever it is sent. */
export function notYetRoute(route: Pick<ApiRoute, 'method' | 'path' | 'tag' | 'summary'>): ApiRoute {
  return {
    ...route,
    answers: {},
    errors: [501],
    handle: async () => await Promise.reject(notYet(route.tag)),
  }
}

/** Says that something cannot be done in this version: never a false success. */
export function notYet(what: string): ThvError {
  return new ThvError('not-implemented', `thv cannot handle ${what} like this yet`, {
    hint: 'see the changelog of a newer version',
  })
}
