import { afterEach, describe, expect, it } from 'vitest'
import type { ProxyLimits } from '../limits.ts'
import { fetchText, initialize, openEvents, post } from '../testing/http-client.ts'
import { startHttpServer, type ScriptedHttpServer } from '../testing/http-backend.ts'
import { never, startProxy, type ProxyFixture } from '../testing/proxy-fixture.ts'

const open: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

async function server(port = 0): Promise<ScriptedHttpServer> {
  const started = await startHttpServer(port)
  open.push(() => started.kill().catch(() => undefined))
  return started
}

async function front(limits: Partial<ProxyLimits> = {}): Promise<ProxyFixture> {
  const fixture = await startProxy({ config: { backend: 'http' }, limits: { backendWaitMs: 5_000, ...limits } })
  open.push(() => fixture.proxy.close(0))
  return fixture
}

async function attach(fixture: ProxyFixture, { origin }: ScriptedHttpServer): Promise<void> {
  await fixture.proxy.attach({ kind: 'http', origin, transport: 'streamable-http' }, never)
}

async function pair(limits: Partial<ProxyLimits> = {}): Promise<ProxyFixture & { server: ScriptedHttpServer }> {
  const fixture = await front(limits)
  const started = await server()
  await attach(fixture, started)
  return { ...fixture, server: started }
}

/** The server dies, and another one takes its place. */
async function restart(fixture: ProxyFixture & { server: ScriptedHttpServer }): Promise<ScriptedHttpServer> {
  await fixture.server.kill()
  fixture.proxy.detach('the server was killed')
  const next = await server()
  await attach(fixture, next)
  return next
}

const withSession = (id: string): Record<string, string> => ({ 'mcp-session-id': id })

describe('a session in front of an HTTP server', () => {
  it('is the one the server gave', async () => {
    const { port, proxy, server } = await pair()
    const id = await initialize(port)
    expect([...server.sessions.keys()]).toContain(id)
    const { json } = await post(port, { id: 7, method: 'tools/list' }, withSession(id))
    expect(json).toEqual({ jsonrpc: '2.0', id: 7, result: { session: id, method: 'tools/list' } })
    expect(proxy.stats().sessions).toBe(1)
  })

  it.each([
    ['{"jsonrpc":"2.0","id":"a\\u0062","method":"x"}', ',"id":"a\\u0062"'],
    ['{"jsonrpc":"2.0","id":12345678901234567890,"method":"x"}', ',"id":12345678901234567890'],
    ['{"jsonrpc":"2.0","method":"x"}', ''],
    ['not json', ''],
  ])('that nobody knows gets 404 with the id of %s, and the server hears nothing', async (body, id) => {
    const { port, server } = await pair()
    const { status, text } = await post(port, body, withSession('foreign'))
    expect([status, text]).toEqual([
      404,
      `{"error":{"code":-32001,"message":"Session not found"},"jsonrpc":"2.0"${id}}`,
    ])
    expect(server.seen).toEqual([])
  })

  it('that nobody knows gets 404 for GET and DELETE, and a batch is refused', async () => {
    const { port, server } = await pair()
    for (const method of ['GET', 'DELETE']) {
      const { status, text } = await fetchText({ port, method, headers: withSession('foreign') })
      expect([status, text]).toEqual([404, '{"error":{"code":-32001,"message":"Session not found"},"jsonrpc":"2.0"}'])
    }
    const { status, json } = await post(port, [{ id: 1, method: 'a' }], withSession('foreign'))
    expect([status, json.error?.code]).toEqual([400, -32600])
    expect(server.seen).toEqual([])
  })

  it('is never told to the server with initialize, known or not', async () => {
    const { port, server } = await pair()
    const id = await initialize(port)
    for (const sent of [id, 'foreign']) {
      const params = { protocolVersion: '2025-11-25' }
      const { status } = await post(port, { id: 1, method: 'initialize', params }, withSession(sent))
      expect(status).toBe(200)
    }
    expect(server.seen.map(({ headers }) => headers['mcp-session-id'])).toEqual([undefined, undefined, undefined])
  })

  it.each([200, 204, 404])('ends with DELETE when the server answers %s', async (status) => {
    const { port, server } = await pair()
    const id = await initialize(port)
    server.script = (req, res) => req.method === 'DELETE' && (res.writeHead(status).end(), true)
    expect((await fetchText({ port, method: 'DELETE', headers: withSession(id) })).status).toBe(status)
    expect((await post(port, { id: 1, method: 'a' }, withSession(id))).status).toBe(404)
    expect(server.seen.filter(({ method }) => method === 'DELETE')).toHaveLength(1)
  })

  it('stays when the server refuses to end it', async () => {
    const { port, server } = await pair()
    const id = await initialize(port)
    server.script = (req, res) => req.method === 'DELETE' && (res.writeHead(405).end(), true)
    expect((await fetchText({ port, method: 'DELETE', headers: withSession(id) })).status).toBe(405)
    expect((await post(port, { id: 1, method: 'a' }, withSession(id))).status).toBe(200)
  })

  it('ends after its idle time, also in the server', async () => {
    const { port, server } = await pair({ sessionTtlMs: 50, sessionSweepMs: 20 })
    const id = await initialize(port)
    while (server.sessions.has(id)) await new Promise((resolve) => setTimeout(resolve, 10))
    expect((await post(port, { id: 1, method: 'a' }, withSession(id))).status).toBe(404)
  })

  it('is not begun when there are too many', async () => {
    const { port } = await pair({ sessions: 1 })
    await initialize(port)
    const { status, json } = await post(port, { id: 5, method: 'initialize', params: {} })
    expect([status, json.id]).toEqual([503, 5])
  })

  it('that was not begun here is named to nobody', async () => {
    const { port, server } = await pair({ sessions: 1 })
    const waiting: (() => unknown)[] = []
    server.script = (_req, res) => {
      const id = `id${waiting.length}`
      waiting.push(() => res.writeHead(200, { 'mcp-session-id': id }).end('{}'))
      if (waiting.length === 2) for (const answer of waiting) answer()
      return true
    }
    const call = { id: 1, method: 'initialize', params: {} }
    const ids = (await Promise.all([post(port, call), post(port, call)])).map((res) => res.headers['mcp-session-id'])
    expect(ids.filter((id) => id !== undefined)).toHaveLength(1)
    server.script = (_req, res) => (res.writeHead(400, { 'mcp-session-id': 'x' }).end('{}'), true)
    expect((await post(port, { id: 1, method: 'a' })).headers['mcp-session-id']).toBeUndefined()
  })
})

describe('a session whose server was restarted', () => {
  it('goes on under the id the client has, with the version and credentials of the client', async () => {
    const fixture = await pair()
    const id = await initialize(fixture.port, '2025-06-18')
    const next = await restart(fixture)
    const headers = { ...withSession(id), authorization: 'Bearer new', 'mcp-protocol-version': '2025-06-18' }
    const { status, json, headers: answered } = await post(fixture.port, { id: 1, method: 'tools/list' }, headers)
    const [backendId] = [...next.sessions.keys()].slice(-1)
    expect(backendId).not.toBe(id)
    expect([status, json.result]).toEqual([200, { session: backendId, method: 'tools/list' }])
    expect(answered['mcp-session-id']).toBe(id)
    const seen = next.seen.map(({ body, headers }) => [
      JSON.parse(body).method,
      headers['mcp-session-id'],
      headers['mcp-protocol-version'],
      headers.authorization,
    ])
    expect(seen).toEqual([
      ['initialize', undefined, undefined, 'Bearer new'],
      ['notifications/initialized', backendId, '2025-06-18', 'Bearer new'],
      ['tools/list', backendId, '2025-06-18', 'Bearer new'],
    ])
  })

  it('is taken up once for many calls at the same time', async () => {
    const fixture = await pair()
    const id = await initialize(fixture.port)
    const next = await restart(fixture)
    const calls = Array.from({ length: 20 }, (_, index) =>
      post(fixture.port, { id: index, method: 'a' }, withSession(id)),
    )
    expect((await Promise.all(calls)).map(({ status, json }) => [status, json.id])).toEqual(
      Array.from({ length: 20 }, (_, index) => [200, index]),
    )
    expect(next.seen.filter(({ body }) => body.includes('"initialize"'))).toHaveLength(1)
  })

  it('waits for the server while it is away, with a call that is too large to be collected', async () => {
    const fixture = await pair()
    const id = await initialize(fixture.port)
    await fixture.server.kill()
    fixture.proxy.detach('killed')
    const large = post(fixture.port, { id: 1, method: 'a', params: { text: 'x'.repeat(200_000) } }, withSession(id))
    while (fixture.proxy.stats().inFlight === 0) await new Promise((resolve) => setImmediate(resolve))
    await attach(fixture, await server())
    expect((await large).status).toBe(200)
  })

  it('is not mixed up with a new one that gets the same id from a server that counts', async () => {
    const fixture = await pair()
    fixture.server.newId = () => '1'
    const old = await initialize(fixture.port)
    await fixture.server.kill()
    fixture.proxy.detach('killed')
    const next = await server()
    let count = 0
    next.newId = () => String((count += 1))
    await attach(fixture, next)
    count = 0
    const fresh = await initialize(fixture.port)
    expect(old).toBe('1')
    expect(fresh).not.toBe('1')
    const [first, second] = await Promise.all(
      [old, fresh].map((id) => post(fixture.port, { id: 1, method: 'a' }, withSession(id))),
    )
    expect([first?.json.result?.['session'], second?.json.result?.['session']]).toEqual(['2', '1'])
  })

  it.each(['Bad Request: No valid session ID provided', 'Bad Request: Server not initialized'])(
    'goes on where the server says with 400: %s',
    async (message) => {
      const { port, server } = await pair()
      server.script = (req, res, body) => {
        if (body.includes('"initialize"') || server.sessions.has(String(req.headers['mcp-session-id']))) return false
        res.writeHead(400, { 'content-type': 'application/json' })
        res.end(JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: -32000, message } }))
        return true
      }
      const id = await initialize(port)
      server.sessions.clear()
      const answer = await post(port, { id: 1, method: 'a' }, withSession(id))
      expect([answer.status, answer.json.result?.['method']]).toEqual([200, 'a'])
      expect(server.sessions.size).toBe(1)
    },
  )

  it('gets any other 400 as it is, and keeps its session at the server', async () => {
    const { port, server } = await pair()
    const id = await initialize(port)
    const before = [...server.sessions.keys()]
    for (const text of ['no such thing', 'x'.repeat(100_000), '']) {
      server.script = (_req, res) => (res.writeHead(400, { 'content-type': 'text/plain' }).end(text), true)
      const headers = { ...withSession(id), 'content-type': 'application/json' }
      const body = '{"jsonrpc":"2.0","id":1,"method":"bad"}'
      const answer = await fetchText({ port, path: '/mcp', method: 'POST', headers, body })
      expect([answer.status, answer.text]).toEqual([400, text])
    }
    server.script = () => false
    expect((await post(port, { id: 2, method: 'a' }, withSession(id))).status).toBe(200)
    expect([...server.sessions.keys()]).toEqual(before)
  })

  it('ends with 404 when the server takes it up no more, or speaks another revision', async () => {
    const fixture = await pair()
    const ids = [await initialize(fixture.port, '2025-11-25'), await initialize(fixture.port, '2025-11-25')]
    const next = await restart(fixture)
    next.protocolVersion = '2024-11-05'
    expect((await post(fixture.port, { id: 1, method: 'a' }, withSession(ids[0]!))).status).toBe(404)
    next.script = (_req, res, body) => body.includes('initialize') && (res.writeHead(401).end(), true)
    expect((await post(fixture.port, { id: 1, method: 'a' }, withSession(ids[1]!))).status).toBe(404)
    expect(fixture.proxy.stats().sessions).toBe(0)
  })

  it('waits for a new server that says 429, which is no word about the session', async () => {
    const fixture = await pair()
    const id = await initialize(fixture.port)
    const next = await restart(fixture)
    let refused = 0
    next.script = (_req, res) => (refused += 1) < 3 && (res.writeHead(429).end(), true)
    expect((await post(fixture.port, { id: 1, method: 'a' }, withSession(id))).status).toBe(200)
  })

  it('ends at once with DELETE, without troubling the new server', async () => {
    const fixture = await pair()
    const id = await initialize(fixture.port)
    const next = await restart(fixture)
    expect((await fetchText({ port: fixture.port, method: 'DELETE', headers: withSession(id) })).status).toBe(200)
    expect(next.seen).toEqual([])
  })

  it('goes on when the server comes back on the same port and nobody told the proxy', async () => {
    const fixture = await pair()
    const id = await initialize(fixture.port)
    await fixture.server.kill()
    const waiting = post(fixture.port, { id: 1, method: 'a' }, withSession(id))
    await new Promise((resolve) => setTimeout(resolve, 150))
    await server(fixture.server.port)
    expect((await waiting).status).toBe(200)
  })
})

describe('a session the server has forgotten', () => {
  it('is taken up again at 404, and the call is sent once more', async () => {
    const { port, server } = await pair()
    const id = await initialize(port)
    server.sessions.clear()
    const { status, json } = await post(port, { id: 1, method: 'a' }, withSession(id))
    expect([status, json.id]).toEqual([200, 1])
    expect(server.seen.filter(({ body }) => body.includes('"method":"a"'))).toHaveLength(2)
  })

  it('stays as it is when the server says 404 to a method that no session has', async () => {
    const { port, server } = await pair()
    const id = await initialize(port)
    server.script = (req, res) => req.method === 'PUT' && (res.writeHead(404).end(), true)
    expect((await fetchText({ port, method: 'PUT', headers: withSession(id) })).status).toBe(404)
    expect((await post(port, { id: 1, method: 'a' }, withSession(id))).json.result).toMatchObject({ session: id })
  })

  it('ends when the server forgets it again at once', async () => {
    const { port, server } = await pair()
    const id = await initialize(port)
    server.script = (_req, res, body) => body.includes('"method":"a"') && (res.writeHead(404).end(), true)
    expect((await post(port, { id: 1, method: 'a' }, withSession(id))).status).toBe(404)
    expect(server.seen.filter(({ body }) => body.includes('"method":"a"'))).toHaveLength(2)
    expect((await post(port, { id: 1, method: 'b' }, withSession(id))).json.error?.code).toBe(-32001)
  })

  it('is taken up again also when a streamed call found out, which is told to have not run', async () => {
    const { port, server } = await pair()
    const id = await initialize(port)
    server.sessions.clear()
    const params = { text: 'x'.repeat(200_000) }
    const { status, json } = await post(port, { id: 1, method: 'a', params }, withSession(id))
    expect([status, json.error?.data?.['outcome']]).toEqual([503, 'not-sent'])
    expect((await post(port, { id: 2, method: 'a', params }, withSession(id))).status).toBe(200)
  })
})

describe('the event stream of a session', () => {
  it('stays open while the server is restarted, and hears the next one', async () => {
    const fixture = await pair({ keepAliveMs: 20 })
    const id = await initialize(fixture.port)
    const events = await openEvents(fixture.port, '/mcp', withSession(id))
    fixture.server.sessions.get(id)?.write('id: 1\ndata: {"n":1}\n\ndata: {"half')
    expect(await events.next()).toEqual({ id: '1', data: '{"n":1}' })
    const comments: string[] = []
    events.response.on('data', (piece: string) => piece.includes(': keep-alive') && comments.push(piece))
    await fixture.server.kill()
    fixture.proxy.detach('killed')
    while (comments.length < 2) await new Promise((resolve) => setTimeout(resolve, 5))
    const next = await server()
    await attach(fixture, next)
    let stream: { write(text: string): unknown } | undefined
    while (stream === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 5))
      stream = [...next.sessions.values()].find((res) => res !== undefined)
    }
    stream.write('data: {"n":2}\n\n')
    expect(await events.next()).toEqual({ data: '{"n":2}' })
    expect(next.seen.at(-1)?.headers['last-event-id']).toBeUndefined()
    events.close()
  })

  it('whose head comes late is a stream already: it waits for the next server, and holds up no end', async () => {
    const fixture = await pair({ backendWaitMs: 300 })
    const id = await initialize(fixture.port)
    const isStream = (req: { method?: string | undefined }): boolean => req.method === 'GET'
    fixture.server.script = (req) => isStream(req)
    const stream = openEvents(fixture.port, '/mcp', withSession(id))
    await expect.poll(() => fixture.server.seen.some(isStream)).toBe(true)
    expect(fixture.proxy.stats()).toMatchObject({ inFlight: 0, streams: 1 })
    await new Promise((resolve) => setTimeout(resolve, 400))
    const next = await restart(fixture)
    const events = await stream
    expect(events.response.statusCode).toBe(200)
    ;[...next.sessions.values()].at(-1)?.write('data: 1\n\n')
    expect(await events.next()).toEqual({ data: '1' })
    events.close()
  })

  it('that was only cut is opened again behind its last event', async () => {
    const { port, server } = await pair()
    const id = await initialize(port)
    const events = await openEvents(port, '/mcp', withSession(id))
    server.sessions.get(id)?.write('id: e7\ndata: 1\n\n')
    await events.next()
    const lost = server.sessions.get(id)
    lost?.destroy()
    while (server.sessions.get(id) === lost) await new Promise((resolve) => setTimeout(resolve, 5))
    server.sessions.get(id)?.write('data: 2\n\n')
    expect(await events.next()).toEqual({ data: '2' })
    expect(server.seen.at(-1)?.headers['last-event-id']).toBe('e7')
    events.close()
  })

  it('ends when the server ends it', async () => {
    const { port, server } = await pair()
    const id = await initialize(port)
    const events = await openEvents(port, '/mcp', withSession(id))
    server.sessions.get(id)?.end('data: 1\n\n')
    expect([await events.next(), await events.next()]).toEqual([{ data: '1' }, undefined])
  })

  it('is not opened where the server has none', async () => {
    const { port, server } = await pair()
    const id = await initialize(port)
    server.script = (req, res) => req.method === 'GET' && (res.writeHead(405, { allow: 'POST' }).end('no'), true)
    const headers = { ...withSession(id), accept: 'text/event-stream' }
    const { status, text } = await fetchText({ port, headers })
    expect([status, text]).toEqual([405, 'no'])
  })

  it('is given up when the server cuts it every time', async () => {
    const { port, server } = await pair({ streamTries: 2, redialMs: 5 })
    const id = await initialize(port)
    server.script = (req, res) => {
      if (req.method !== 'GET') return false
      res.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
      setTimeout(() => res.destroy(), 5)
      return true
    }
    const events = await openEvents(port, '/mcp', withSession(id))
    expect(await events.next()).toBeUndefined()
    expect(server.seen.filter(({ method }) => method === 'GET')).toHaveLength(3)
  })
})

describe('a call that was under way when the server died', () => {
  it('is told that it may have run', async () => {
    const { port, server } = await pair()
    const id = await initialize(port)
    server.script = (req, _res, body) => body.includes('"slow"') && (req.socket.destroy(), true)
    const { status, json } = await post(port, { id: 'x', method: 'slow' }, withSession(id))
    expect([status, json.id, json.error?.data]).toEqual([502, 'x', { outcome: 'unknown', backend: 'demo' }])
    expect(server.seen.filter(({ body }) => body.includes('"slow"'))).toHaveLength(1)
  })

  it('is told so on its event stream, unless that ends within an event', async () => {
    const { port, server } = await pair()
    const id = await initialize(port)
    const texts = ['data: {"method":"p"}\n\n', 'data: {"meth']
    server.script = (_req, res, body) => {
      if (!body.includes('"slow"')) return false
      res.writeHead(200, { 'content-type': 'text/event-stream' }).write(texts.shift())
      setTimeout(() => res.destroy(), 20)
      return true
    }
    const whole = await post(port, { id: 3, method: 'slow' }, withSession(id))
    expect([whole.status, whole.json.id, whole.json.error?.data?.['outcome']]).toEqual([200, 3, 'unknown'])
    await expect(post(port, { id: 4, method: 'slow' }, withSession(id))).rejects.toThrow(/aborted|hang up|reset/)
  })
})
