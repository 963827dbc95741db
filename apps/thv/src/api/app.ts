import { randomUUID } from 'node:crypto'
import { messageOf, ThvError } from '@thv/core'
import { Hono, type Context } from 'hono'
import type { ApiDeps } from './api-deps.ts'
import { apiLimits } from './api-limits.ts'
import { problemAnswer } from './problem.ts'
import { assertSize, readBody, readQuery } from './read-request.ts'
import type { ApiAnswer, ApiRoute } from './route.ts'

/** Says who calls: undefined for somebody who may, or the answer for who may not. */
export type Authenticate = (request: Request) => Promise<Response | undefined>

/** What the application is made of. */
export interface ApiAppOptions {
  routes: readonly ApiRoute[]
  deps: ApiDeps
  /** Aborts when the server begins to end. */
  closing: AbortSignal
  /** Aborts when its grace is over. */
  ending: AbortSignal
  /** Default: whoever reaches the server may use it. */
  authenticate?: Authenticate
  /** Default `apiLimits.bodyBytes`. */
  bodyBytes?: number
  /** Default `apiLimits`. */
  routeMs?: { usual: number; long: number }
}

/** What goes with each request through the application. */
interface Env {
  Bindings: {
    /** Why the listener that took the request refuses it, if it does. */
    refusal?: string | undefined
  }
  Variables: { requestId: string }
}

/** The API as a function of requests, in the order of spec/local 5.1; it listens to nothing. */
export function createApiApp(options: ApiAppOptions): Hono<Env> {
  const { deps, routes, authenticate } = options
  // A path may end in a slash, as in the reference.
  const app = new Hono<Env>({ strict: false })
  app.onError((error, context) => {
    const fields = { request: context.get('requestId'), error: messageOf(error), stack: error.stack }
    const answer = problemAnswer(error)
    if (answer.status === 500) deps.log('error', 'a request failed', fields)
    return respond(answer)
  })
  app.use(async (context, next) => {
    const requestId = randomUUID()
    context.set('requestId', requestId)
    await next()
    const { headers } = context.res
    headers.set('X-Request-Id', requestId)
    headers.set('X-Content-Type-Options', 'nosniff')
    headers.set('Cross-Origin-Resource-Policy', 'same-origin')
  })
  app.use(async (context, next) => {
    assertSize(Number(context.req.header('content-length') ?? 0), bodyBytesOf(options))
    const { refusal } = context.env
    if (refusal !== undefined) throw new ThvError('request-refused', refusal, { hint: 'call it from this machine' })
    await next()
  })
  for (const route of byPrecision(routes)) {
    app.on(route.method, honoPath(route.path), async (context, next) => {
      // Hono takes HEAD for GET and drops the body: nobody would ever end a stream.
      if (context.req.method === 'HEAD') return await next()
      const refused = route.isOpen === true ? undefined : await authenticate?.(context.req.raw)
      return refused ?? (await serve(context, route, options))
    })
  }
  for (const path of new Set(routes.map((route) => route.path))) {
    const allowed = routes.filter((route) => route.path === path).map(({ method }) => method)
    app.all(honoPath(path), () => respond(methodNotAllowed(allowed)))
  }
  app.notFound(() => respond({ status: 404, text: '404 page not found' }))
  return app
}

/** `/workloads/upgrade-check` comes before `/workloads/{name}`. */
function byPrecision(routes: readonly ApiRoute[]): ApiRoute[] {
  const parameters = ({ path }: ApiRoute): number => path.split('{').length
  return [...routes].sort((one, other) => parameters(one) - parameters(other))
}

function honoPath(path: string): string {
  return path.replace(/\{(\w+)\}/g, ':$1')
}

async function serve(context: Context<Env>, route: ApiRoute, options: ApiAppOptions): Promise<Response> {
  const { usual, long } = options.routeMs ?? { usual: apiLimits.routeMs, long: apiLimits.longRouteMs }
  const limitMs = route.isLong === true ? long : usual
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(tooLate(limitMs)), limitMs)
  const signal = AbortSignal.any([context.req.raw.signal, late.signal, options.ending])
  try {
    return respond(await untilAborted(handle(context, route, options, signal), late.signal))
  } catch (error) {
    const requestId = context.get('requestId')
    const answer = problemAnswer(error, route.statusOf)
    const fields = { request: requestId, route: `${route.method} ${route.path}`, error: messageOf(error) }
    if (answer.status === 500) {
      options.deps.log('error', 'a request failed', {
        ...fields,
        ...(error instanceof Error ? { stack: error.stack } : {}),
      })
    } else options.deps.log('debug', 'a request was refused', fields)
    return respond(answer)
  } finally {
    clearTimeout(timer)
  }
}

async function handle(
  context: Context<Env>,
  route: ApiRoute,
  options: ApiAppOptions,
  signal: AbortSignal,
): Promise<ApiAnswer> {
  const query = readQuery(route, context.req.queries())
  const body = await readBody(route, context.req.raw, bodyBytesOf(options))
  const { closing } = options
  const { headers } = context.req.raw
  return await route.handle(options.deps, { params: context.req.param(), query, headers, body, signal, closing })
}

/** A handler that does not obey its signal must not keep its client waiting. */
async function untilAborted<T>(work: Promise<T>, late: AbortSignal): Promise<T> {
  return await new Promise<T>((resolve, reject) => {
    late.addEventListener('abort', () => reject(late.reason), { once: true })
    work.then(resolve, reject)
  })
}

/** Tells proxies on the way, and our own listener, that it goes on until somebody ends it. */
export const streamMark = { 'X-Accel-Buffering': 'no' } as const

function respond({ status, json, text, stream, headers = {} }: ApiAnswer): Response {
  const plain = { 'Content-Type': 'text/plain; charset=utf-8' }
  if (json !== undefined) {
    return new Response(`${JSON.stringify(json)}\n`, {
      status,
      headers: { 'Content-Type': 'application/json', ...headers },
    })
  }
  if (text !== undefined) {
    // Errors end in a line feed, as Go's do; the text of a log is what it is.
    return new Response(status < 400 ? text : `${text}\n`, { status, headers: { ...plain, ...headers } })
  }
  if (stream !== undefined) return new Response(stream, { status, headers: { ...streamMark, ...headers } })
  const none = status !== 204 ? { 'Content-Length': '0' } : {}
  return new Response(null, { status, headers: { ...none, ...headers } })
}

function methodNotAllowed(allowed: readonly string[]): ApiAnswer {
  return { status: 405, text: '405 method not allowed', headers: { Allow: allowed.join(', ') } }
}

function bodyBytesOf({ bodyBytes = apiLimits.bodyBytes }: ApiAppOptions): number {
  return bodyBytes
}

function tooLate(limitMs: number): ThvError {
  return new ThvError('request-timeout', `the request took longer than ${limitMs / 1000} s`, {
    hint: 'look whether it was done all the same, then try again',
  })
}
