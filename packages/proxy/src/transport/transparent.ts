import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Dispatcher, Pool } from 'undici'
import { ProxyError, type WireError } from '../errors.ts'
import { buildRequestHeaders, buildResponseHeaders } from '../header-rules.ts'
import type { ProxyLimits } from '../limits.ts'
import type { BackendInfo, FrontMode, ProxyLog } from '../proxy-config.ts'
import { sendError, sendFault } from '../respond.ts'
import { EndpointRewriter } from './endpoint-rewriter.ts'
import { probeBackend } from './http-probe.ts'

/** The backend in use. */
interface HttpBackend {
  readonly origin: string
  readonly transport: FrontMode
  readonly pool: Pool
}

/** A request that waits for a backend. */
interface Waiter {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly timer: NodeJS.Timeout
}

/** Forwards every request to an HTTP backend, bytes untouched and streamed both ways. */
export class TransparentForwarder {
  readonly #name: string
  readonly #limits: ProxyLimits
  readonly #log: ProxyLog
  readonly #waiters = new Set<Waiter>()
  readonly #open = new Set<ServerResponse>()
  readonly #streams = new Set<ServerResponse>()
  readonly #gets = new Set<ServerResponse>()
  #backend: HttpBackend | undefined
  #attaches = 0
  #isClosed = false

  constructor(options: { name: string; limits: ProxyLimits; log: ProxyLog }) {
    this.#name = options.name
    this.#limits = options.limits
    this.#log = options.log
  }

  /** Requests forwarded or waiting, without event streams. */
  get inFlight(): number {
    return this.#open.size - this.#streams.size + this.#waiters.size
  }

  /** Open event streams. */
  get streams(): number {
    return this.#streams.size
  }

  /** Whether a backend is ready. */
  get isAttached(): boolean {
    return this.#backend !== undefined
  }

  /** Waits until the backend answers, then sends it the requests that waited. */
  async attach(origin: string, transport: FrontMode, signal: AbortSignal): Promise<BackendInfo> {
    if (this.#isClosed) throw new ProxyError('closed', 'the proxy is closed')
    this.detach('another server takes its place')
    const attach = this.#attaches
    // Loaded here, so that the process in front of a stdio server never pays for it.
    const { Pool } = await import('undici')
    const pool = new Pool(origin, {
      connections: this.#limits.backendConnections,
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
    })
    try {
      const info = await probeBackend({ origin, transport, pool, limits: this.#limits, signal })
      if (this.#isClosed) throw new ProxyError('closed', 'the proxy is closed')
      if (attach !== this.#attaches) throw new ProxyError('server-gone', 'the server was given up during its start')
      this.#backend = { origin, transport, pool }
      this.#release()
      return info
    } catch (error) {
      void pool.destroy()
      throw error
    }
  }

  /** Gives the backend up; requests under way are cut. */
  detach(reason: string): void {
    const backend = this.#backend
    this.#backend = undefined
    this.#attaches += 1
    if (backend === undefined) return
    this.#log('debug', 'the HTTP backend was detached', { reason })
    void backend.pool.destroy(new ProxyError('server-gone', reason))
  }

  /** Ends the streams that would otherwise hold up the end of the listener. */
  endStreams(): void {
    for (const res of this.#streams) res.destroy()
  }

  /** Gives everything up. */
  close(): void {
    this.#isClosed = true
    for (const waiter of this.#waiters) this.#refuse(waiter)
    this.detach('the proxy is closing')
  }

  /** Forwards one request now, or when a backend is there. */
  handle(req: IncomingMessage, res: ServerResponse): void {
    if (this.#backend !== undefined) return this.#forward(this.#backend, req, res)
    if (this.#isClosed || this.#waiters.size >= this.#limits.waitingCalls) return sendError(res, this.#absent())
    const timer = setTimeout(() => this.#refuse(waiter), this.#limits.backendWaitMs)
    const waiter: Waiter = { req, res, timer }
    this.#waiters.add(waiter)
    res.once('close', () => {
      clearTimeout(timer)
      this.#waiters.delete(waiter)
    })
  }

  #release(): void {
    for (const { req, res, timer } of this.#waiters) {
      clearTimeout(timer)
      if (res.destroyed) continue
      try {
        this.handle(req, res)
      } catch (error) {
        sendFault(res, error, this.#log)
      }
    }
    this.#waiters.clear()
  }

  #refuse(waiter: Waiter): void {
    clearTimeout(waiter.timer)
    if (this.#waiters.delete(waiter)) sendError(waiter.res, this.#absent())
  }

  #forward(backend: HttpBackend, req: IncomingMessage, res: ServerResponse): void {
    if (Number(req.headers['content-length'] ?? 0) > this.#limits.bodyBytes) return sendError(res, tooLarge)
    // A quiet stream holds its connection for ever; beyond the limit requests would wait without end.
    const isStream = req.method === 'GET'
    if (
      this.#open.size >= this.#limits.backendConnections ||
      (isStream && this.#gets.size >= this.#limits.backendStreams)
    ) {
      return sendError(res, this.#busy())
    }
    if (isStream) this.#gets.add(res)
    const client = {
      address: req.socket.remoteAddress ?? 'unknown',
      host: req.headers.host ?? '',
      scheme: 'http' as const,
    }
    const headers = buildRequestHeaders(req.rawHeaders, new URL(backend.origin).host, client)
    const hasBody = req.headers['content-length'] !== undefined || req.headers['transfer-encoding'] !== undefined
    this.#open.add(res)
    res.once('close', () => {
      this.#open.delete(res)
      this.#streams.delete(res)
      this.#gets.delete(res)
    })
    backend.pool.dispatch(
      {
        path: req.url ?? '/',
        method: req.method ?? 'GET',
        headers: backend.transport === 'sse' ? withoutEncodings(headers) : headers,
        body: hasBody ? req : null,
      },
      this.#answer(backend, res, client.host),
    )
  }

  #answer(backend: HttpBackend, res: ServerResponse, host: string): Dispatcher.DispatchHandler {
    let rewriter: EndpointRewriter | undefined
    return {
      onRequestStart: (controller) => {
        const leave = (): void => {
          if (!res.writableFinished) controller.abort(new Error('the client left'))
        }
        if (res.destroyed) leave()
        else res.once('close', leave)
        res.on('drain', () => controller.resume())
      },
      onResponseStart: (_controller, status, headers) => {
        // An informational response is between the backend and us.
        if (status < 200) return
        const kept = buildResponseHeaders(headers)
        if (String(headers['content-type']).startsWith('text/event-stream')) {
          if (!res.destroyed) this.#streams.add(res)
          if (backend.transport === 'sse') rewriter = this.#rewriter(backend, host)
          delete kept['content-length']
        }
        res.writeHead(status, kept)
        // Only a stream may stay silent; elsewhere headers leave with the first bytes, unchanged.
        if (this.#streams.has(res)) res.flushHeaders()
      },
      onResponseData: (controller, chunk) => {
        const bytes = rewriter === undefined ? chunk : rewriter.push(chunk)
        if (bytes.length > 0 && !res.write(bytes)) controller.pause()
      },
      onResponseEnd: () => {
        const held = rewriter?.flush()
        if (held !== undefined && held.length > 0) res.write(held)
        res.end()
      },
      onResponseError: (_controller, error) => this.#fail(res, error),
    }
  }

  #rewriter(backend: HttpBackend, host: string): EndpointRewriter {
    return new EndpointRewriter({
      backendOrigin: backend.origin,
      proxyOrigin: `http://${host}`,
      limitBytes: this.#limits.firstEventBytes,
    })
  }

  #fail(res: ServerResponse, error: Error): void {
    if (res.destroyed) return
    this.#log('warn', 'a request to the HTTP backend failed', { error: error.message })
    if (res.headersSent) return void res.destroy()
    const wasSent = !/ECONNREFUSED|ENOTFOUND|UND_ERR_CONNECT_TIMEOUT/.test(String('code' in error ? error.code : ''))
    sendError(res, {
      name: 'backend-unreachable',
      message: `The server "${this.#name}" did not answer`,
      data: { outcome: wasSent ? 'unknown' : 'not-sent', backend: this.#name },
    })
  }

  #busy(): WireError {
    return {
      name: 'server-busy',
      message: `The server "${this.#name}" has too many open requests; the call was not sent`,
      data: { outcome: 'not-sent', backend: this.#name },
    }
  }

  #absent(): WireError {
    return {
      name: 'server-absent',
      message: `The server "${this.#name}" is not running; the call was not sent`,
      data: { outcome: 'not-sent', backend: this.#name },
    }
  }
}

const tooLarge: WireError = { name: 'body-too-large', message: 'Request Entity Too Large' }

function withoutEncodings(headers: readonly string[]): string[] {
  // A compressed endpoint event could not be rewritten.
  return headers.filter((_value, index) => String(headers[index - (index % 2)]).toLowerCase() !== 'accept-encoding')
}
