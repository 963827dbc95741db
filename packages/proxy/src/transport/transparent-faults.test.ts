import fc from 'fast-check'
import { connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { ProxyLimits } from '../limits.ts'
import type { ProxyConfig } from '../proxy-config.ts'
import { fetchText, initialize, openEvents, openResponse, post } from '../testing/http-client.ts'
import { startHttpServer, type Script, type ScriptedHttpServer } from '../testing/http-backend.ts'
import { never, startProxy, type ProxyFixture } from '../testing/proxy-fixture.ts'

const open: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

/** A proxy with a server that does what the script says. */
async function pair(
  script: Script,
  options: { limits?: Partial<ProxyLimits>; config?: Partial<ProxyConfig> } = {},
): Promise<ProxyFixture & { server: ScriptedHttpServer }> {
  const limits = { backendWaitMs: 300, ...options.limits }
  const fixture = await startProxy({ config: { backend: 'http', ...options.config }, limits })
  open.push(() => fixture.proxy.close(0))
  const server = await startHttpServer()
  open.push(() => server.kill().catch(() => undefined))
  const transport = 'streamable-http'
  await fixture.proxy.attach({ kind: 'http', origin: server.origin, transport }, never)
  server.script = script
  return { ...fixture, server }
}

/** Sends raw bytes and returns all that comes back within a moment of silence. */
function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text, 'latin1'))
    let out = ''
    socket.setEncoding('latin1')
    socket.on('data', (piece: string) => (out += piece))
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(out))
    socket.setTimeout(150, () => socket.destroy())
  })
}

const statuses = (text: string): string[] => [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status ?? '')
const ok: Script = (_req, res) => (res.writeHead(200).end('ok'), true)

describe('what could be smuggled past the proxy', () => {
  it.each([
    [
      'both lengths',
      'POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    [
      'both lengths, the other way',
      'POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n',
    ],
    ['two lengths', 'POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nabcd'],
    ['a space before the colon', 'POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n'],
    ['a coding in HTTP/1.0', 'POST /x HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['two hosts', 'GET /x HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n'],
    ['a URL in place of a path', 'GET http://evil/x HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    ['a path that is a host', 'GET //evil/x HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    ['no path', 'OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n'],
  ])('%s is refused with 400', async (_what, text) => {
    const { port, server } = await pair(ok)
    expect(statuses(await raw(port, text))[0]).toBe('400')
    expect(server.seen).toEqual([])
  })

  it.each([
    ['two codings', 'POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n'],
    ['a coding nobody knows', 'POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n'],
  ])('%s is refused with 501', async (_what, text) => {
    const { port, server } = await pair(ok)
    expect(statuses(await raw(port, text))[0]).toBe('501')
    expect(server.seen).toEqual([])
  })

  it.each([
    ['CONNECT', 'CONNECT evil:1 HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    ['TRACE', 'TRACE /x HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    ['an upgrade', 'GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n'],
    ['headers above the limit', `GET /x HTTP/1.1\r\nHost: localhost\r\nA: ${'a'.repeat(20_000)}\r\n\r\n`],
  ])('%s never gets a way through', async (_what, text) => {
    const { port, server } = await pair(ok)
    expect(statuses(await raw(port, text)).every((status) => /^(405|431|200)$/.test(status))).toBe(true)
    expect(server.seen.every(({ headers }) => headers.upgrade === undefined)).toBe(true)
  })

  it('never makes two requests of one, whatever the framing looks like', async () => {
    const { port, server } = await pair(ok)
    const line = fc.constantFrom(
      'Content-Length: 0',
      'Content-Length: 30',
      'content-length : 3',
      'Content-Length: +5',
      'Content-Length: 0x5',
      'Content-Length: 5, 5',
      'Transfer-Encoding: chunked',
      'Transfer-Encoding:\tchunked',
      'Transfer-Encoding: identity',
      'Transfer-Encoding: chunked, chunked',
      'Transfer-encoding: cow',
      'Connection: content-length, transfer-encoding',
      'X: y\rTransfer-Encoding: chunked',
      'X: y\nTransfer-Encoding: chunked',
      'Expect: 100-continue',
    )
    const body = fc.constantFrom(
      '',
      '0\r\n\r\n',
      '5\r\nhello\r\n0\r\n\r\n',
      '0\r\nX: y\r\n\r\n',
      'G',
      '1;a=b\r\nx\r\n0\r\n\r\n',
    )
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 3 }), body, async (lines, text) => {
        const hidden = 'GET /hidden HTTP/1.1\r\nHost: localhost\r\n\r\n'
        server.seen.length = 0
        const answer = await raw(
          port,
          `POST /x HTTP/1.1\r\n${['Host: localhost', ...lines].join('\r\n')}\r\n\r\n${text}${hidden}`,
        )
        // What the server counts as a request, the proxy must have counted as one too.
        const answered = statuses(answer).filter((status) => status !== '100').length
        // Garbage behind a request cuts the connection in place of its answer; the request itself may have gone out.
        const cut = answered === 0 && server.seen[0]?.url === '/x' ? 1 : 0
        expect(server.seen.length).toBeLessThanOrEqual(answered + cut)
      }),
      { numRuns: 40 },
    )
  })
})

describe('a request body', () => {
  it('above the limit gets 413, declared or not', async () => {
    const { port, server } = await pair(ok, { limits: { bodyBytes: 100_000 } })
    const declared = await fetchText({ port, method: 'POST', body: 'x'.repeat(100_001) })
    expect([declared.status, declared.text]).toEqual([413, 'Request Entity Too Large\n'])
    expect(server.seen).toEqual([])
    const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`
    const head = 'POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n'
    expect(statuses(await raw(port, head + chunk + chunk))).toEqual(['413'])
  })

  it('of several megabytes arrives whole, chunked or not', async () => {
    const { port, server } = await pair(ok)
    const text = 'é'.repeat(2_000_000)
    expect((await fetchText({ port, method: 'POST', path: '/x', body: text })).status).toBe(200)
    const headers = { 'transfer-encoding': 'chunked' }
    expect((await fetchText({ port, method: 'POST', path: '/x', headers, body: text })).status).toBe(200)
    expect(server.seen.map(({ body }) => body === text)).toEqual([true, true])
  })
})

describe('the revision without sessions', () => {
  it.each(['GET', 'HEAD', 'DELETE'])('has no %s', async (method) => {
    const { port, server } = await pair(ok)
    const { status, headers } = await fetchText({ port, method, headers: { 'mcp-protocol-version': '2026-07-28' } })
    expect([status, headers.allow]).toEqual([405, 'POST, OPTIONS'])
    expect(server.seen).toEqual([])
  })
})

describe('a redirect of the server', () => {
  it.each([301, 302, 303, 307, 308])('with %s to itself is followed with method and body', async (status) => {
    const { port, server } = await pair((req, res) => {
      if (req.url !== '/mcp') return ok(req, res, '')
      res.writeHead(status, { location: `http://${req.headers.host}/mcp/?a=1` }).end('moved')
      return true
    })
    const { text } = await fetchText({ port, method: 'POST', body: 'the body' })
    expect(text).toBe('ok')
    expect(server.seen.map(({ method, url, body }) => [method, url, body])).toEqual([
      ['POST', '/mcp', 'the body'],
      ['POST', '/mcp/?a=1', 'the body'],
    ])
  })

  it('in a loop is returned after ten', async () => {
    const { port, server } = await pair((_req, res) => (res.writeHead(307, { location: '/mcp' }).end(), true))
    expect((await fetchText({ port, method: 'POST', body: 'x' })).status).toBe(307)
    expect(server.seen).toHaveLength(11)
  })

  it.each([
    'http://127.0.0.1:1/x',
    'https://127.0.0.1/x',
    '//evil/x',
    'http://evil/x',
    'file:///etc/passwd',
    'http://[',
  ])('to %s is returned, not followed', async (location) => {
    const { port, server } = await pair((_req, res) => (res.writeHead(307, { location }).end(), true))
    const { status, headers } = await fetchText({ port, method: 'POST', body: 'x' })
    expect([status, headers.location, server.seen.length]).toEqual([307, location, 1])
  })

  it('keeps the session where the redirect led', async () => {
    const { port, server } = await pair((req, res) => {
      if (req.url !== '/mcp') return false
      res.writeHead(307, { location: '/mcp/' }).end()
      return true
    })
    const id = await initialize(port)
    server.sessions.clear()
    expect((await post(port, { id: 1, method: 'a' }, { 'mcp-session-id': id })).status).toBe(200)
  })
})

describe('a server that misbehaves', () => {
  it('and sends 500 is passed on as it is', async () => {
    const { port } = await pair((_req, res) => (res.writeHead(500, { 'x-why': 'é' }).end('boom'), true))
    const { status, text } = await post(port, { id: 1, method: 'a' })
    expect([status, text]).toEqual([500, 'boom'])
  })

  it('and cuts an answer half-way cuts the answer of the client', async () => {
    const { port } = await pair((req, res) => {
      res.writeHead(200, { 'content-length': '100' }).write('half')
      setTimeout(() => req.socket.destroy(), 20)
      return true
    })
    await expect(fetchText({ port, method: 'POST', body: 'x' })).rejects.toThrow(/aborted|hang up|reset/)
  })

  it('and sends headers above the limit, or no HTTP at all, gets 502', async () => {
    const headers = { 'x-huge': 'a'.repeat(30_000) }
    const { port, server } = await pair((_req, res) => (res.writeHead(200, headers).end(), true))
    expect((await post(port, { id: 1, method: 'a' })).status).toBe(502)
    server.script = (req) => (req.socket.end('nonsense\r\n\r\n'), true)
    const { status, json } = await post(port, { id: 'q', method: 'a' })
    expect([status, json.id, json.error?.data?.['outcome']]).toEqual([502, 'q', 'unknown'])
  })

  it('and never answers does not hold up others, and is told when the client leaves', async () => {
    let left = (): void => undefined
    const isLeft = new Promise<void>((resolve) => (left = resolve))
    const { port, proxy } = await pair((req, res, body) => {
      if (body !== 'hang') return ok(req, res, body)
      res.on('close', left)
      return true
    })
    const hanging = openResponse({ port, method: 'POST', body: 'hang', headers: { connection: 'close' } }).catch(
      () => 'cut',
    )
    while (proxy.stats().inFlight === 0) await new Promise((resolve) => setImmediate(resolve))
    expect((await fetchText({ port, method: 'POST', body: 'x' })).text).toBe('ok')
    await raw(port, 'POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nhang')
    await isLeft
    await proxy.close(0)
    expect(await hanging).toBe('cut')
  })

  it('and streams without end is read only as fast as the client reads', async () => {
    let sent = 0
    const { port } = await pair((_req, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' })
      const pump = (): void => {
        if (res.destroyed) return
        sent += 1
        if (res.write(`data: ${'x'.repeat(60_000)}\n\n`)) setImmediate(pump)
        else res.once('drain', pump)
      }
      pump()
      return true
    })
    const response = await openResponse({ port, path: '/other' })
    response.pause()
    let before = -1
    while (before !== sent) {
      before = sent
      await new Promise((resolve) => setTimeout(resolve, 150))
    }
    expect(sent).toBeLessThan(1_000)
    response.destroy()
  })
})

describe('an SSE server', () => {
  async function sse(
    text: string | ((origin: string) => string),
    config: Partial<ProxyConfig> = {},
  ): Promise<ProxyFixture> {
    const fixture = await startProxy({ config: { backend: 'http', ...config }, limits: { backendWaitMs: 300 } })
    open.push(() => fixture.proxy.close(0))
    const server = await startHttpServer()
    open.push(() => server.kill().catch(() => undefined))
    const script: Script = (req, res) => {
      if (req.url !== '/sse') return false
      const isProbe = req.headers['x-forwarded-for'] === undefined
      res.writeHead(200, { 'content-type': 'text/event-stream' })
      const words = typeof text === 'string' ? text : text(server.origin)
      res.write(isProbe ? 'event: endpoint\ndata: /m\n\n' : words)
      return true
    }
    server.script = script
    server.ownScript = script
    await fixture.proxy.attach({ kind: 'http', origin: server.origin, transport: 'sse' }, never)
    return fixture
  }

  it.each(['http://evil/m', '//evil/m', 'https://127.0.0.1/m'])(
    'with endpoint %s is refused with 502 and logged',
    async (data) => {
      const fixture = await sse(`event: endpoint\ndata: ${data}\n\n`)
      expect((await fetchText({ port: fixture.port, path: '/sse' })).status).toBe(502)
      await fixture.logged('an answer of the HTTP backend was refused')
    },
  )

  it('that names an endpoint elsewhere only later is cut', async () => {
    const { port } = await sse('event: hello\ndata: 1\n\nevent: endpoint\ndata: http://evil/m\n\n')
    expect((await fetchText({ port, path: '/sse' }).catch(() => ({ status: 502 }))).status).toBe(502)
  })

  it('has its sessions counted while their streams are open', async () => {
    const { port, proxy } = await sse('event: endpoint\ndata: /m?sessionId=1\n\n')
    const events = await openEvents(port, '/sse')
    await events.next()
    expect(proxy.stats()).toMatchObject({ sessions: 1, streams: 1, inFlight: 0 })
    events.close()
    while (proxy.stats().sessions > 0) await new Promise((resolve) => setImmediate(resolve))
  })

  const forwarded = {
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'pub.example, inner',
    'x-forwarded-prefix': '/team/',
  }

  it.each([
    [{}, forwarded, '/m?sessionId=1'],
    [{ endpointPrefix: '/fixed' }, forwarded, '/fixed/m?sessionId=1'],
    [{ trustProxyHeaders: true }, forwarded, 'https://pub.example/team/m?sessionId=1'],
    [{ trustProxyHeaders: true, endpointPrefix: '/fixed' }, forwarded, 'https://pub.example/fixed/m?sessionId=1'],
    [{ trustProxyHeaders: true }, { 'x-forwarded-proto': 'https' }, '/m?sessionId=1'],
    [{ trustProxyHeaders: true }, { 'x-forwarded-prefix': '//evil' }, '/m?sessionId=1'],
    [{ trustProxyHeaders: true }, { 'x-forwarded-host': 'a/b' }, '/m?sessionId=1'],
  ])('with %j tells a client with %j the endpoint %s', async (config, headers, wanted) => {
    const { port } = await sse('event: endpoint\ndata: /m?sessionId=1\n\n', config)
    const events = await openEvents(port, '/sse', headers)
    expect(await events.next()).toEqual({ event: 'endpoint', data: wanted })
    events.close()
  })
})
