import { afterEach, describe, expect, it } from 'vitest'
import { fetchText, initialize, post } from '../testing/http-client.ts'
import { startHttpServer, type ScriptedHttpServer } from '../testing/http-backend.ts'
import { createModernServer } from '../testing/modern-server.ts'
import { never, startProxy, startWithServer, type ProxyFixture } from '../testing/proxy-fixture.ts'
import type { ScriptedServer, Wire } from '../testing/scripted-server.ts'

const open: (() => unknown)[] = []
const limits = { healthTimeoutMs: 300 }

afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

async function overStdio(): Promise<ProxyFixture & { server: ScriptedServer }> {
  const fixture = await startWithServer({ limits })
  open.push(() => fixture.proxy.close(0))
  return fixture
}

async function overHttp(transport: 'streamable-http' | 'sse' = 'streamable-http') {
  const server = await startHttpServer()
  open.push(() => server.kill().catch(() => undefined))
  const fixture = await startProxy({ config: { backend: 'http' }, limits })
  open.push(() => fixture.proxy.close(0))
  if (transport === 'sse') server.ownScript = openStream
  await fixture.proxy.attach({ kind: 'http', origin: server.origin, transport }, never)
  return { ...fixture, server }
}

const openStream: ScriptedHttpServer['ownScript'] = (_req, res) => {
  res.writeHead(200, { 'content-type': 'text/event-stream' }).write('event: endpoint\ndata: /m\n\n')
  return true
}

function isPing({ method }: Wire): boolean {
  return method === 'ping'
}

describe('the question whether a stdio server lives', () => {
  it('is a ping, and an error is an answer', async () => {
    const { proxy, server } = await overStdio()
    expect(await proxy.probe(never)).toEqual({ code: 'alive', message: 'it answers', isBusy: false })
    server.on('ping', () => ({}))
    expect(await proxy.probe(never)).toMatchObject({ code: 'alive' })
  })

  it('is server/discover where there is no ping', async () => {
    const server = createModernServer()
    const { proxy } = await startProxy({ limits })
    open.push(() => proxy.close(0))
    await proxy.attach(server.connection, never)
    expect(await proxy.probe(never)).toMatchObject({ code: 'alive' })
    expect(server.received.map(({ method }) => method).slice(-1)).toEqual(['server/discover'])
  })

  it('is asked once however long it is silent, and a late answer counts', async () => {
    const { proxy, server } = await overStdio()
    server.on('ping', () => undefined)
    expect(await proxy.probe(never)).toMatchObject({ code: 'silent', isBusy: false })
    expect(await proxy.probe(never)).toMatchObject({ code: 'silent' })
    expect(server.received.filter(isPing)).toHaveLength(1)
    const waiting = proxy.probe(never)
    server.answer(await server.seen(isPing), {})
    expect(await waiting).toMatchObject({ code: 'alive' })
    // Neither was it cancelled.
    expect(server.received.map(({ method }) => method)).not.toContain('notifications/cancelled')
  })

  it('is no call: it counts nowhere, and holds up no end', async () => {
    const { proxy, server } = await overStdio()
    server.on('ping', () => undefined)
    const waiting = proxy.probe(never)
    await server.seen(isPing)
    expect(proxy.stats().inFlight).toBe(0)
    await waiting
    const began = performance.now()
    await proxy.close(5_000)
    expect(performance.now() - began).toBeLessThan(2_000)
  })

  it('tells that calls were under way, and anything that the server says meanwhile is life', async () => {
    const { proxy, server, port } = await overStdio()
    server.on('ping', () => undefined)
    server.on('tools/call', () => undefined)
    const headers = { 'mcp-session-id': await initialize(port) }
    const call = post(port, { id: 1, method: 'tools/call', params: { name: 'x' } }, headers)
    const request = await server.seen(({ method }) => method === 'tools/call')
    expect(await proxy.probe(never)).toMatchObject({ code: 'silent', isBusy: true })
    const waiting = proxy.probe(never)
    server.send({ method: 'notifications/message', params: { level: 'info', data: 'still there' } })
    expect(await waiting).toMatchObject({ code: 'alive', isBusy: true })
    server.answer(request, { content: [] })
    expect((await call).status).toBe(200)
  })

  it('finds nobody while no server is attached, and ends with its signal', async () => {
    const { proxy, server } = await overStdio()
    server.on('ping', () => undefined)
    const controller = new AbortController()
    const waiting = proxy.probe(controller.signal)
    controller.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
    const gone = proxy.probe(never)
    proxy.detach('it is gone')
    expect(await gone).toMatchObject({ code: 'absent' })
    expect(await proxy.probe(never)).toMatchObject({ code: 'absent' })
  })
})

describe('the question whether an HTTP server lives', () => {
  it('is a ping in a session that nobody has, so that none begins', async () => {
    const { proxy, server } = await overHttp()
    const asked = new Promise((resolve) => {
      server.ownScript = (req, res, body) => {
        // The other question is for the era.
        if (body.includes('"ping"')) resolve([req.method, req.url, req.headers['mcp-session-id'], JSON.parse(body)])
        return (res.writeHead(404).end(), true)
      }
    })
    expect(await proxy.probe(never)).toEqual({ code: 'alive', message: 'it answers', isBusy: false })
    expect(await asked).toEqual(['POST', '/mcp', 'thv-health-check', { jsonrpc: '2.0', id: 0, method: 'ping' }])
  })

  it('of the old transport goes to the root: a stream is a session', async () => {
    const { proxy, server } = await overHttp('sse')
    const asked = new Promise((resolve) => {
      server.ownScript = (req, res) => (resolve([req.method, req.url]), res.writeHead(405).end(), true)
    })
    expect(await proxy.probe(never)).toMatchObject({ code: 'alive' })
    expect(await asked).toEqual(['GET', '/'])
  })

  it.each([
    [401, 'alive'],
    [429, 'alive'],
    [302, 'alive'],
    [500, 'server-error'],
    [503, 'server-error'],
  ])('takes HTTP %s for %s', async (status, code) => {
    const { proxy, server } = await overHttp()
    server.ownScript = (_req, res) => (res.writeHead(status).end(), true)
    expect(await proxy.probe(never)).toMatchObject({ code })
  })

  it('tells silence from a refused connection', async () => {
    const { proxy, server } = await overHttp()
    server.ownScript = () => true
    expect(await proxy.probe(never)).toMatchObject({ code: 'silent', message: 'it did not answer in time' })
    await server.kill()
    expect(await proxy.probe(never)).toMatchObject({ code: 'refused' })
  })

  it('tells that calls were under way, also when their answer has begun as a stream, whose pieces are life', async () => {
    const { proxy, server, port } = await overHttp()
    const headers = { 'mcp-session-id': await initialize(port) }
    let write: (text: string) => void = () => undefined
    const begun = new Promise<void>((resolve) => {
      server.script = (_req, res) => {
        write = (text) => void (text === '' ? res.end() : res.write(text))
        res.writeHead(200, { 'content-type': 'text/event-stream' }).write(': begun\n\n')
        resolve()
        return true
      }
    })
    server.ownScript = () => true
    const call = post(port, { id: 1, method: 'tools/call', params: { name: 'x' } }, headers)
    await begun
    // Its beginning may come during a question.
    await proxy.probe(never)
    expect(await proxy.probe(never)).toMatchObject({ code: 'silent', isBusy: true })
    const waiting = proxy.probe(never)
    write(': still there\n\n')
    expect(await waiting).toMatchObject({ code: 'alive', isBusy: true })
    write('')
    await call
    await expect.poll(async () => (await proxy.probe(never)).isBusy).toBe(false)
  })
})

describe('/health', () => {
  it('says what whoever runs the server says, and calls go on', async () => {
    const { proxy, port } = await overStdio()
    const health = async () => {
      const { status, text } = await fetchText({ port, path: '/health' })
      return [status, JSON.parse(text)]
    }
    expect(await health()).toMatchObject([200, { status: 'healthy', mcp: { available: true } }])
    proxy.noteHealth('degraded', 'it is in doubt')
    expect(await health()).toMatchObject([
      200,
      { status: 'degraded', mcp: { available: true, error: 'it is in doubt' } },
    ])
    proxy.noteHealth('unhealthy', 'it hangs')
    expect(await health()).toMatchObject([503, { status: 'unhealthy', mcp: { available: false, error: 'it hangs' } }])
    const headers = { 'mcp-session-id': await initialize(port) }
    expect((await post(port, { id: 1, method: 'tools/call', params: { name: 'x' } }, headers)).status).toBe(200)
    proxy.noteHealth('healthy', '')
    expect(await health()).toMatchObject([200, { status: 'healthy' }])
  })
})
