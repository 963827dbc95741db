import type { ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import type { RemoteConnection } from '../proxy-config.ts'
import { startHttpServer, type ScriptedHttpServer } from '../testing/http-backend.ts'
import { fetchText, initialize, openEvents, post } from '../testing/http-client.ts'
import { modernRequest, postModern } from '../testing/modern-client.ts'
import { never, startProxy, type ProxyFixture } from '../testing/proxy-fixture.ts'

const open: (() => unknown)[] = []

afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

interface Remote extends ProxyFixture {
  server: ScriptedHttpServer
  connection: RemoteConnection
}

/** A proxy that has looked at a remote server once. */
async function remote(more: Partial<RemoteConnection> = {}): Promise<Remote> {
  const server = await startHttpServer()
  open.push(() => server.kill().catch(() => undefined))
  const limits = {
    healthTimeoutMs: 4_000,
    redialMs: 10,
    remoteRedialMs: 10,
    streamTries: 2,
    streamRedialMaxMs: 20,
  }
  const fixture = await startProxy({ config: { backend: 'http' }, limits })
  open.push(() => fixture.proxy.close(0))
  const connection: RemoteConnection = {
    kind: 'http',
    origin: server.origin,
    transport: 'auto',
    path: '/mcp',
    ...more,
  }
  const look = await fixture.proxy.look(connection, never)
  expect(look).toMatchObject({ kind: 'alive', transport: 'streamable-http' })
  return { ...fixture, server, connection }
}

/** Resolves with the next request of a client, which nobody answers by itself. */
function nextCall(server: ScriptedHttpServer): Promise<ServerResponse> {
  return new Promise((resolve) => {
    server.script = (_req, res) => (resolve(res), true)
  })
}

describe('while a remote server is down', () => {
  it('the stream of a session stays open, and goes on afterwards in the same session', async () => {
    const fixture = await remote()
    const { proxy, port, server, connection } = fixture
    const id = await initialize(port)
    const events = await openEvents(port, '/mcp', { 'mcp-session-id': id })
    await server.kill()
    await fixture.logged('the event stream of a session was lost')
    // Longer than the stream of any other server would be opened again.
    await delay(200)
    const look = await proxy.look(connection, never)
    expect(look).toMatchObject({ kind: 'failing', code: 'refused' })
    proxy.refuse(look.message)
    expect(await post(port, { id: 1, method: 'tools/list' }, { 'mcp-session-id': id })).toMatchObject({
      status: 503,
      json: {
        id: 1,
        error: { message: expect.stringContaining('refuses connections'), data: { outcome: 'not-sent' } },
      },
    })
    const again = await startHttpServer(server.port)
    open.push(() => again.kill())
    expect(await proxy.look(connection, never)).toMatchObject({ kind: 'alive' })
    proxy.refuse(undefined)
    // The new server knows nobody: the session is taken up again, and with it the stream.
    await expect.poll(() => [...again.sessions.values()].filter((stream) => stream !== undefined).length).toBe(1)
    for (const stream of again.sessions.values()) stream?.write('data: {"jsonrpc":"2.0","method":"hello"}\n\n')
    expect(await events.message()).toMatchObject({ method: 'hello' })
    expect((await post(port, { id: 2, method: 'tools/list' }, { 'mcp-session-id': id })).status).toBe(200)
    events.close()
  })

  it('a session of a server that still knows it is not begun anew', async () => {
    const { proxy, port, server } = await remote()
    const id = await initialize(port)
    proxy.refuse('it is down')
    expect((await fetchText({ port, path: '/mcp', headers: { 'mcp-session-id': id } })).status).toBe(503)
    proxy.refuse(undefined)
    expect((await post(port, { id: 2, method: 'tools/list' }, { 'mcp-session-id': id })).status).toBe(200)
    expect(server.seen.filter(({ body }) => body.includes('"initialize"'))).toHaveLength(1)
  })

  it('clients of the other era are refused alike', async () => {
    const { proxy, port } = await remote()
    proxy.refuse('it is down')
    const answer = await postModern(port, modernRequest('tools/list'))
    expect(answer).toMatchObject({ status: 503, json: { error: { message: expect.stringContaining('it is down') } } })
    // Of a session that only a bridge knows nobody may be told that it has ended.
    const bridged = await post(port, { id: 1, method: 'tools/list' }, { 'mcp-session-id': 'of-a-bridge' })
    expect([bridged.status, bridged.json.id]).toEqual([503, 1])
  })

  it('clients of the other era are served again by themselves', async () => {
    const { proxy, port, server, connection } = await remote()
    expect((await postModern(port, modernRequest('tools/list'))).status).toBe(200)
    await server.kill()
    proxy.refuse((await proxy.look(connection, never)).message)
    expect((await postModern(port, modernRequest('tools/list'))).status).toBe(503)
    const again = await startHttpServer(server.port)
    open.push(() => again.kill())
    await proxy.look(connection, never)
    proxy.refuse(undefined)
    // The first call may be the one that finds out that its server has forgotten the bridge.
    await expect
      .poll(async () => (await postModern(port, modernRequest('tools/list'))).status, { timeout: 10_000 })
      .toBe(200)
  })

  it('a call that is under way goes on, and gets its answer', async () => {
    const { proxy, port, server } = await remote()
    const id = await initialize(port)
    const asked = nextCall(server)
    const call = post(port, { id: 7, method: 'tools/call' }, { 'mcp-session-id': id })
    const answer = await asked
    proxy.refuse('it is down')
    expect((await post(port, { id: 8, method: 'tools/list' }, { 'mcp-session-id': id })).status).toBe(503)
    answer.writeHead(200, { 'content-type': 'application/json' }).end('{"jsonrpc":"2.0","id":7,"result":{}}')
    expect(await call).toMatchObject({ status: 200, json: { id: 7, result: {} } })
  })

  it('a call whose connection is cut may have run, and is not sent again', async () => {
    const { proxy, port, server, connection } = await remote()
    const id = await initialize(port)
    const asked = nextCall(server)
    const call = post(port, { id: 7, method: 'tools/call' }, { 'mcp-session-id': id })
    await asked
    await server.kill()
    expect(await call).toMatchObject({ json: { id: 7, error: { data: { outcome: 'unknown' } } } })
    const again = await startHttpServer(server.port)
    open.push(() => again.kill())
    expect(await proxy.look(connection, never)).toMatchObject({ kind: 'alive' })
    expect(again.seen).toEqual([])
  })

  it('another transport may come back, and the first one again', async () => {
    const { proxy, server, connection } = await remote()
    const asOld: ScriptedHttpServer['script'] = (req, res) => {
      if (req.method !== 'GET') return (res.writeHead(404).end('Cannot POST /mcp'), true)
      res.writeHead(200, { 'content-type': 'text/event-stream' }).write('event: endpoint\ndata: /m\n\n')
      return true
    }
    server.ownScript = asOld
    expect(await proxy.look(connection, never)).toMatchObject({ kind: 'alive', transport: 'sse' })
    expect(await proxy.look(connection, never)).toMatchObject({ kind: 'alive', transport: 'sse' })
    server.ownScript = () => false
    expect(await proxy.look(connection, never)).toMatchObject({ kind: 'alive', transport: 'streamable-http' })
  })

  it('another era may come back', async () => {
    const { proxy, port, server, connection } = await remote()
    const id = await initialize(port)
    expect((await post(port, { id: 1, method: 'tools/list' }, { 'mcp-session-id': id })).status).toBe(200)
    await server.kill()
    expect(await proxy.look(connection, never)).toMatchObject({ kind: 'failing' })
    const again = await startHttpServer(server.port)
    open.push(() => again.kill())
    again.ownScript = (_req, res, body) => {
      const { id: asked = null, method } = JSON.parse(body)
      const result = { supportedVersions: ['2026-07-28'], capabilities: {}, serverInfo: { name: 'm', version: '1' } }
      const said = method === 'server/discover' ? { result } : { error: { code: -32022, message: 'unsupported' } }
      res.writeHead('result' in said ? 200 : 400, { 'content-type': 'application/json' })
      res.end(JSON.stringify({ jsonrpc: '2.0', id: asked, ...said }))
      return true
    }
    again.script = again.ownScript
    expect(await proxy.look(connection, never)).toMatchObject({ kind: 'alive' })
    const begin = { id: 1, method: 'initialize', params: { protocolVersion: '2025-06-18', capabilities: {} } }
    expect(await post(port, begin)).toMatchObject({ status: 200, json: { result: {} } })
  })

  it('a server that knows no question but answers a handshake is alive', async () => {
    const { proxy, server, connection } = await remote()
    server.ownScript = (req, res, body) => {
      if (req.method === 'DELETE' || body.includes('"initialize"')) return false
      return (res.writeHead(404).end('not found'), true)
    }
    expect(await proxy.look(connection, never)).toMatchObject({ kind: 'alive', transport: 'streamable-http' })
  })

  it('/health says so', async () => {
    const { proxy, port } = await remote()
    expect((await fetchText({ port, path: '/health' })).status).toBe(200)
    proxy.refuse('it is down')
    expect((await fetchText({ port, path: '/health' })).status).toBe(503)
  })
})

describe('headers for a remote server', () => {
  it('stand in every request of ours and of clients, in the place of what a client says', async () => {
    const own: unknown[] = []
    let token = 'one'
    const { proxy, port, server, connection } = await remote({ headers: () => ({ 'X-Token': token }) })
    server.ownScript = (req) => {
      own.push(req.headers['x-token'])
      return false
    }
    const id = await initialize(port)
    token = 'two'
    await post(port, { id: 1, method: 'tools/list' }, { 'mcp-session-id': id, 'x-token': 'of a client' })
    await proxy.look(connection, never)
    await fetchText({ port, path: '/mcp', method: 'DELETE', headers: { 'mcp-session-id': id } })
    expect(server.seen.map(({ headers }) => headers['x-token'])).toEqual(['one', 'two', 'two'])
    expect(own).not.toContain(undefined)
    expect(own).toContain('two')
  })

  it('never reach the aim of a redirect elsewhere', async () => {
    const elsewhere = await startHttpServer()
    open.push(() => elsewhere.kill())
    const { proxy, port, server, connection } = await remote({ headers: () => ({ Authorization: 'Bearer secret' }) })
    const leave: ScriptedHttpServer['script'] = (_req, res) => {
      res.writeHead(307, { location: `${elsewhere.origin}/mcp` }).end()
      return true
    }
    server.script = leave
    server.ownScript = leave
    let asked = 0
    elsewhere.began = () => (asked += 1)
    expect((await post(port, { id: 1, method: 'tools/list' })).status).toBe(307)
    expect(await proxy.look(connection, never)).toMatchObject({ code: 'redirects' })
    expect(asked).toBe(0)
  })
})
