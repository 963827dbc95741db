import type { IncomingMessage } from 'node:http'
import { isThvError, messageOf, systemCodeOf, ThvError, withTimeLimit } from '@thv/core'
import { apiError } from './api-error.ts'
import { timeoutVariable } from './api-timeout.ts'
import { namedEndpoint, type Endpoint } from './endpoint.ts'
import { clientLimits } from './limits.ts'
import { readBody, send, type OutgoingRequest } from './send.ts'

/** The server to call and how. */
export interface ApiServer {
  /** `http://`, `https://`, `unix://` or `npipe://`, as `discoverServer` says. */
  url: string
  /** For one call with its answer; default `clientLimits.callMs`. */
  timeoutMs?: number
  /** With every request; `Authorization`, for example. */
  headers?: Readonly<Record<string, string>>
}

/** One call. */
export interface ApiRequest {
  method: OutgoingRequest['method']
  /** Below the server's URL, with encoded names: see {@link apiPath}. */
  path: string
  /** Undefined values are left out. */
  query?: Readonly<Record<string, string | undefined>>
  /** Sent as JSON. */
  body?: unknown
}

/** An answer that says the call has worked. */
export interface ApiAnswer {
  status: number
  /** Names in lower case. */
  headers: Readonly<Record<string, string | string[] | undefined>>
  text: string
}

/**
 * Calls the server. Rejects with what the server says went wrong, under its own code when the server is thv; otherwise
 * with `api-error`, `api-server-unreachable`, `api-server-timeout`, `api-answer-invalid` (too large), or the signal's reason.
 */
export type ApiCaller = (request: ApiRequest, signal: AbortSignal) => Promise<ApiAnswer>

/** Opens nothing. Throws `invalid-argument` or `server-record-refused` for what is no URL of a server. */
export function createApiCaller(server: ApiServer): ApiCaller {
  const endpoint = namedEndpoint(server.url)
  const timeoutMs = server.timeoutMs ?? clientLimits.callMs
  return async (request, signal) => {
    const limited = withTimeLimit(signal, timeoutMs)
    try {
      return await readAnswer(await send(endpoint, outgoing(request, server.headers), limited))
    } catch (error) {
      signal.throwIfAborted()
      throw limited.aborted ? timedOut(endpoint, timeoutMs) : explain(error, endpoint)
    }
  }
}

/** A path with names put in as one part each. */
export function apiPath(parts: TemplateStringsArray, ...names: string[]): string {
  return parts.map((part, index) => part + encodeURIComponent(names[index] ?? '')).join('')
}

function outgoing({ method, path, query, body }: ApiRequest, headers: ApiServer['headers']): OutgoingRequest {
  const entries = Object.entries(query ?? {}).filter((entry): entry is [string, string] => entry[1] !== undefined)
  const search = new URLSearchParams(entries).toString()
  const target = search === '' ? path : `${path}?${search}`
  if (body === undefined) return { method, path: target, ...(headers !== undefined && { headers }) }
  return {
    method,
    path: target,
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  }
}

async function readAnswer(answer: IncomingMessage): Promise<ApiAnswer> {
  const status = answer.statusCode ?? 0
  if (status < 200 || status > 299) {
    const { text } = await readBody(answer, clientLimits.errorBytes)
    throw apiError(status, answer.headers, text)
  }
  const { text, isCut } = await readBody(answer, clientLimits.answerBytes)
  if (!isCut) return { status, headers: answer.headers, text }
  throw new ThvError(
    'api-answer-invalid',
    `the answer of the ToolHive API server is larger than ${clientLimits.answerBytes} bytes`,
    { hint: 'ask for less, one group for example' },
  )
}

function explain(error: unknown, { url }: Endpoint): ThvError {
  if (isThvError(error)) return error
  const why = systemCodeOf(error) === 'ECONNREFUSED' ? 'nobody listens there' : messageOf(error)
  // ToolHive's words in front: tools match on them.
  return new ThvError('api-server-unreachable', `could not reach ToolHive API server at ${url}: ${why}`, {
    hint: "check that 'thv serve' is running, and what TOOLHIVE_API_URL says",
    cause: error,
  })
}

function timedOut({ url }: Endpoint, timeoutMs: number): ThvError {
  const message = `the ToolHive API server at ${url} did not answer within ${timeoutMs / 1000} s`
  return new ThvError('api-server-timeout', message, {
    hint: `set ${timeoutVariable} to wait longer; what was asked for may have been done`,
  })
}
