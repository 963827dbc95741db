import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { answerCors } from './cors.ts'
import { ProxyError, type ProxyErrorCode, type WireError } from './errors.ts'
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
  /** Hears of every request, also of those that are refused here. */
  observe?(req: IncomingMessage, res: ServerResponse): void
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
  #opening: Promise<void> | undefined
  /** Answers under way on each connection. */
  readonly #answers = new WeakMap<Duplex, ServerResponse[]>()
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
    this.#server.on('clientError', (error, socket) => this.#refuseMalformed(error, socket))
  }

  /** Opens the socket. @throws ProxyError the listen codes, `cancelled`, `closed` */
  async open(signal: AbortSignal): Promise<{ host: string; port: number }> {
    const { host, port, allowedOrigins, log } = this.#options
    this.#opening = this.#listen()
    await untilAborted(this.#opening, signal, () => (this.#isClosing = true))
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
    // A listener that is still being opened closes itself.
    if (this.#opening !== undefined) await Promise.race([this.#opening.catch(ignore), delay(deadlineMs)])
    const closed = this.#server.listening
      ? new Promise<void>((resolve) => this.#server.close(() => resolve()))
      : Promise.resolve()
    await this.#idle(deadlineMs)
    this.#server.closeIdleConnections()
    this.#server.closeAllConnections()
    await closed
  }

  #admit(req: IncomingMessage, res: ServerResponse): void {
    const { socket } = req
    this.#active += 1
    const answers = this.#answers.get(socket) ?? this.#watch(socket)
    answers.push(res)
    res.on('close', () => this.#forget(res, answers))
    // A socket that fails while we write is the client's business, not a reason to end the process.
    res.on('error', ignore)
    res.on('prefinish', () => this.#boundUnread(res))
    this.#options.observe?.(req, res)
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
      // Where any origin may come, none is on a list, and so none may read.
      if (this.#guard.checksOrigin && answerCors(req, res)) return
      if ((req.headers['transfer-encoding'] ?? 'chunked').toLowerCase() !== 'chunked') {
        return sendError(res, codingError, '', { Connection: 'close' })
      }
      this.#options.handle(req, res)
    } catch (error) {
      sendFault(res, error, this.#options.log)
    }
  }

  #forget(res: ServerResponse, answers: ServerResponse[]): void {
    const index = answers.indexOf(res)
    if (index === -1) return
    answers.splice(index, 1)
    this.#active -= 1
    if (this.#active === 0) this.#whenIdle?.()
  }

  async #listen(): Promise<void> {
    const { host, port } = this.#options
    await listen(this.#server, host, port)
    if (!this.#isClosing) return
    this.#server.close()
    throw new ProxyError('closed', 'the proxy was closed while it was being started')
  }

  /** Node tells only the answer that has its turn when a connection closes, and not those that queue behind it. */
  #watch(socket: Duplex): ServerResponse[] {
    const answers: ServerResponse[] = []
    this.#answers.set(socket, answers)
    socket.once('close', () => {
      // Collected first: each leaves the list as it is told.
      for (const res of answers.filter(({ socket: own, destroyed }) => own === null && !destroyed)) {
        res.destroy()
        res.emit('close')
      }
    })
    return answers
  }

  /** An answer that was written to its end, and of which the client reads nothing, is not kept for ever. */
  #boundUnread(res: ServerResponse): void {
    if (res.writableLength > 0) res.setTimeout(this.#options.limits.answerUnreadMs, () => res.destroy())
  }

  #refuseMalformed(error: NodeJS.ErrnoException, socket: Duplex): void {
    // Into an answer under way a second one cannot be written.
    const isAnswering = (this.#answers.get(socket)?.length ?? 0) > 0
    if (error.code === 'ECONNRESET' || !socket.writable || isAnswering) return void socket.destroy()
    const status = malformedStatus[error.code ?? ''] ?? '400 Bad Request'
    socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy())
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

/** Waits for the opening; an abort ends the wait, and `abandoned` sees to what is opened later. */
async function untilAborted(opening: Promise<void>, signal: AbortSignal, abandoned: () => void): Promise<void> {
  let abort: () => void = ignore
  const aborted = new Promise<never>((_resolve, reject) => {
    abort = () => {
      abandoned()
      reject(new ProxyError('cancelled', 'starting the proxy was cancelled', signal.reason))
    }
    signal.addEventListener('abort', abort, { once: true })
  })
  try {
    await Promise.race([opening, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

const codingError: WireError = {
  name: 'transfer-encoding-unsupported',
  message: 'Not Implemented: the only transfer encoding is chunked',
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

const malformedStatus: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
}

function ignore(): void {
  // Nothing is left to tell the client.
}
