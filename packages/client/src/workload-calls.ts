import type { Explanation, PermissionProfile, Workload, WorkloadStatus } from '@thv/core'
import { invalidAnswer, namedObjectsOf, objectOf, textIn, textsIn, type AnswerObject } from './answer-shape.ts'
import { apiPath, type ApiAnswer, type ApiCaller } from './call-api.ts'
import { parseExplanation } from './parse-explanation.ts'
import { countOf, parseStatus, parseWorkload } from './parse-workload.ts'

/** What a workload is created or edited with: spec/local 5.3. Members that are left out get the server's defaults. */
export interface WorkloadInput {
  name: string
  image?: string
  url?: string
  registry?: string
  server?: string
  group?: string
  host?: string
  transport?: string
  proxy_mode?: string
  target_port?: number
  proxy_port?: number
  cmd_arguments?: readonly string[]
  env_vars?: Readonly<Record<string, string>>
  secrets?: readonly { name: string; target: string }[]
  volumes?: readonly string[]
  permission_profile?: PermissionProfile
  /** The API isolates unless this is false. */
  network_isolation?: boolean
  trust_proxy_headers?: boolean
  tools?: readonly string[]
  tools_override?: Readonly<Record<string, { name?: string; description?: string }>>
  oauth_config?: RemoteLoginInput
}

/** How a remote server is logged in to, where its own word is not enough. */
export interface RemoteLoginInput {
  issuer?: string
  authorize_url?: string
  token_url?: string
  client_id?: string
  /** A secret of the store. */
  client_secret?: { name: string; target: string }
  scopes?: readonly string[]
  oauth_params?: Readonly<Record<string, string>>
  callback_port?: number
  skip_browser?: boolean
  resource?: string
}

/** One login. */
export interface LoginInput {
  scopes?: readonly string[]
  callback_port?: number
  timeout_seconds?: number
}

/** A login that waits for a person. */
export interface BegunLogin {
  /** To be opened in a browser on the machine of the server. */
  authorizationUrl: string
  /** Ends when the login does. */
  operation: string | undefined
}

/** What creating and editing answer. */
export interface CreatedWorkload {
  name: string
  port: number
}

/** Workloads, and how many files the server had to pass over because it cannot read them (0 if it does not say). */
export interface ListedWorkloads {
  workloads: Workload[]
  passedOver: number
}

/** Which workloads a bulk call is for. */
export type WorkloadSelection = { names: readonly string[] } | { group: string }

/**
 * The workloads of a server. Stop, restart and delete resolve when the server has taken the order, to the id of the
 * operation that carries it out (`OperationCalls`); servers that are not thv name none. Every call rejects as `ApiCaller` does, or with `api-answer-invalid`.
 */
export interface WorkloadCalls {
  /** Running ones only, unless `all`. */
  list(filter: { all?: boolean; group?: string }, signal: AbortSignal): Promise<ListedWorkloads>
  create(input: WorkloadInput, signal: AbortSignal): Promise<CreatedWorkload>
  /** Its settings in the shape they are created with, as the server wrote them. */
  get(name: string, signal: AbortSignal): Promise<AnswerObject>
  /** Replaces all settings but the name and, unless given, the port. */
  edit(name: string, input: Omit<WorkloadInput, 'name'>, signal: AbortSignal): Promise<CreatedWorkload>
  status(name: string, signal: AbortSignal): Promise<WorkloadStatus>
  /** Why it is as it is; an addition of thv's. */
  explain(name: string, signal: AbortSignal): Promise<Explanation>
  /** The server's output, its last lines. */
  logs(name: string, signal: AbortSignal): Promise<string>
  proxyLogs(name: string, signal: AbortSignal): Promise<string>
  /** The run config as the server wrote it; `assertRunConfig` of core judges it. */
  export(name: string, signal: AbortSignal): Promise<AnswerObject>
  stop(name: string, signal: AbortSignal): Promise<string | undefined>
  restart(name: string, signal: AbortSignal): Promise<string | undefined>
  delete(name: string, signal: AbortSignal): Promise<string | undefined>
  /** Resolves when a person can log in; only servers that are thv know it. */
  login(name: string, input: LoginInput, signal: AbortSignal): Promise<BegunLogin>
  cancelLogin(name: string, signal: AbortSignal): Promise<void>
  /** Resolves to the other workloads that shared the login. */
  logout(name: string, signal: AbortSignal): Promise<string[]>
  /** The same for several; a name that does not exist is no error here. */
  bulk(
    verb: 'stop' | 'restart' | 'delete',
    selection: WorkloadSelection,
    signal: AbortSignal,
  ): Promise<string | undefined>
}

const base = '/api/v1beta/workloads'

/** The workload calls over a caller. */
export function createWorkloadCalls(call: ApiCaller): WorkloadCalls {
  const get = async (path: string, signal: AbortSignal): Promise<ApiAnswer> =>
    await call({ method: 'GET', path: base + path }, signal)
  const order = async (method: 'POST' | 'DELETE', path: string, signal: AbortSignal): Promise<string | undefined> =>
    takenOrder(await call({ method, path: base + path }, signal))
  return {
    list: async ({ all, group }, signal) => {
      const query = { all: all === true ? 'true' : undefined, group }
      const answer = await call({ method: 'GET', path: base, query }, signal)
      const passedOver = countOf(Number(headerOf(answer, 'x-thv-passed-over'))) ?? 0
      return { workloads: namedObjectsOf(answer, 'workloads').map(parseWorkload), passedOver }
    },
    create: async (input, signal) => parseCreated(await call({ method: 'POST', path: base, body: input }, signal)),
    get: async (name, signal) => objectOf(await get(apiPath`/${name}`, signal)),
    edit: async (name, input, signal) => {
      const path = base + apiPath`/${name}/edit`
      return parseCreated(await call({ method: 'POST', path, body: input }, signal))
    },
    status: async (name, signal) =>
      parseStatus(textIn(objectOf(await get(apiPath`/${name}/status`, signal)), 'status')),
    explain: async (name, signal) => parseExplanation(objectOf(await get(apiPath`/${name}/explain`, signal))),
    logs: async (name, signal) => (await get(apiPath`/${name}/logs`, signal)).text,
    proxyLogs: async (name, signal) => (await get(apiPath`/${name}/proxy-logs`, signal)).text,
    export: async (name, signal) => objectOf(await get(apiPath`/${name}/export`, signal)),
    stop: async (name, signal) => await order('POST', apiPath`/${name}/stop`, signal),
    restart: async (name, signal) => await order('POST', apiPath`/${name}/restart`, signal),
    delete: async (name, signal) => await order('DELETE', apiPath`/${name}`, signal),
    login: async (name, input, signal) => {
      const answer = await call({ method: 'POST', path: base + apiPath`/${name}/login`, body: input }, signal)
      const operation = takenOrder(answer)
      return { authorizationUrl: textIn(objectOf(answer), 'authorization_url'), operation }
    },
    cancelLogin: async (name, signal) => {
      await call({ method: 'DELETE', path: base + apiPath`/${name}/login` }, signal)
    },
    logout: async (name, signal) => {
      const answer = await call({ method: 'POST', path: base + apiPath`/${name}/logout` }, signal)
      return textsIn(objectOf(answer), 'others')
    },
    bulk: async (verb, selection, signal) =>
      takenOrder(await call({ method: 'POST', path: `${base}/${verb}`, body: selection }, signal)),
  }
}

/** The operation of an order that was taken, if it has one. A web server that says 200 to everything takes none. */
function takenOrder(answer: ApiAnswer): string | undefined {
  if (answer.status !== 202) throw invalidAnswer(`its status is ${answer.status} instead of 202`)
  return headerOf(answer, 'x-thv-operation-id')
}

function headerOf({ headers }: ApiAnswer, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}

function parseCreated(answer: ApiAnswer): CreatedWorkload {
  const created = objectOf(answer)
  const port = countOf(created['port'])
  if (port === undefined) throw invalidAnswer("its 'port' is no port")
  return { name: textIn(created, 'name'), port }
}
