import type { ErrorCode } from '@thv/core'
import type { z } from 'zod'
import type { ApiDeps } from './api-deps.ts'

/** One operation of the API: data from which it is served, checked and documented. */
export interface ApiRoute {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** As OpenAPI writes it: `/api/v1beta/workloads/{name}`. */
  readonly path: string
  readonly summary: string
  /** What the operation belongs to. */
  readonly tag: string
  /** An object of optional texts; more than that is refused. */
  readonly query?: z.ZodObject
  /** Headers that it reads, with what they say. */
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: z.ZodType
  /** A body that is not sent counts as `{}`. */
  readonly bodyIsOptional?: boolean
  /** Statuses of success. */
  readonly answers: Readonly<Record<number, AnswerSpec>>
  /** Statuses of errors, beside those that any request can end in. */
  readonly errors: readonly number[]
  /** Codes that mean another status here than their kind does. */
  readonly statusOf?: Readonly<Partial<Record<ErrorCode, number>>>
  /** May take `apiLimits.longRouteMs`: it pulls, builds or installs. */
  readonly isLong?: boolean
  /** Never asks who is there. */
  readonly isOpen?: boolean
  handle(deps: ApiDeps, request: ApiRequest<unknown, unknown>): Promise<ApiAnswer>
}

/** What stands in an answer of success. */
export interface AnswerSpec {
  description: string
  schema?: z.ZodType
  /** Default `application/json` where there is a schema. */
  contentType?: string
  /** Something goes on behind it, and a header says what. */
  isOperation?: boolean
  /** Further headers, with what they say. */
  headers?: Readonly<Record<string, string>>
}

/** A request whose parts were found good. */
export interface ApiRequest<Query, Body> {
  readonly params: Readonly<Record<string, string>>
  readonly query: Query
  readonly headers: Headers
  readonly body: Body
  /** Aborts when the client goes, when time is up, and when the grace of an ending server is over. */
  readonly signal: AbortSignal
  /** Aborts when the server begins to end: a stream ends then, and whatever else goes on. */
  readonly closing: AbortSignal
}

/** What a handler answers; at most one of `json`, `text` and `stream`. */
export interface ApiAnswer {
  readonly status: number
  readonly json?: unknown
  readonly text?: string
  /** Not bound by the time of a route. */
  readonly stream?: ReadableStream<Uint8Array>
  readonly headers?: Readonly<Record<string, string>>
}

interface RouteSpec<Query, Body> extends Omit<ApiRoute, 'query' | 'body' | 'handle'> {
  readonly query?: z.ZodObject & z.ZodType<Query>
  readonly body?: z.ZodType<Body>
  handle(deps: ApiDeps, request: ApiRequest<Query, Body>): Promise<ApiAnswer>
}

/** A route whose handler gets what its own schemas made of the request. */
export function defineRoute<Query = Record<string, never>, Body = undefined>(route: RouteSpec<Query, Body>): ApiRoute {
  return {
    ...route,
    // The server parses with these very schemas before it calls.
    handle: async (deps, request) =>
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the schemas of this route have made both
      await route.handle(deps, { ...request, query: request.query as Query, body: request.body as Body }),
  }
}
