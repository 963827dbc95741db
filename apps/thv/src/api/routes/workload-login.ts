import { assertWorkloadName, limits, logIn, logOut, ThvError, type LoggedOut, type LogInRequest } from '@thv/core'
import { begunLoginSchema, loggedOutSchema, loginRequestSchema } from '@thv/core/schemas'
import type { ApiDeps } from '../api-deps.ts'
import { operationHeader } from '../openapi.ts'
import { defineRoute, type ApiAnswer, type ApiRoute } from '../route.ts'

const tag = 'workloads'
const workload = '/api/v1beta/workloads/{name}'

/** Logins at remote servers: an addition to ToolHive's API. */
export const workloadLoginRoutes: readonly ApiRoute[] = [
  defineRoute({
    method: 'POST',
    path: `${workload}/login`,
    tag,
    summary: 'Begins a login; the operation ends with it, and the workload goes on by itself',
    body: loginRequestSchema,
    bodyIsOptional: true,
    answers: { 202: { description: 'It waits for a person', schema: begunLoginSchema, isOperation: true } },
    errors: [400, 404, 409, 503],
    handle: async (deps, { params: { name = '' }, body, signal, closing }) => {
      const { scopes, callback_port: callbackPort, timeout_seconds: seconds = limits.loginMs / 1000 } = body
      const port = callbackPort === 0 ? undefined : callbackPort
      return await begin(deps, { name, scopes, callbackPort: port, timeoutMs: seconds * 1000 }, { signal, closing })
    },
  }),
  defineRoute({
    method: 'DELETE',
    path: `${workload}/login`,
    tag,
    summary: 'Ends a login that waits for a person',
    answers: { 204: { description: 'It was ended' } },
    errors: [400, 404],
    handle: async (deps, { params: { name = '' } }) => {
      assertWorkloadName(name)
      if (deps.operations.cancel('login', name)) return { status: 204 }
      throw new ThvError('operation-not-found', `no login of '${name}' waits for anybody`, {
        hint: 'look at the workload: it may be over',
      })
    },
  }),
  defineRoute({
    method: 'POST',
    path: `${workload}/logout`,
    tag,
    summary: 'Forgets a login, here and at the authorization server',
    answers: { 200: { description: 'It was forgotten', schema: loggedOutSchema, isOperation: true } },
    errors: [400, 404],
    handle: async (deps, { params: { name = '' } }) => await forget(deps, name),
  }),
]

async function begin(
  deps: ApiDeps,
  request: LogInRequest,
  { signal, closing }: { signal: AbortSignal; closing: AbortSignal },
): Promise<ApiAnswer> {
  const { name } = request
  assertWorkloadName(name)
  const login = await deps.login()
  if (deps.operations.isRunning('login', name)) {
    throw new ThvError('workload-busy', `a login of '${name}' waits for somebody already`, {
      hint: 'go on with that one, or end it with DELETE on the same path',
    })
  }
  const begun = deps.operations.begin<string>({
    kind: 'login',
    subjects: [name],
    caller: signal,
    work: async ({ accept, progress, inTurn }) => {
      await inTurn(name, async (ending) => {
        const show = async (url: string): Promise<void> => {
          progress('waiting for a person')
          accept(url)
        }
        // A server that ends does not wait for a person.
        const { issuer } = await logIn(login, request, show, AbortSignal.any([ending, closing]))
        progress(`logged in at ${issuer}`)
      })
    },
  })
  const url = await begun.accepted
  return { status: 202, json: { authorization_url: url }, headers: { [operationHeader]: begun.id } }
}

async function forget(deps: ApiDeps, name: string): Promise<ApiAnswer> {
  assertWorkloadName(name)
  const login = await deps.login()
  const begun = deps.operations.begin<LoggedOut>({
    kind: 'logout',
    subjects: [name],
    work: async ({ accept, inTurn }) => {
      await inTurn(name, async (ending) => accept(await logOut(login, name, ending)))
    },
  })
  const { wasLoggedIn, ...rest } = await begun.accepted
  return { status: 200, json: { was_logged_in: wasLoggedIn, ...rest }, headers: { [operationHeader]: begun.id } }
}
