import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { systemCodeOf, ThvError, type LoginAnswer, type LoginCallback, type OpenLoginCallback } from '@thv/core'
import { loginPage, type LoginPage } from './login-page.ts'
import { networkLimits } from './network-limits.ts'
import { parseUrl } from './parse-url.ts'

/** Listens where a browser ends a login: `http://localhost:PORT/callback`, on loopback only. */
export const openLoginCallback: OpenLoginCallback = async ({ port, orElse }) => {
  const callback = new Callback()
  const servers = (await listen(port, callback)) ?? (orElse === 'any' ? await listenAnywhere(callback) : undefined)
  if (servers === undefined) {
    throw new ThvError('port-in-use', `port ${port}, where the browser is to come back to, is taken`, {
      hint: 'stop what listens there, or give --callback-port another port that the client was set up with',
    })
  }
  callback.begin(servers)
  return callback
}

class Callback implements LoginCallback {
  #servers: readonly Server[] = []
  #expected: { state: string; found: (answer: LoginAnswer) => void; end: () => void } | undefined
  /** Of the browser that waits for the page. */
  #held: ServerResponse | undefined
  #isAnswered = false
  #closing: Promise<void> | undefined
  port = 0

  begin(servers: readonly Server[]): void {
    this.#servers = servers
    this.port = portOf(servers[0])
  }

  async wait(state: string, signal: AbortSignal): Promise<LoginAnswer> {
    signal.throwIfAborted()
    return await new Promise<LoginAnswer>((resolve, reject) => {
      const end = (): void => {
        this.#expected = undefined
        reject(signal.aborted ? signal.reason : new Error('the listener was closed'))
      }
      signal.addEventListener('abort', end, { once: true })
      const found = (answer: LoginAnswer): void => {
        signal.removeEventListener('abort', end)
        resolve(answer)
      }
      this.#expected = { state, found, end }
    })
  }

  async close(): Promise<void> {
    this.#closing ??= this.#end()
    await this.#closing
  }

  /** Whoever else asks gets an answer too, and changes nothing: any page of the web can have a browser ask here. */
  receive(request: IncomingMessage, response: ServerResponse): void {
    const own = ['localhost', '127.0.0.1', '[::1]'].map((host) => `${host}:${this.port}`)
    if (!own.includes(request.headers.host ?? '')) return show(response, 403, 'elsewhere')
    const url = parseUrl(`http://localhost:${this.port}${request.url ?? ''}`)
    if (url?.pathname !== '/callback' && url?.pathname !== '/') return show(response, 404, 'elsewhere')
    if (request.method !== 'GET') return show(response, 405, 'elsewhere', { Allow: 'GET' })
    const states = url.searchParams.getAll('state')
    const expected = this.#expected
    if (expected === undefined || states.length !== 1 || states[0] !== expected.state) {
      return show(response, 400, this.#isAnswered ? 'answered' : 'stranger')
    }
    this.#expected = undefined
    this.#isAnswered = true
    this.#held = response
    expected.found({ url, reply: async (outcome) => await this.#reply(outcome) })
  }

  async #reply(outcome: 'done' | 'failed'): Promise<void> {
    const response = this.#held
    this.#held = undefined
    if (response === undefined || response.closed) return
    const written = once(response, 'close', { signal: AbortSignal.timeout(networkLimits.callbackReplyMs) })
    show(response, outcome === 'done' ? 200 : 400, outcome)
    // A browser that does not read its page keeps nobody waiting.
    await written.catch(() => {})
  }

  async #end(): Promise<void> {
    this.#expected?.end()
    await this.#reply('failed')
    await Promise.all(this.#servers.map(closeServer))
  }
}

function show(response: ServerResponse, status: number, page: LoginPage, headers: Record<string, string> = {}): void {
  response.writeHead(status, {
    'Content-Type': 'text/html; charset=utf-8',
    // The address of this page holds the code.
    'Cache-Control': 'no-store',
    'Referrer-Policy': 'no-referrer',
    'Content-Security-Policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    'X-Content-Type-Options': 'nosniff',
    Connection: 'close',
    ...headers,
  })
  response.end(loginPage(page))
}

/** Both loopback addresses, because browsers take either for localhost; undefined when somebody else has one of them. */
async function listen(port: number, callback: Callback): Promise<Server[] | undefined> {
  const first = await bind(port, '127.0.0.1', callback)
  if (first === 'taken' || first === 'absent') return undefined
  const second = await bind(portOf(first), '::1', callback).catch(async (error: unknown) => {
    await closeServer(first)
    throw error
  })
  if (second === 'absent') return [first]
  if (second !== 'taken') return [first, second]
  await closeServer(first)
  return undefined
}

async function listenAnywhere(callback: Callback): Promise<Server[] | undefined> {
  for (let attempt = 0; attempt < networkLimits.callbackTries; attempt += 1) {
    const servers = await listen(0, callback)
    if (servers !== undefined) return servers
  }
  return undefined
}

async function bind(port: number, host: string, callback: Callback): Promise<Server | 'taken' | 'absent'> {
  const server = createServer(
    { headersTimeout: networkLimits.callbackRequestMs, requestTimeout: networkLimits.callbackRequestMs },
    (request, response) => callback.receive(request, response),
  )
  server.maxConnections = networkLimits.callbackConnections
  try {
    server.listen({ port, host, exclusive: true })
    await once(server, 'listening')
    server.on('error', () => {})
    return server
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === 'EADDRINUSE') return 'taken'
    if (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT') return 'absent'
    if (code !== 'EACCES') throw error
    throw new ThvError('port-not-permitted', `port ${port} may not be used by this user`, {
      hint: 'choose a port above 1023',
      cause: error,
    })
  }
}

function portOf(server: Server | undefined): number {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what listens on TCP has such an address
  return (server?.address() as AddressInfo | null)?.port ?? 0
}

async function closeServer(server: Server): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
}
