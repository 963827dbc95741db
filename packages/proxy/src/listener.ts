import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { ProxyError, type ProxyErrorCode } from './errors.ts'
import type { ProxyLimits } from './limits.ts'
import type { ProxyLog } from './proxy-config.ts'
import { createRequestGuard, type RequestGuard } from './request-guard.ts'
import { sendError, sendFault } from './respond.ts'

/** What a listener serves. */
export interface ListenerOptions {
  readonly host: string
  readonly port: number
  readonly allowedOrigins?: readonly string[]
  readonly limits: ProxyLimits
  readonly log: ProxyLog
  /** Answers one request whose Host and Origin were found good. May throw. */
  handle(req: IncomingMessage, res: ServerResponse): void
}

/** One listening HTTP server: admission of requests, and an end that waits for them. */
export class Listener {
  readonly #options: ListenerOptions
  readonly #server: Server
  #guard: RequestGuard
  #active = 0
  #isClosing = false
  #whenIdle: (() => void) | undefined

  constructor(options: ListenerOptions) {
    this.#options = options
    this.#guard = createRequestGuard(options, options.allowedOrigins)
    const { limits } = options
    this.#server = createServer(
      {
        headersTimeout: limits.headersTimeoutMs,
        requestTimeout: limits.receiveTimeoutMs,
        keepAliveTimeout: limits.idleConnectionMs,
        // Node looks every 30 s by default, which would make the two limits above mean up to 30 s more.
        connectionsCheckingInterval: limits.connectionCheckMs,
        noDelay: true,
        maxHeaderSize: limits.headerBytes,
        // A client whose machine vanished would otherwise hold its streams for ever.
        keepAlive: true,
        keepAliveInitialDelay: limits.tcpKeepAliveMs,
      },
      (req, res) => this.#admit(req, res),
    )
    this.#server.maxConnections = limits.connections
    this.#server.on('clientError', refuseMalformed)
  }

  /** Opens the socket. @throws ProxyError the listen codes */
  async open(): Promise<{ host: string; port: number }> {
    const { host, port, allowedOrigins, log } = this.#options
    await listen(this.#server, host, port)
    this.#server.on('error', (error) => log('error', 'the listener failed', { error: error.message }))
    const bound = this.#server.address()
    const address = { host, port: typeof bound === 'object' && bound !== null ? bound.port : port }
    this.#guard = createRequestGuard(address, allowedOrigins)
    if (!this.#guard.checksOrigin) {
      log('warn', 'the Origin header is not checked: the proxy listens beyond loopback without a list of origins', {
        host,
      })
    }
    return address
  }

  /** Stops accepting, waits for the answers under way until the deadline, and cuts what is left. */
  async close(deadlineMs: number): Promise<void> {
    this.#isClosing = true
    const closed = this.#server.listening
      ? new Promise<void>((resolve) => this.#server.close(() => resolve()))
      : Promise.resolve()
    await this.#idle(deadlineMs)
    this.#server.closeIdleConnections()
    this.#server.closeAllConnections()
    await closed
  }

  #admit(req: IncomingMessage, res: ServerResponse): void {
    this.#active += 1
    res.once('close', () => {
      this.#active -= 1
      if (this.#active === 0) this.#whenIdle?.()
    })
    // A socket that fails while we write is the client's business, not a reason to end the process.
    res.on('error', ignore)
    try {
      if (this.#isClosing) {
        res.setHeader('Connection', 'close')
        return sendError(res, { name: 'closing', message: 'The proxy is shutting down' })
      }
      if (!this.#guard.allowsHost(req.headers.host)) {
        return sendError(res, { name: 'host-denied', message: 'Host not allowed' })
      }
      if (!this.#guard.allowsOrigin(req.headers.origin)) {
        return sendError(res, { name: 'origin-denied', message: 'Origin not allowed' })
      }
      this.#options.handle(req, res)
    } catch (error) {
      sendFault(res, error, this.#options.log)
    }
  }

  async #idle(deadlineMs: number): Promise<void> {
    if (this.#active === 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, deadlineMs)
      this.#whenIdle = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void => {
      const code = listenErrors[error.code ?? ''] ?? 'listen-failed'
      reject(new ProxyError(code, `cannot listen on ${host}:${port}: ${error.message}`, error))
    }
    server.once('error', fail)
    server.listen({ host, port }, () => {
      server.off('error', fail)
      resolve()
    })
  })
}

const listenErrors: Readonly<Record<string, ProxyErrorCode>> = {
  EADDRINUSE: 'port-in-use',
  EACCES: 'port-not-permitted',
  EPERM: 'port-not-permitted',
  EADDRNOTAVAIL: 'host-invalid',
  ENOTFOUND: 'host-invalid',
  EAI_AGAIN: 'host-invalid',
  EAI_NONAME: 'host-invalid',
  EINVAL: 'host-invalid',
}

function refuseMalformed(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const status = malformedStatus[error.code ?? ''] ?? '400 Bad Request'
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy())
}

const malformedStatus: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
}

function ignore(): void {
  // Nothing is left to tell the client.
}
