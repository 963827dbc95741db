import { connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { startHttpServer } from '../testing/http-backend.ts'
import { fetchText, initialize, openEvents, post } from '../testing/http-client.ts'
import { startProxy, startWithServer, never, type ProxyFixture } from '../testing/proxy-fixture.ts'
import { createScriptedServer, type ScriptedServer } from '../testing/scripted-server.ts'

let fixture: ProxyFixture | undefined

async function setUp(
  options: Parameters<typeof startWithServer>[0] = {},
): Promise<ProxyFixture & { server: ScriptedServer }> {
  const started = await startWithServer(options)
  fixture = started
  return started
}

afterEach(async () => {
  await fixture?.proxy.close()
  fixture = undefined
})

/** Sends bytes on a connection of its own and gives back what came within a time. */
function rawExchange(port: number, bytes: string, waitMs: number): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    const timer = setTimeout(() => socket.destroy(), waitMs)
    socket.on('data', (chunk) => (text += chunk.toString('latin1')))
    socket.on('error', () => undefined)
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(text)
    })
  })
}

const head = 'POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json\r\n'

function rawPost(body: string): string {
  return `${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}

describe('a client', () => {
  it('cannot name the call of another in a second spelling of id or progress token', async () => {
    const { port, server } = await setUp()
    const params = '"params":{"_meta":{"progressToken":1,"ProgressToken":2}}'
    const answers = [
      await post(port, '{"jsonrpc":"2.0","id":1,"ID":2,"method":"tools/call"}'),
      await post(port, '{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}'),
      await post(port, `{"jsonrpc":"2.0","id":1,"method":"tools/call",${params}}`),
    ]
    expect(answers.map(({ status, json }) => [status, json.error?.code])).toEqual(answers.map(() => [400, -32600]))
    expect(server.lines.filter((line) => line.includes('tools/call'))).toEqual([])
  })

  it('cannot guess the id of the next call', async () => {
    const { port, server } = await setUp()
    for (let id = 0; id < 20; id += 1) await post(port, { id, method: 'tools/call' })
    const ids = server.received.filter(({ method }) => method === 'tools/call').map(({ id }) => Number(id))
    const steps = new Set(ids.slice(1).map((id, index) => id - (ids[index] ?? 0)))
    expect(steps.size).toBeGreaterThan(5)
    expect(Math.min(...ids)).toBeGreaterThan(20)
  })

  it('cannot put anything but the reason into a cancellation', async () => {
    const { port, server } = await setUp()
    const headers = { 'mcp-session-id': await initialize(port) }
    server.on('tools/call', () => undefined)
    const call = post(port, { id: 'c', method: 'tools/call' }, headers)
    const sent = await server.seen(({ method }) => method === 'tools/call')
    await post(
      port,
      '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"c","RequestID":1,"reason":"r"}}',
      headers,
    )
    await server.seen(({ method }) => method === 'notifications/cancelled')
    expect(server.lines.at(-1)).toBe(
      `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${sent.id},"reason":"r"}}`,
    )
    await call
  })

  it('gets 400 for a request without an id, and the server does not get it', async () => {
    const { port, server } = await setUp()
    const answer = await post(port, { method: 'tools/call', params: {} })
    expect([answer.status, answer.json.error?.code]).toEqual([400, -32600])
    expect(server.received.some(({ method }) => method === 'tools/call')).toBe(false)
  })

  it('may not use one id for two requests of a session at the same time', async () => {
    const { port, server } = await setUp()
    const headers = { 'mcp-session-id': await initialize(port) }
    server.on('tools/call', () => undefined)
    const first = post(port, { id: 1, method: 'tools/call' }, headers)
    const sent = await server.seen(({ method }) => method === 'tools/call')
    const second = await post(port, { id: 1, method: 'tools/call' }, headers)
    expect([second.status, second.json.error?.code]).toEqual([400, -32600])
    server.answer(sent, {})
    expect((await first).status).toBe(200)
    server.on('tools/call', () => ({}))
    expect((await post(port, { id: 1, method: 'tools/call' }, headers)).status).toBe(200)
  })

  it('without a session keeps the unknown notifications of the server from the only session', async () => {
    const { port, server } = await setUp()
    const headers = { 'mcp-session-id': await initialize(port) }
    const stream = await openEvents(port, '/mcp', headers)
    server.on('tools/call', () => undefined)
    const call = post(port, { id: 1, method: 'tools/call' })
    const sent = await server.seen(({ method }) => method === 'tools/call')
    server.send({ method: 'notifications/vendor', params: { of: 'the sessionless' } })
    server.answer(sent, {})
    await call
    server.send({ method: 'notifications/vendor', params: { of: 'the session' } })
    expect((await stream.message()).params).toEqual({ of: 'the session' })
    stream.close()
  })

  it('that ended its session keeps what its call still brings from the only other session', async () => {
    const { port, server } = await setUp()
    server.on('tools/call', () => undefined)
    const left = { 'mcp-session-id': await initialize(port) }
    const call = post(port, { id: 1, method: 'tools/call' }, left)
    await server.seen(({ method }) => method === 'tools/call')
    const stream = await openEvents(port, '/mcp', { 'mcp-session-id': await initialize(port) })
    await fetchText({ port, method: 'DELETE', headers: left })
    server.send({ method: 'notifications/vendor', params: { of: 'the ended' } })
    server.answer(await server.seen(({ method }) => method === 'tools/call'), {})
    await call
    server.send({ method: 'notifications/vendor', params: { of: 'the other' } })
    expect((await stream.message()).params).toEqual({ of: 'the other' })
    stream.close()
  })

  it('cannot ask the shared server for the tasks of everybody', async () => {
    const { port, server } = await setUp()
    server.on('tasks/list', () => ({ tasks: [{ taskId: 'of somebody' }] }))
    const headers = { 'mcp-session-id': await initialize(port) }
    for (const given of [headers, {}]) {
      const { status, json } = await post(port, { id: 1, method: 'tasks/list' }, given)
      expect({ status, code: json.error?.code }).toEqual({ status: 200, code: -32601 })
    }
  })

  it('may name the version that its server made the proxy tell it', async () => {
    const { port } = await setUp({ serverVersion: '2023-01-01' })
    const headers = { 'mcp-session-id': await initialize(port), 'mcp-protocol-version': '2023-01-01' }
    expect((await post(port, { id: 1, method: 'tools/call' }, headers)).status).toBe(200)
    expect((await fetchText({ port, method: 'DELETE', headers })).status).toBe(204)
    const other = { 'mcp-session-id': await initialize(port), 'mcp-protocol-version': '2023-01-02' }
    expect((await post(port, { id: 1, method: 'tools/call' }, other)).status).toBe(400)
    const oldest = { ...other, 'mcp-protocol-version': '2024-10-07' }
    expect((await post(port, { id: 1, method: 'tools/call' }, oldest)).status).toBe(200)
  })

  it('that left while its call waited costs nothing and its call is not sent', async () => {
    const started = await startProxy()
    fixture = started
    const { proxy, port } = started
    void rawExchange(port, rawPost('{"jsonrpc":"2.0","id":1,"method":"tools/call"}'), 100)
    void rawExchange(port, rawPost('{"jsonrpc":"2.0","id":1,"method":"initialize"}'), 100)
    while (proxy.stats().inFlight < 2) await new Promise((resolve) => setImmediate(resolve))
    while (proxy.stats().inFlight > 0) await new Promise((resolve) => setTimeout(resolve, 5))
    const server = createScriptedServer()
    await proxy.attach(server.connection, never)
    await post(port, { id: 2, method: 'other' })
    expect(server.received.some(({ method }) => method === 'tools/call')).toBe(false)
    expect(proxy.stats().sessions).toBe(0)
  })

  it('that cancels a call that waits frees its place', async () => {
    const { proxy, port } = await setUp()
    const headers = { 'mcp-session-id': await initialize(port) }
    proxy.detach('test')
    const call = post(port, { id: 1, method: 'tools/call' }, headers)
    while (proxy.stats().inFlight < 1) await new Promise((resolve) => setImmediate(resolve))
    await post(port, { method: 'notifications/cancelled', params: { requestId: 1 } }, headers)
    expect(proxy.stats().inFlight).toBe(0)
    expect((await call).status).toBe(202)
  })
})

describe('a body', () => {
  it('with an unknown coding is refused', async () => {
    const { port } = await setUp()
    const answer = await post(port, { id: 1, method: 'ping' }, { 'content-encoding': 'gzip' })
    expect(answer.status).toBe(415)
    const raw = await rawExchange(port, `${head}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, 500)
    expect(raw).toMatch(/^HTTP\/1\.1 501 /)
  })

  it('that is too long gets to see its 413, though its sender reads only at the end', async () => {
    const { port } = await setUp({ limits: { bodyBytes: 1000 } })
    const body = 'x'.repeat(4_000_000)
    const answer = await new Promise<string>((resolve) => {
      let text = ''
      const socket = connect(port, '127.0.0.1', () => {
        socket.pause()
        socket.write(`${head}Content-Length: ${body.length}\r\n\r\n${body.slice(0, 2_000_000)}`)
        setTimeout(() => socket.write(body.slice(2_000_000), () => socket.resume()), 200)
      })
      socket.on('data', (chunk) => (text += chunk.toString()))
      socket.on('error', (error) => (text += error.message))
      socket.on('close', () => resolve(text))
    })
    expect(answer).toMatch(/^HTTP\/1\.1 413 /)
    expect(answer).not.toMatch(/ECONNRESET|EPIPE/)
  })

  it('that never ends after its 413 is cut off', async () => {
    const { port } = await setUp({ limits: { bodyBytes: 1000, lingerMs: 50 } })
    const began = performance.now()
    expect(await rawExchange(port, `${head}Content-Length: 9000000\r\n\r\nabc`, 5_000)).toMatch(/^HTTP\/1\.1 413 /)
    expect(performance.now() - began).toBeLessThan(2_000)
  })

  it('followed by garbage does not put a second answer into an open stream', async () => {
    const { port } = await setUp()
    const session = await initialize(port)
    const get = `GET /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nMcp-Session-Id: ${session}\r\n\r\n`
    const raw = await rawExchange(port, `${get}GARBAGE \x00\r\n\r\n`, 300)
    expect(raw).not.toContain('400 Bad Request')
  })

  it('that leaves behind a second request on its connection leaves nothing of it', async () => {
    const backend = await startHttpServer()
    fixture = await startProxy({ config: { backend: 'http' } })
    const { port, proxy } = fixture
    await proxy.attach({ kind: 'http', origin: backend.origin, transport: 'streamable-http' }, never)
    backend.script = () => true
    const request = 'POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}'
    const socket = connect(port, '127.0.0.1', () => socket.write(request + request))
    await expect.poll(() => proxy.stats().inFlight).toBe(2)
    socket.destroy()
    await expect.poll(() => proxy.stats().inFlight).toBe(0)
    const began = performance.now()
    await proxy.close(5_000)
    expect(performance.now() - began).toBeLessThan(2_000)
    await backend.kill()
  })
})
