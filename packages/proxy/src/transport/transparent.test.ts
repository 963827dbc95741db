import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import type { ProxyLimits } from '../limits.ts'
import { fetchText, openEvents, openResponse, post } from '../testing/http-client.ts'
import { never, startProxy, type ProxyFixture } from '../testing/proxy-fixture.ts'

const servers: Server[] = []
const fixtures: ProxyFixture[] = []

afterEach(async () => {
  await Promise.all(fixtures.splice(0).map(({ proxy }) => proxy.close()))
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

async function backend(handler: RequestListener): Promise<string> {
  const server = createServer(handler)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const bound = server.address()
  return `http://127.0.0.1:${typeof bound === 'object' && bound !== null ? bound.port : 0}`
}

async function front(limits: Partial<ProxyLimits> = {}): Promise<ProxyFixture> {
  const fixture = await startProxy({ config: { backend: 'http' }, limits: { backendWaitMs: 50, ...limits } })
  fixtures.push(fixture)
  return fixture
}

const initialized = JSON.stringify({
  jsonrpc: '2.0',
  id: 0,
  result: { protocolVersion: '2025-06-18', serverInfo: { name: 'web', version: '9' } },
})

/** Answers the probe as a Legacy server, and leaves the rest to the test. */
function answering(
  handler: (req: IncomingMessage, body: string, res: Parameters<RequestListener>[1]) => void,
): RequestListener {
  return (req, res) => {
    let body = ''
    req.setEncoding('utf8')
    req.on('data', (piece: string) => (body += piece))
    req.on('end', () => {
      if (body.includes('"server/discover"')) res.writeHead(400).end()
      else if (body.includes('"clientInfo":{"name":"thv"')) {
        res.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 'probe' }).end(initialized)
      } else handler(req, body, res)
    })
  }
}

describe('an HTTP backend', () => {
  it('is attached when it answers, and the session of the probe is ended', async () => {
    const { proxy } = await front()
    let attempts = 0
    const deleted: unknown[] = []
    const origin = await backend((req, res) => {
      attempts += 1
      if (attempts === 1) {
        res.writeHead(503).end()
        return
      }
      answering((request, _body, response) => {
        deleted.push(request.method, request.headers['mcp-session-id'])
        response.writeHead(200).end()
      })(req, res)
    })
    const info = await proxy.attach({ kind: 'http', origin, transport: 'streamable-http' }, never)
    expect(info).toMatchObject({ serverName: 'web', serverVersion: '9', protocolVersion: '2025-06-18' })
    expect(deleted).toEqual(['DELETE', 'probe'])
  })

  it('that never answers makes attach time out', async () => {
    const { proxy } = await front({ attachTimeoutMs: 300 })
    const attaching = proxy.attach({ kind: 'http', origin: 'http://127.0.0.1:9', transport: 'sse' }, never)
    await expect(attaching).rejects.toMatchObject({ code: 'attach-timeout' })
  })

  it('gets method, path, body and headers as they are, and its answer goes back as it is', async () => {
    const { proxy, port } = await front()
    const seen: unknown[] = []
    const origin = await backend(
      answering((req, body, res) => {
        if (req.method === 'DELETE') {
          res.end()
          return
        }
        seen.push(req.method, req.url, body, req.headers['x-own'], req.headers['x-forwarded-for'], req.headers.host)
        res.writeHead(418, { 'x-answer': 'a', 'content-type': 'text/plain' }).end('{ not: parsed')
      }),
    )
    await proxy.attach({ kind: 'http', origin, transport: 'streamable-http' }, never)
    const response = await fetchText({
      port,
      method: 'PUT',
      path: '/any/path?q=1',
      headers: { 'x-own': '1', 'x-forwarded-for': '6.6.6.6' },
      body: 'b\u00e9',
    })
    expect(seen).toEqual(['PUT', '/any/path?q=1', 'b\u00e9', '1', '127.0.0.1', new URL(origin).host])
    expect([response.status, response.headers['x-answer'], response.text]).toEqual([418, 'a', '{ not: parsed'])
  })

  it('is told when the client leaves', async () => {
    const { proxy, port } = await front()
    let left: () => void = () => undefined
    const isLeft = new Promise<void>((resolve) => (left = resolve))
    const origin = await backend(
      answering((req, _body, res) => {
        if (req.method === 'DELETE') {
          res.end()
          return
        }
        res.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
        res.on('close', left)
      }),
    )
    await proxy.attach({ kind: 'http', origin, transport: 'streamable-http' }, never)
    const events = await openEvents(port, '/mcp')
    expect(await events.next()).toEqual({ data: '1' })
    expect(proxy.stats().streams).toBe(1)
    events.close()
    await isLeft
    while (proxy.stats().streams > 0) await new Promise((resolve) => setImmediate(resolve))
  })

  it('is not read faster than the client reads', async () => {
    const { proxy, port } = await front()
    const chunk = Buffer.alloc(64 * 1024)
    let sent = 0
    const total = 2_000
    const origin = await backend(
      answering((req, _body, res) => {
        if (req.method === 'DELETE') {
          res.end()
          return
        }
        const pump = (): void => {
          while (sent < total) {
            sent += 1
            if (res.write(chunk)) continue
            res.once('drain', pump)
            return
          }
          res.end()
        }
        pump()
      }),
    )
    await proxy.attach({ kind: 'http', origin, transport: 'streamable-http' }, never)
    const response = await openResponse({ port })
    response.pause()
    let before = -1
    while (before !== sent) {
      before = sent
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    expect(sent).toBeLessThan(total)
    let bytes = 0
    for await (const piece of response) bytes += Buffer.isBuffer(piece) ? piece.length : 0
    expect(bytes).toBe(total * chunk.length)
  })

  it('that is gone gives 502, and 503 once it is detached', async () => {
    const { proxy, port } = await front()
    const origin = await backend(answering((_req, _body, res) => void res.end()))
    await proxy.attach({ kind: 'http', origin, transport: 'streamable-http' }, never)
    for (const server of servers) {
      server.closeAllConnections()
      server.close()
    }
    expect((await post(port, { id: 1, method: 'a' })).status).toBe(502)
    proxy.detach('gone')
    const { status, json } = await post(port, { id: 1, method: 'a' })
    expect([status, json.error?.data?.['outcome']]).toEqual([503, 'not-sent'])
  })
})

describe('a request that comes before the backend', () => {
  it('waits with its body and is forwarded on attach', async () => {
    const { proxy, port } = await front({ backendWaitMs: 5_000 })
    const waiting = fetchText({ port, method: 'POST', path: '/x', body: 'kept' })
    while (proxy.stats().inFlight === 0) await new Promise((resolve) => setImmediate(resolve))
    const origin = await backend(answering((req, body, res) => void res.end(`${req.url} ${body}`)))
    await proxy.attach({ kind: 'http', origin, transport: 'streamable-http' }, never)
    expect((await waiting).text).toBe('/x kept')
  })
})

describe('an SSE backend', () => {
  it('has its endpoint rewritten to the proxy, and the rest untouched', async () => {
    const { proxy, port } = await front()
    const origin: string = await backend((_req, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' })
      res.write(': hello\n\nevent: endp')
      setImmediate(() => res.write(`oint\ndata: ${origin}/messages?sessionId=1\n\nevent: message\ndata: ${origin}\n\n`))
    })
    await proxy.attach({ kind: 'http', origin, transport: 'sse' }, never)
    const events = await openEvents(port, '/sse')
    expect(await events.next()).toEqual({ event: 'endpoint', data: `http://127.0.0.1:${port}/messages?sessionId=1` })
    expect(await events.next()).toEqual({ event: 'message', data: origin })
    events.close()
  })
})

describe('readiness of an HTTP backend', () => {
  it.each([
    ['a page', 200, '<h1>hi</h1>'],
    ['a missing route', 404, 'not found'],
    ['another JSON service', 200, '{"ok":true}'],
    ['an error answer', 200, '{"jsonrpc":"2.0","id":0,"error":{"code":-32601,"message":"no"}}'],
  ])('%s is no MCP server', async (_what, status, body) => {
    const { proxy } = await front({ attachTimeoutMs: 400 })
    const origin = await backend((_req, res) => res.writeHead(status).end(body))
    await expect(proxy.attach({ kind: 'http', origin, transport: 'streamable-http' }, never)).rejects.toMatchObject({
      code: 'attach-timeout',
    })
  })

  it('a demand for credentials is told at once', async () => {
    const { proxy } = await front()
    const origin = await backend((_req, res) => res.writeHead(401).end())
    await expect(proxy.attach({ kind: 'http', origin, transport: 'streamable-http' }, never)).rejects.toMatchObject({
      code: 'handshake-failed',
      message: 'the server demands authentication (HTTP 401)',
    })
  })

  it('a backend that is given up during its start is not taken into use', async () => {
    const { proxy } = await front()
    const origin = await backend(
      answering((_req, _body, res) => {
        res.writeHead(202).end()
      }),
    )
    const attaching = proxy.attach({ kind: 'http', origin, transport: 'streamable-http' }, never)
    proxy.detach('gone')
    await expect(attaching).rejects.toMatchObject({ code: 'server-gone' })
  })
})

it('streams leave room for calls, and a body above the limit is refused unread', async () => {
  const { proxy } = await front({ backendConnections: 2, bodyBytes: 100 })
  const url = `http://127.0.0.1:${proxy.address.port}/mcp`
  const origin = await backend(
    answering((req, _body, res) => {
      if (req.method === 'GET') res.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
      else res.writeHead(200).end('answered')
    }),
  )
  await proxy.attach({ kind: 'http', origin, transport: 'streamable-http' }, never)
  const streams = await Promise.all([1, 2].map(async () => await fetch(url)))
  expect(streams.map((stream) => stream.status)).toEqual([200, 200])
  expect((await fetch(url)).status).toBe(503)
  const call = await fetch(url, { method: 'POST', body: '{}' })
  expect(await call.text()).toBe('answered')
  expect((await fetch(url, { method: 'POST', body: 'x'.repeat(101) })).status).toBe(413)
  await Promise.all(streams.map(async (stream) => await stream.body?.cancel()))
})
