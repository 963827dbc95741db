import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { messageOf, type EgressTarget } from '@thv/core'
import { formatAuthority, parseAuthority } from './authority.ts'
import { dial, EgressRefused, type DialOptions } from './dial.ts'
import { joinSockets } from './join-sockets.ts'
import { networkLimits } from './network-limits.ts'
import { parseUrl } from './parse-url.ts'

/** How the connections of one server are let out. */
export interface EgressProxyOptions extends DialOptions {
  /** Where the proxy listens. */
  socketPath: string
  /** Told of every attempt that named a target, allowed or not. */
  onAttempt: (attempt: EgressAttempt) => void
}

/** One connection that a server wanted. */
export interface EgressAttempt extends EgressTarget {
  /** Set when the rules do not allow it. */
  refused?: { reason: string; remedy: string }
  /** Why it came to nothing although it was allowed. */
  failed?: string
}

/** A running egress proxy. */
export interface EgressProxy {
  close(): Promise<void>
}

/**
 * The only way out for a filtered server: an HTTP proxy on a unix socket. What is asked
 * for with CONNECT, or as absolute URI, is decided by the rules and connected to; names
 * are looked up here. Redirects of a host are the client's to follow, so each is asked
 * for anew.
 */
export async function openEgressProxy(options: EgressProxyOptions): Promise<EgressProxy> {
  const open = new Set<Duplex>()
  const server = createServer({ headersTimeout: networkLimits.headersMs, requestTimeout: 0 })
  server.maxConnections = networkLimits.connections
  const track = (socket: Duplex): void => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  }
  let dials = 0
  const dialOf = async (target: EgressTarget): Promise<Socket> => {
    if (dials >= networkLimits.dials) throw new Busy('too many hosts are waited for')
    dials += 1
    try {
      const socket = await dialAndTell(options, target)
      track(socket)
      return socket
    } finally {
      dials -= 1
    }
  }
  server.on('connection', track)
  server.on('connect', (request, socket, head) => void tunnel(dialOf, request, { socket, head }))
  server.on('request', (request, response) => void forward(dialOf, request, response))
  server.on('clientError', (_error, socket) => socket.destroy())
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.socketPath, resolve)
  })
  return {
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}

type Dial = (target: EgressTarget) => Promise<Socket>

async function dialAndTell(options: EgressProxyOptions, target: EgressTarget): Promise<Socket> {
  try {
    const socket = await dial(options, target)
    options.onAttempt(target)
    return socket
  } catch (error) {
    if (error instanceof EgressRefused) {
      options.onAttempt({ ...target, refused: { reason: error.message, remedy: error.remedy } })
    } else options.onAttempt({ ...target, failed: messageOf(error) })
    throw error
  }
}

async function tunnel(
  dialOf: Dial,
  request: IncomingMessage,
  { socket, head }: { socket: Duplex; head: Buffer },
): Promise<void> {
  socket.on('error', () => socket.destroy())
  const target = parseAuthority(request.url ?? '')
  const host = request.headers.host
  try {
    if (target === undefined) throw new BadRequest('CONNECT takes host:port')
    // The target decides; a Host that says something else is an attempt to confuse somebody.
    if (host !== undefined && !sameAuthority(host, target, 443)) throw new BadRequest('Host and target differ')
    const remote = await dialOf(target)
    socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
    if (head.length > 0) remote.write(head)
    joinSockets(socket, remote)
  } catch (error) {
    const { status, text } = answerOf(error)
    const body = `${text}\n`
    socket.end(
      `HTTP/1.1 ${status}\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    )
  }
}

/** Headers that concern one hop only, or this proxy: RFC 9110 7.6.1. */
const hopHeaders = /^(connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|host)$/i

async function forward(dialOf: Dial, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const { url, target } = absoluteTarget(request)
    const remote = await dialOf(target)
    if (request.socket.destroyed) return void remote.destroy()
    const named = new Set((request.headers.connection ?? '').toLowerCase().split(/[\s,]+/))
    const headers = Object.entries(request.headers).filter(([name]) => !hopHeaders.test(name) && !named.has(name))
    // Node sends a body without a length as it is for some methods: the rest of it would be a second request.
    const isChunked = request.headers['transfer-encoding'] !== undefined
    const outgoing = httpRequest({
      createConnection: () => remote,
      method: request.method ?? 'GET',
      path: `${url.pathname}${url.search}`,
      headers: {
        ...Object.fromEntries(headers),
        ...(isChunked ? { 'transfer-encoding': 'chunked' } : {}),
        host: url.host,
        connection: 'close',
      },
    })
    outgoing.on('error', (error) => fail(response, error))
    outgoing.on('response', (incoming) => hand(incoming, response))
    outgoing.on('upgrade', (_incoming, socket) => {
      socket.destroy()
      fail(response, new Error('the host wants another protocol'))
    })
    response.on('close', () => outgoing.destroy())
    request.pipe(outgoing)
  } catch (error) {
    fail(response, error)
  }
}

function hand(incoming: IncomingMessage, response: ServerResponse): void {
  const kept = Object.entries(incoming.headers).filter(([name]) => !hopHeaders.test(name))
  incoming.on('error', () => response.destroy())
  try {
    response.writeHead(incoming.statusCode ?? 0, Object.fromEntries(kept))
    incoming.pipe(response)
  } catch (error) {
    // Whoever answers is a stranger: Node reads a status that it refuses to write.
    incoming.destroy()
    fail(response, error)
  }
}

function absoluteTarget(request: IncomingMessage): { url: URL; target: EgressTarget } {
  const url = parseUrl(request.url ?? '')
  if (url?.protocol !== 'http:' || url.username !== '')
    throw new BadRequest('this is a proxy: ask for http://host/path')
  const target = parseAuthority(url.host, 80)
  if (target === undefined) throw new BadRequest('the target is not host:port')
  const { host } = request.headers
  if (host !== undefined && !sameAuthority(host, target, 80)) throw new BadRequest('Host and target differ')
  return { url, target }
}

function sameAuthority(host: string, target: EgressTarget, defaultPort: number): boolean {
  const told = parseAuthority(host, defaultPort)
  if (told === undefined) return false
  // Some clients leave out the port in Host although the target has one.
  const samePort = told.port === target.port || !/:\d+$/.test(host)
  return (
    samePort &&
    formatAuthority({ ...told, port: 1 }).toLowerCase() === formatAuthority({ ...target, port: 1 }).toLowerCase()
  )
}

/** What a client asked for makes no sense. */
class BadRequest extends Error {
  override readonly name = 'BadRequest'
}

/** More is wanted at once than there may be. */
class Busy extends Error {
  override readonly name = 'Busy'
}

function answerOf(error: unknown): { status: string; text: string } {
  if (error instanceof BadRequest) return { status: '400 Bad Request', text: `thv: ${error.message}` }
  if (error instanceof Busy) return { status: '503 Service Unavailable', text: `thv: ${error.message}` }
  if (!(error instanceof EgressRefused)) return { status: '502 Bad Gateway', text: `thv: ${messageOf(error)}` }
  return { status: '403 Forbidden', text: `thv: refused, ${error.message}. To allow it, ${error.remedy}.` }
}

function fail(response: ServerResponse, error: unknown): void {
  if (response.headersSent) return void response.destroy()
  const { status, text } = answerOf(error)
  response.writeHead(Number(status.slice(0, 3)), { 'content-type': 'text/plain', connection: 'close' }).end(`${text}\n`)
}
