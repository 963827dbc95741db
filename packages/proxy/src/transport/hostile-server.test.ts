import { afterEach, describe, expect, it } from 'vitest'
import { fetchText, initialize, openEvents, post } from '../testing/http-client.ts'
import { never, startProxy, startWithServer, type ProxyFixture } from '../testing/proxy-fixture.ts'
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

describe('a line of a server', () => {
  it.each([
    ['arrays', '['.repeat(100_000) + ']'.repeat(100_000)],
    ['objects', '{"a":'.repeat(100_000) + '1' + '}'.repeat(100_000)],
    ['unfinished arrays', '['.repeat(100_000)],
  ])('of deeply nested %s is skipped', async (_title, line) => {
    const { port, server, logs } = await setUp()
    const began = performance.now()
    server.write(line)
    expect((await post(port, { id: 1, method: 'tools/call' })).status).toBe(200)
    expect(performance.now() - began).toBeLessThan(1_000)
    expect(logs.filter(({ message }) => message.includes('skipped a line'))).toHaveLength(1)
  })

  it('that is a batch is taken apart, up to the limit', async () => {
    const { port, server } = await setUp({ limits: { batchItems: 2 } })
    server.on('tools/call', (request) => {
      server.write(`[7,{"jsonrpc":"2.0","id":${request.id},"result":{"n":1}},{"jsonrpc":"2.0"}]`)
      return undefined
    })
    expect((await post(port, { id: 1, method: 'tools/call' })).json.result).toEqual({ n: 1 })
  })

  it('with an id in two spellings answers nobody', async () => {
    const { port, server } = await setUp()
    server.on('tools/call', (request) => {
      server.write(`{"jsonrpc":"2.0","id":${request.id},"ID":1,"result":{"forged":true}}`)
      return { honest: true }
    })
    expect((await post(port, { id: 1, method: 'tools/call' })).json.result).toEqual({ honest: true })
  })

  it('with a prefix, or in colour, is read from its first to its last brace', async () => {
    const { port, server } = await setUp()
    server.on('tools/call', (request) => {
      server.write(`INFO: {"jsonrpc":"2.0","id":${request.id},"result":{"text":"{}"}}\u001b[0m`)
      return undefined
    })
    expect((await post(port, { id: 1, method: 'tools/call' })).json.result).toEqual({ text: '{}' })
  })

  it('with an id as text of digits is an answer', async () => {
    const { port, server } = await setUp()
    server.on('tools/call', (request) => {
      server.send({ id: String(request.id), result: { ok: true } })
      return undefined
    })
    expect((await post(port, { id: 1, method: 'tools/call' })).json).toMatchObject({ id: 1, result: { ok: true } })
  })

  it('that is noise is logged ten times a minute, and then counted', async () => {
    const started = await setUp({ limits: { noiseWindowMs: 100 } })
    for (let line = 0; line < 1_000; line += 1) started.server.write(`noise ${line}`)
    const record = await started.logged('skipped more lines')
    expect(record.fields).toEqual({ lines: 990 })
    expect(started.logs.filter(({ message }) => message.startsWith('skipped'))).toHaveLength(11)
  })
})

describe('a server that closes its output and lives', () => {
  it('is reported as lost, with a health that says so', async () => {
    const started = await startProxy({ limits: { backendWaitMs: 30 } })
    fixture = started
    const { proxy, port } = started
    const server = createScriptedServer()
    const { lost } = await proxy.attach(server.connection, never)
    expect((await post(port, { id: 1, method: 'ping' })).status).toBe(200)
    server.die()
    expect(await lost).toBe('the server closed its output')
    const health = await fetchText({ port, path: '/health' })
    expect([health.status, JSON.parse(health.text)]).toMatchObject([
      503,
      { mcp: { available: false, error: 'the server closed its output' } },
    ])
    expect((await post(port, { id: 1, method: 'ping' })).status).toBe(503)
  })

  it('is not reported when its owner gave it up', async () => {
    const started = await startProxy()
    fixture = started
    const server = createScriptedServer()
    const { lost } = await started.proxy.attach(server.connection, never)
    started.proxy.detach('given up')
    server.die()
    const later = new Promise((resolve) => setTimeout(() => resolve('nothing'), 30))
    expect(await Promise.race([lost, later])).toBe('nothing')
  })
})

describe('a slow server', () => {
  it('may take longer for its handshake than for a call', async () => {
    const started = await startProxy({ limits: { requestTimeoutMs: 20 } })
    fixture = started
    const server = createScriptedServer().on('initialize', (request, peer) => {
      setTimeout(() => peer.answer(request, { protocolVersion: '2025-06-18', capabilities: {} }), 100)
      return undefined
    })
    await expect(started.proxy.attach(server.connection, never)).resolves.toMatchObject({
      protocolVersion: '2025-06-18',
    })
  })

  it('is waited for however long the limit says, and never shorter', async () => {
    const { port, server } = await setUp({ limits: { requestTimeoutMs: 3_600_000_000, streamAfterMs: -1 } })
    server.on('tools/call', (request) => {
      setTimeout(() => server.answer(request, {}), 50)
      return undefined
    })
    const answer = await post(port, { id: 1, method: 'tools/call' })
    expect([answer.status, answer.headers['content-type']]).toEqual([200, 'application/json'])
  })
})

describe('what a server announces', () => {
  it('while a session has no stream is told when it opens one, each change once', async () => {
    const { port, server } = await setUp()
    const headers = { 'mcp-session-id': await initialize(port) }
    for (const [id, uri] of ['a', 'b'].entries()) {
      await post(port, { id, method: 'resources/subscribe', params: { uri } }, headers)
    }
    for (let round = 0; round < 3; round += 1) {
      server.send({ method: 'notifications/tools/list_changed' })
      server.send({ method: 'notifications/resources/updated', params: { uri: 'a' } })
      server.send({ method: 'notifications/resources/updated', params: { uri: 'b' } })
    }
    await post(port, { id: 7, method: 'resources/unsubscribe', params: { uri: 'a' } }, headers)
    const stream = await openEvents(port, '/mcp', headers)
    expect((await stream.message()).method).toBe('notifications/tools/list_changed')
    expect((await stream.message()).params).toEqual({ uri: 'b' })
    server.send({ method: 'notifications/prompts/list_changed' })
    expect((await stream.message()).method).toBe('notifications/prompts/list_changed')
    stream.close()
  })

  it('about tasks is kept from clients, which share one connection', async () => {
    const started = await startProxy()
    fixture = started
    const server = createScriptedServer().on('initialize', () => ({
      protocolVersion: '2025-11-25',
      capabilities: { tools: { x: 1 }, tasks: { list: {} }, logging: {} },
    }))
    await started.proxy.attach(server.connection, never)
    const { json } = await post(started.port, { id: 1, method: 'initialize', params: {} })
    expect(json.result?.['capabilities']).toEqual({ tools: { x: 1 }, logging: {} })
  })
})

describe('a successor that refuses a subscription', () => {
  it('is asked again when a client subscribes again', async () => {
    const { port, proxy } = await setUp()
    const ids = [await initialize(port), await initialize(port)]
    const subscribe = (who: number): ReturnType<typeof post> =>
      post(port, { id: 1, method: 'resources/subscribe', params: { uri: 'u' } }, { 'mcp-session-id': ids[who] ?? '' })
    await subscribe(0)
    const next = createScriptedServer().on('resources/subscribe', (request, server) => {
      server.send({ id: request.id ?? 0, error: { code: -32002, message: 'no such resource' } })
      return undefined
    })
    await proxy.attach(next.connection, never)
    expect((await subscribe(1)).json.error?.code).toBe(-32002)
  })
})
