import { parseTarget } from '../front-door.ts'
import type { FrontMode } from '../proxy-config.ts'

/** The part of a configured URL behind its origin. */
export interface RemoteTarget {
  /** Begins with a slash. */
  readonly path: string
  /** Without the question mark; may be empty. */
  readonly query: string
}

/** What decides where a request goes at a server. */
export interface TargetedBackend {
  readonly transport: FrontMode
  /** Undefined for a server at the usual paths. */
  readonly remote: RemoteTarget | undefined
}

/** Whether a path at the proxy is the MCP endpoint: the usual one, and the one of a configured URL, which clients are told. */
export function isEndpointPath(path: string, backend: TargetedBackend | undefined): boolean {
  return path === '/mcp' || path === backend?.remote?.path
}

/** The request target of the endpoint at the server; for an SSE server that of its stream. */
export function endpointTarget(transport: FrontMode, remote: RemoteTarget | undefined): string {
  if (remote === undefined) return transport === 'sse' ? '/sse' : '/mcp'
  return joinTarget(remote.path, [remote.query])
}

/**
 * Where a request to the proxy goes at the server; undefined when there is nothing for it. At a
 * configured URL there is the endpoint and, for an SSE server, wherever it has its clients post to.
 */
export function backendTarget(backend: TargetedBackend, request: { method: string; url: string }): string | undefined {
  const { remote, transport } = backend
  if (remote === undefined) return request.url
  const { path, query } = parseTarget(request.url)
  const queries = [remote.query, query]
  if (transport !== 'sse') return isEndpointPath(path, backend) ? joinTarget(remote.path, queries) : undefined
  const isStream = request.method === 'GET' && (path === '/sse' || path === remote.path)
  return joinTarget(isStream ? remote.path : path, queries)
}

function joinTarget(path: string, queries: readonly string[]): string {
  const query = queries.filter((part) => part !== '').join('&')
  return query === '' ? path : `${path}?${query}`
}
