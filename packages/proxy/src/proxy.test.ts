import { connect, createServer } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { createProxy } from './proxy.ts'
import { fetchText, initialize, openEvents, post } from './testing/http-client.ts'
import { never, startProxy, startWithServer, type ProxyFixture } from './testing/proxy-fixture.ts'
import { createScriptedServer } from './testing/scripted-server.ts'

const open: ProxyFixture[] = []

function track<T extends ProxyFixture>(fixture: T): T {
  open.push(fixture)
  return fixture
}

afterEach(async () => {
  await Promise.all(open.splice(0).map(({ proxy }) => proxy.close()))
})

function rawExchange(port: number, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    let text = ''
    socket.on('data', (chunk) => (text += chunk.toString('latin1')))
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(text))
  })
}

describe('start', () => {
  it('rejects with port-in-use when another program has the port', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => other.once('listening', resolve))
    const bound = other.address()
    const port = typeof bound === 'object' && bound !== null ? bound.port : 0
    const proxy = createProxy({
      name: 'n',
      listen: { host: '127.0.0.1', port },
      backend: 'stdio',
      mode: 'sse',
      log: () => undefined,
    })
    await expect(proxy.start(never)).rejects.toMatchObject({ code: 'port-in-use' })
    await proxy.close()
    other.close()
  })

  it('rejects with host-invalid for an address that is not ours', async () => {
    const proxy = createProxy({
      name: 'n',
      listen: { host: '192.0.2.1', port: 0 },
      backend: 'stdio',
      mode: 'sse',
      log: () => undefined,
    })
    await expect(proxy.start(never)).rejects.toMatchObject({ code: 'host-invalid' })
  })

  it('that is overtaken by close or by its signal leaves no listener behind', async () => {
    const free = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => free.once('listening', resolve))
    const bound = free.address()
    const port = typeof bound === 'object' && bound !== null ? bound.port : 0
    await new Promise((resolve) => free.close(resolve))
    const build = (): ReturnType<typeof createProxy> =>
      createProxy({
        name: 'n',
        listen: { host: '127.0.0.1', port },
        backend: 'stdio',
        mode: 'streamable-http',
        log: () => undefined,
      })
    const closed = build()
    const [error] = await Promise.all([closed.start(never).catch((caught: unknown) => caught), closed.close()])
    expect(error).toMatchObject({ code: 'closed' })
    const given = new AbortController()
    const cancelled = build()
    const starting = cancelled.start(given.signal)
    given.abort()
    await expect(starting).rejects.toMatchObject({ code: 'cancelled' })
    await cancelled.close()
    const next = build()
    await next.start(never)
    await next.close()
  })

  it('says once that the Origin is not checked beyond loopback', async () => {
    const { logs } = track(await startProxy({ config: { listen: { host: '0.0.0.0', port: 0 } } }))
    expect(logs.filter(({ message }) => message.includes('Origin'))).toHaveLength(1)
  })
})

describe('attach', () => {
  it('resolves with what the server said about itself', async () => {
    const { proxy } = track(await startProxy())
    await expect(proxy.attach(createScriptedServer('2025-06-18').connection, never)).resolves.toMatchObject({
      serverName: 'scripted',
      serverVersion: '1.2.3',
      protocolVersion: '2025-06-18',
    })
  })

  it('takes an answer that is not at the beginning of its line', async () => {
    const { proxy } = track(await startProxy())
    const server = createScriptedServer().on('initialize', ({ id }, self) => {
      const result = '{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"}}'
      self.write(` {"jsonrpc":"2.0","id":${id},"result":${result}}`)
      return undefined
    })
    await expect(proxy.attach(server.connection, never)).resolves.toMatchObject({ serverName: 's' })
  })

  it('rejects when the server is silent, dies, refuses or the caller gives up', async () => {
    const { proxy } = track(await startProxy({ limits: { attachTimeoutMs: 30 } }))
    const silent = createScriptedServer().on('initialize', () => undefined)
    await expect(proxy.attach(silent.connection, never)).rejects.toMatchObject({ code: 'attach-timeout' })
    const dying = createScriptedServer().on('initialize', (_request, server) => {
      server.die()
      return undefined
    })
    await expect(proxy.attach(dying.connection, never)).rejects.toMatchObject({ code: 'server-gone' })
    const refusing = createScriptedServer().on('initialize', (request, server) => {
      server.send({ id: request.id!, error: { code: 1, message: 'no key' } })
      return undefined
    })
    await expect(proxy.attach(refusing.connection, never)).rejects.toThrow('no key')
    const given = new AbortController()
    const attaching = proxy.attach(createScriptedServer().on('initialize', () => undefined).connection, given.signal)
    given.abort()
    await expect(attaching).rejects.toMatchObject({ code: 'cancelled' })
  })

  it('lets the calls through that waited for it', async () => {
    const { proxy, port } = track(await startProxy())
    const waiting = [initialize(port), post(port, { id: 1, method: 'tools/call' })] as const
    while (proxy.stats().inFlight < 2) await new Promise((resolve) => setImmediate(resolve))
    await proxy.attach(createScriptedServer().connection, never)
    expect(await waiting[0]).toMatch(/-/)
    expect((await waiting[1]).status).toBe(200)
  })
})

describe('a server that goes away', () => {
  it('fails the calls in flight and says that they may have run', async () => {
    const { port, server } = track(await startWithServer())
    server.on('tools/call', () => {
      server.die()
      return undefined
    })
    const { status, json } = await post(port, { id: 4, method: 'tools/call' })
    expect(status).toBe(502)
    expect(json).toMatchObject({ id: 4, error: { code: -32603, data: { outcome: 'unknown', backend: 'demo' } } })
    expect(json.error?.message).toContain('may have run')
  })

  it('makes later calls wait, then fail as not sent', async () => {
    const { port, proxy, server } = track(await startWithServer({ limits: { backendWaitMs: 30 } }))
    proxy.detach('test')
    const { status, json } = await post(port, { id: 4, method: 'tools/call' })
    expect([status, json.error?.code, json.error?.data?.['outcome']]).toEqual([503, -32603, 'not-sent'])
    expect(server.received.some(({ method }) => method === 'tools/call')).toBe(false)
  })

  it('leaves sessions, streams, subscriptions and log level to its successor', async () => {
    const { port, proxy, server } = track(await startWithServer())
    const headers = { 'mcp-session-id': await initialize(port) }
    const stream = await openEvents(port, '/mcp', headers)
    await post(port, { id: 1, method: 'resources/subscribe', params: { uri: 'u' } }, headers)
    await post(port, { id: 2, method: 'logging/setLevel', params: { level: 'info' } }, headers)
    server.die()
    proxy.detach('it died')
    const call = post(port, { id: 3, method: 'tools/call', params: { arguments: 'again' } }, headers)
    const next = createScriptedServer()
    await proxy.attach(next.connection, never)
    expect((await call).json).toMatchObject({ id: 3, result: { echo: 'again' } })
    expect(next.received.map(({ method }) => method).slice(0, 5)).toEqual([
      'initialize',
      'notifications/initialized',
      'resources/subscribe',
      'logging/setLevel',
      'tools/call',
    ])
    next.send({ method: 'notifications/resources/updated', params: { uri: 'u' } })
    next.send({ method: 'notifications/message', params: { level: 'info', data: 1 } })
    const heard = [await stream.message(), await stream.message(), await stream.message()].map(({ method }) => method)
    expect(heard).toEqual([
      'notifications/tools/list_changed',
      'notifications/resources/updated',
      'notifications/message',
    ])
    stream.close()
  })

  it('cannot answer for its successor', async () => {
    const { port, proxy, server } = track(await startWithServer())
    const next = createScriptedServer().on('tools/call', () => undefined)
    await proxy.attach(next.connection, never)
    const call = post(port, { id: 1, method: 'tools/call' })
    const sent = await next.seen(({ method }) => method === 'tools/call')
    server.send({ id: sent.id!, result: { from: 'the dead' } })
    next.answer(sent, { from: 'the living' })
    expect((await call).json.result).toEqual({ from: 'the living' })
  })
})

describe('the listener', () => {
  it('refuses a foreign Host and a foreign Origin', async () => {
    const { port } = track(await startWithServer())
    expect((await fetchText({ port, path: '/health', headers: { host: 'evil.example' } })).status).toBe(403)
    const foreign = await fetchText({ port, path: '/health', headers: { origin: 'http://evil.example' } })
    expect([foreign.status, foreign.text]).toEqual([
      403,
      '{"error":{"code":-32600,"message":"Origin not allowed"},"jsonrpc":"2.0"}',
    ])
    const own = `http://localhost:${port}`
    expect((await fetchText({ port, path: '/health', headers: { origin: own } })).status).toBe(200)
    const twice = await rawExchange(
      port,
      `GET /health HTTP/1.1\r\nHost: localhost\r\nOrigin: ${own}\r\nOrigin: ${own}\r\nConnection: close\r\n\r\n`,
    )
    expect(twice).toMatch(/^HTTP\/1\.1 403 /)
  })

  it('tells the health of the server', async () => {
    const { port, proxy } = track(await startProxy())
    const before = await fetchText({ port, path: '/health' })
    expect([before.status, JSON.parse(before.text)]).toMatchObject([
      503,
      { status: 'unhealthy', transport: 'stdio', mcp: { available: false } },
    ])
    await proxy.attach(createScriptedServer().connection, never)
    const after = await fetchText({ port, path: '/health' })
    expect([after.status, JSON.parse(after.text)]).toMatchObject([200, { status: 'healthy', mcp: { available: true } }])
    expect((await fetchText({ port, path: '/health', method: 'POST' })).status).toBe(405)
  })

  it('answers discovery paths with JSON 404 and the rest with 404', async () => {
    const { port } = track(await startProxy())
    const known = await fetchText({ port, path: '/.well-known/oauth-protected-resource/mcp' })
    expect([known.status, known.text]).toEqual([404, '{"error":"not_found"}'])
    expect((await fetchText({ port, path: '/' })).status).toBe(404)
  })

  it('survives malformed HTTP and clients that leave half a body', async () => {
    const { port } = track(await startWithServer())
    expect(await rawExchange(port, 'NONSENSE\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /)
    expect(await rawExchange(port, `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 431 /,
    )
    await new Promise<void>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.write(
          'POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"half',
          () => {
            socket.destroy()
            resolve()
          },
        )
      })
    })
    expect((await post(port, { id: 1, method: 'ping' })).status).toBe(200)
  })
})

describe('close', () => {
  it('lets a call in flight end, refuses new connections, and is idempotent', async () => {
    const { port, proxy, server } = track(await startWithServer())
    server.on('tools/call', () => undefined)
    const call = post(port, { id: 1, method: 'tools/call' })
    const sent = await server.seen(({ method }) => method === 'tools/call')
    const closing = proxy.close(5_000)
    expect(proxy.close()).toBe(closing)
    await expect(rawExchange(port, 'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n')).resolves.toBe('')
    server.answer(sent, { done: true })
    expect((await call).json.result).toEqual({ done: true })
    await closing
    await expect(proxy.attach(server.connection, never)).rejects.toMatchObject({ code: 'closed' })
  })

  it('cuts what is not done at the deadline', async () => {
    const { port, proxy, server } = track(await startWithServer())
    server.on('tools/call', () => undefined)
    const call = post(port, { id: 1, method: 'tools/call' }).catch((error: unknown) => error)
    await server.seen(({ method }) => method === 'tools/call')
    await proxy.close(20)
    expect(await call).toBeInstanceOf(Error)
  })

  it('ends open streams', async () => {
    const { port, proxy } = track(await startWithServer())
    const stream = await openEvents(port, '/mcp', { 'mcp-session-id': await initialize(port) })
    await proxy.close()
    expect(await stream.next()).toBeUndefined()
    expect(proxy.stats().streams).toBe(0)
  })
})
