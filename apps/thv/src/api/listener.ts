import { IncomingMessage, type Server } from 'node:http'
import { createAdaptorServer } from '@hono/node-server'
import { systemCodeOf, messageOf, publishableUrl, socketUrl, ThvError, type ErrorCode } from '@thv/core'
import { createRequestGuard, type RequestGuard } from '@thv/proxy'
import { apiLimits } from './api-limits.ts'
import { receiveRest } from './receive-rest.ts'
import { bindSocket } from './unix-socket.ts'
import { within } from './within.ts'

/** Where to listen. */
export type ListenTarget = { host: string; port: number } | { socket: string }

/** A socket that is bound and accepts. */
export interface BoundListener {
  /** By which a client on this machine reaches it: `http://127.0.0.1:8080` or `unix:///path`; undefined for an address of another interface. */
  url: string | undefined
  /** Undefined for a socket. */
  port?: number
  /** Accepts no more, waits at most `graceMs` for the answers under way, and cuts what is left. */
  close(graceMs: number): Promise<void>
}

/** An answer that goes on until somebody ends it. */
interface Stream {
  destroy: () => unknown
}

/**
 * Binds one target. `fetch` gets each request, with the reason why the listener would
 * refuse it, if there is one: a web page must not reach what listens on this machine.
 */
export async function createListener(
  target: ListenTarget,
  fetch: (request: Request, refusal: string | undefined) => Promise<Response>,
): Promise<BoundListener> {
  let guard: RequestGuard | undefined
  const streams = new Set<Stream>()
  const server = createAdaptorServer({
    fetch: async (request, { incoming, outgoing }) => {
      const answer = await fetch(request, refusalOf(request, guard))
      if (incoming instanceof IncomingMessage) await receiveRest(incoming)
      if (answer.headers.get('X-Accel-Buffering') !== 'no') return answer
      streams.add(outgoing)
      outgoing.once('close', () => streams.delete(outgoing))
      // Comments are written to it at intervals, so that silence means a client that does not read.
      if (answer.headers.get('Content-Type') === 'text/event-stream') outgoing.setTimeout(apiLimits.slowReaderMs)
      return answer
    },
    overrideGlobalObjects: false,
    serverOptions: {
      headersTimeout: apiLimits.headersMs,
      requestTimeout: apiLimits.receiveMs,
      keepAliveTimeout: apiLimits.idleMs,
      connectionsCheckingInterval: apiLimits.connectionCheckMs,
    },
  })
  if (!isHttpServer(server)) throw new TypeError('the adaptor made no HTTP/1 server')
  server.maxConnections = apiLimits.connections
  const close = closer(server, streams)
  if ('socket' in target) {
    try {
      await bindSocket(server, target.socket)
    } catch (error) {
      // It may be bound all the same, and would keep the process alive.
      server.close()
      throw error
    }
    return { close, url: socketUrl(target.socket) }
  }
  const bound = await bindPort(server, target)
  guard = createRequestGuard({ host: target.host, port: bound.port })
  return { close, url: publishableUrl(bound), port: bound.port }
}

function isHttpServer(server: ReturnType<typeof createAdaptorServer>): server is Server {
  return 'maxRequestsPerSocket' in server
}

/** Counts the answers under way: Node's own idea of an idle connection leaves out those that have sent nothing yet. */
function closer(server: Server, streams: ReadonlySet<Stream>): BoundListener['close'] {
  let active = 0
  let whenIdle = (): void => {}
  server.on('request', (_req, res) => {
    active += 1
    res.once('close', () => {
      active -= 1
      if (active === 0) whenIdle()
    })
  })
  return async (graceMs) => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    const idle = new Promise<void>((resolve) => {
      whenIdle = resolve
      if (active === 0) resolve()
    })
    // They have been ended; what a client does not read is not waited for.
    const timer = setTimeout(() => streams.forEach((stream) => stream.destroy()), apiLimits.streamEndMs)
    await within(idle, graceMs)
    clearTimeout(timer)
    server.closeAllConnections()
    await closed
  }
}

/** Why a request does not come from where it may; the socket of a file system has no such rule. */
function refusalOf(request: Request, guard: RequestGuard | undefined): string | undefined {
  if (guard === undefined) return undefined
  const host = request.headers.get('host') ?? undefined
  if (!guard.allowsHost(host)) return 'Host not allowed'
  const origin = request.headers.get('origin') ?? undefined
  // Beyond loopback the server does not know its names, but a page of its own has the same one.
  const isAllowed = guard.checksOrigin
    ? guard.allowsOrigin(origin)
    : origin === undefined || origin === `http://${host}`
  return isAllowed ? undefined : 'Origin not allowed'
}

async function bindPort(
  server: Server,
  { host, port }: { host: string; port: number },
): Promise<{ address: string; port: number }> {
  await new Promise<void>((resolve, reject) => {
    const fail = (error: Error): void => reject(listenError(error, `${host}:${port}`))
    server.once('error', fail)
    server.listen({ host, port }, () => {
      server.off('error', fail)
      resolve()
    })
  })
  const bound = server.address()
  return typeof bound === 'object' && bound !== null ? bound : { address: host, port }
}

const listenCodes: Readonly<Record<string, ErrorCode>> = {
  EADDRINUSE: 'address-in-use',
  EACCES: 'port-not-permitted',
  EPERM: 'port-not-permitted',
  EADDRNOTAVAIL: 'host-invalid',
  ENOTFOUND: 'host-invalid',
  EAI_AGAIN: 'host-invalid',
}

function listenError(error: Error, where: string): ThvError {
  const code = listenCodes[systemCodeOf(error) ?? ''] ?? 'internal'
  const why = code === 'address-in-use' ? 'address already in use' : messageOf(error)
  return new ThvError(code, `cannot listen on ${where}: ${why}`, {
    hint: 'choose another --host or --port',
    cause: error,
  })
}
