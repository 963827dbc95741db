import type { PermissionProfile, Workload, WorkloadStatus } from '@thv/core'
import { invalidAnswer, namedObjectsOf, objectOf, textIn, type AnswerObject } from './answer-shape.ts'
import { apiPath, type ApiAnswer, type ApiCaller } from './call-api.ts'
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
}

/** What creating and editing answer. */
export interface CreatedWorkload {
  name: string
  port: number
}

/** Which workloads a bulk call is for. */
export type WorkloadSelection = { names: readonly string[] } | { group: string }

/**
 * The workloads of a server. Stop, restart and delete resolve when the server has taken the order, which it carries out
 * meanwhile. Every call rejects as `ApiCaller` does, or with `api-answer-invalid`.
 */
export interface WorkloadCalls {
  /** Running ones only, unless `all`. */
  list(filter: { all?: boolean; group?: string }, signal: AbortSignal): Promise<Workload[]>
  create(input: WorkloadInput, signal: AbortSignal): Promise<CreatedWorkload>
  /** Its settings in the shape they are created with, as the server wrote them. */
  get(name: string, signal: AbortSignal): Promise<AnswerObject>
  /** Replaces all settings but the name and, unless given, the port. */
  edit(name: string, input: Omit<WorkloadInput, 'name'>, signal: AbortSignal): Promise<CreatedWorkload>
  status(name: string, signal: AbortSignal): Promise<WorkloadStatus>
  /** The server's output, its last lines. */
  logs(name: string, signal: AbortSignal): Promise<string>
  proxyLogs(name: string, signal: AbortSignal): Promise<string>
  /** The run config as the server wrote it; `assertRunConfig` of core judges it. */
  export(name: string, signal: AbortSignal): Promise<AnswerObject>
  stop(name: string, signal: AbortSignal): Promise<void>
  restart(name: string, signal: AbortSignal): Promise<void>
  delete(name: string, signal: AbortSignal): Promise<void>
  /** The same for several; a name that does not exist is no error here. */
  bulk(verb: 'stop' | 'restart' | 'delete', selection: WorkloadSelection, signal: AbortSignal): Promise<void>
}

const base = '/api/v1beta/workloads'

/** The workload calls over a caller. */
export function createWorkloadCalls(call: ApiCaller): WorkloadCalls {
  const get = async (path: string, signal: AbortSignal): Promise<ApiAnswer> =>
    await call({ method: 'GET', path: base + path }, signal)
  const order = async (method: 'POST' | 'DELETE', path: string, signal: AbortSignal): Promise<void> => {
    await call({ method, path: base + path }, signal)
  }
  return {
    list: async ({ all, group }, signal) => {
      const query = { all: all === true ? 'true' : undefined, group }
      const answer = await call({ method: 'GET', path: base, query }, signal)
      return namedObjectsOf(answer, 'workloads').map(parseWorkload)
    },
    create: async (input, signal) => parseCreated(await call({ method: 'POST', path: base, body: input }, signal)),
    get: async (name, signal) => objectOf(await get(apiPath`/${name}`, signal)),
    edit: async (name, input, signal) => {
      const path = base + apiPath`/${name}/edit`
      return parseCreated(await call({ method: 'POST', path, body: input }, signal))
    },
    status: async (name, signal) =>
      parseStatus(textIn(objectOf(await get(apiPath`/${name}/status`, signal)), 'status')),
    logs: async (name, signal) => (await get(apiPath`/${name}/logs`, signal)).text,
    proxyLogs: async (name, signal) => (await get(apiPath`/${name}/proxy-logs`, signal)).text,
    export: async (name, signal) => objectOf(await get(apiPath`/${name}/export`, signal)),
    stop: async (name, signal) => await order('POST', apiPath`/${name}/stop`, signal),
    restart: async (name, signal) => await order('POST', apiPath`/${name}/restart`, signal),
    delete: async (name, signal) => await order('DELETE', apiPath`/${name}`, signal),
    bulk: async (verb, selection, signal) => {
      await call({ method: 'POST', path: `${base}/${verb}`, body: selection }, signal)
    },
  }
}

function parseCreated(answer: ApiAnswer): CreatedWorkload {
  const created = objectOf(answer)
  const port = countOf(created['port'])
  if (port === undefined) throw invalidAnswer("its 'port' is no port")
  return { name: textIn(created, 'name'), port }
}
