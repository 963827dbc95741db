import { InitializeResultSchema } from '@modelcontextprotocol/sdk/types.js'
import { afterEach, describe, expect, it } from 'vitest'
import type { Attachment, Proxy } from '../proxy-config.ts'
import { initialize, openEvents, post, type EventReader } from '../testing/http-client.ts'
import { callModern, modernRequest, postModern } from '../testing/modern-client.ts'
import { createModernServer, type ModernServer } from '../testing/modern-server.ts'
import { never, startProxy, type ProxyFixture } from '../testing/proxy-fixture.ts'
import { createScriptedServer, type Wire } from '../testing/scripted-server.ts'

const key = (name: string): string => `io.modelcontextprotocol/${name}`
const uri = 'test:a'

const open: Proxy[] = []
const readers: EventReader[] = []

afterEach(async () => {
  for (const reader of readers.splice(0)) reader.close()
  await Promise.all(open.splice(0).map((proxy) => proxy.close()))
})

async function setUp(): Promise<ProxyFixture & { server: ModernServer; attachment: Attachment }> {
  const fixture = await startProxy()
  open.push(fixture.proxy)
  const server = createModernServer()
  const attachment = await fixture.proxy.attach(server.connection, never)
  return { ...fixture, server, attachment }
}

async function session(port: number, capabilities: Record<string, unknown> = {}): Promise<Record<string, string>> {
  const params = { protocolVersion: '2025-06-18', capabilities, clientInfo: { name: 'test', version: '0' } }
  const response = await post(port, { id: 0, method: 'initialize', params })
  return { 'mcp-session-id': String(response.headers['mcp-session-id']) }
}

async function openStream(port: number, headers: Record<string, string>): Promise<EventReader> {
  const stream = await openEvents(port, '/mcp', headers)
  readers.push(stream)
  return stream
}

function uncancelled({ listens, received }: ModernServer): Wire[] {
  const cancelled = received.map(({ params }) => params?.['requestId'])
  return listens.filter(({ id }) => !cancelled.includes(id))
}

describe('a Modern server', () => {
  it('is recognised by refusing initialize and answering server/discover', async () => {
    const { server, attachment } = await setUp()
    expect(attachment).toMatchObject({ serverName: 'modern', serverVersion: '2', protocolVersion: '2026-07-28' })
    expect(server.received.slice(0, 2).map(({ method }) => method)).toEqual(['initialize', 'server/discover'])
    expect(server.received[1]?.params).toEqual({
      _meta: {
        [key('protocolVersion')]: '2026-07-28',
        [key('clientInfo')]: { name: 'thv', version: expect.any(String) },
        [key('clientCapabilities')]: {},
      },
    })
  })

  it('that answers neither is refused with what it said to initialize', async () => {
    const { proxy } = await startProxy()
    open.push(proxy)
    const server = createScriptedServer()
    server.on('initialize', (request, self) => {
      self.send({ id: request.id!, error: { code: -32000, message: 'bad licence' } })
      return undefined
    })
    await expect(proxy.attach(server.connection, never)).rejects.toThrow(/bad licence/)
  })
})

describe('a Legacy client of a Modern server', () => {
  it('initializes with what the server said about itself', async () => {
    const { port } = await setUp()
    const { json } = await post(port, {
      id: 0,
      method: 'initialize',
      params: { protocolVersion: '2025-06-18', capabilities: {} },
    })
    expect(json.result).toEqual({
      protocolVersion: '2025-06-18',
      capabilities: { tools: { listChanged: true }, resources: { subscribe: true }, logging: {} },
      serverInfo: { name: 'modern', version: '2' },
      instructions: 'modern',
      'x-extra': 12345,
    })
    expect(InitializeResultSchema.safeParse(json.result).success).toBe(true)
    const unknown = await post(port, {
      id: 0,
      method: 'initialize',
      params: { protocolVersion: '1999-01-01', capabilities: {} },
    })
    expect(unknown.json.result?.['protocolVersion']).toBe('2025-11-25')
  })

  it('tells its capabilities with each call, without those by which a server asks', async () => {
    const { port, server } = await setUp()
    const capabilities = {
      elicitation: {},
      sampling: {},
      roots: {},
      experimental: { x: {} },
      extensions: { 'a/b': {} },
    }
    const headers = await session(port, capabilities)
    const { json } = await post(
      port,
      { id: 'c', method: 'tools/call', params: { name: 'a', arguments: { n: 1 } } },
      headers,
    )
    expect(json).toEqual({ jsonrpc: '2.0', id: 'c', result: { content: [], echo: { n: 1 } } })
    const call = await server.seen(({ method }) => method === 'tools/call')
    expect(call.params).toEqual({
      name: 'a',
      arguments: { n: 1 },
      _meta: {
        [key('protocolVersion')]: '2026-07-28',
        [key('clientInfo')]: { name: 'thv', version: expect.any(String) },
        [key('clientCapabilities')]: { experimental: { x: {} }, extensions: { 'a/b': {} } },
      },
    })
  })

  it('keeps numbers that JavaScript cannot hold, and members nobody knows, in both directions', async () => {
    const { port, server } = await setUp()
    server.on('acme/do', (request, self) => {
      self.write(
        `{"jsonrpc":"2.0","z":1,"id":${request.id},"result":{"big":12345678901234567890,"resultType":"complete","x":{"b":1.50,"a":"\\u0061"}}}`,
      )
      return undefined
    })
    const body = '{"jsonrpc":"2.0","id":1,"method":"acme/do","params":{"big":98765432109876543210}}'
    const { text } = await post(port, body, await session(port))
    expect(text).toBe(
      '{"jsonrpc":"2.0","z":1,"id":1,"result":{"big":12345678901234567890,"x":{"b":1.50,"a":"\\u0061"}}}',
    )
    expect(server.lines.at(-1)).toContain('"params":{"big":98765432109876543210,')
  })

  it('is told clearly that a question cannot be put to it', async () => {
    const { port, server } = await setUp()
    server.on('tools/call', () => ({ resultType: 'input_required', requestState: 'secret' }))
    const { status, json } = await post(
      port,
      { id: 1, method: 'tools/call', params: { name: 'a' } },
      await session(port),
    )
    expect({ status, code: json.error?.code, data: json.error?.data }).toEqual({
      status: 200,
      code: -32603,
      data: { outcome: 'unknown' },
    })
    expect(JSON.stringify(json)).not.toContain('secret')
  })

  it('subscribes through the one subscription of the proxy', async () => {
    const { port, server } = await setUp()
    const [a, b] = [await session(port), await session(port)]
    const [streamA, streamB] = [await openStream(port, a), await openStream(port, b)]
    for (const headers of [a, b]) {
      const { json } = await post(port, { id: 1, method: 'resources/subscribe', params: { uri } }, headers)
      expect(json).toEqual({ jsonrpc: '2.0', id: 1, result: {} })
    }
    expect(uncancelled(server).map(({ params }) => params?.['notifications'])).toEqual([
      { toolsListChanged: true, resourceSubscriptions: [uri] },
    ])
    server.tell('notifications/resources/updated', { uri, x: 1 })
    expect((await streamA.message()).params).toEqual({ uri, x: 1, _meta: {} })
    expect((await streamB.message()).params).toEqual({ uri, x: 1, _meta: {} })
    await post(port, { id: 2, method: 'resources/unsubscribe', params: { uri } }, a)
    server.tell('notifications/tools/list_changed')
    expect((await streamA.message()).method).toBe('notifications/tools/list_changed')
    expect(uncancelled(server)).toHaveLength(1)
    await post(port, { id: 3, method: 'resources/unsubscribe', params: { uri } }, b)
    await server.seen(() => server.listens.length === 3)
    expect(server.listens[2]?.params?.['notifications']).toEqual({ toolsListChanged: true })
  })

  it('is refused a subscription that the server does not take', async () => {
    const { port, server } = await setUp()
    server.on('subscriptions/listen', (request) => {
      const _meta = { [key('subscriptionId')]: request.id }
      server.send({ method: 'notifications/subscriptions/acknowledged', params: { notifications: {}, _meta } })
      return undefined
    })
    const headers = await session(port)
    const { json } = await post(port, { id: 1, method: 'resources/subscribe', params: { uri } }, headers)
    expect(json.error?.code).toBe(-32602)
  })

  it('whose wish has the whole subscription refused takes nothing from the others', async () => {
    const { port, server } = await setUp()
    const stream = await openStream(port, await session(port))
    server.on('subscriptions/listen', ({ id = 0 }) => {
      server.send({ id, error: { code: -32602, message: 'no such resource' } })
      return undefined
    })
    const { json } = await post(
      port,
      { id: 1, method: 'resources/subscribe', params: { uri: 'test:none' } },
      await session(port),
    )
    expect(json.error?.code).toBe(-32602)
    server.tell('notifications/tools/list_changed')
    expect((await stream.message()).method).toBe('notifications/tools/list_changed')
  })

  it('subscribes though the server is being restarted', async () => {
    const { port, proxy } = await setUp()
    const headers = await session(port)
    proxy.detach('a restart')
    const subscribe = (id: number): Promise<{ json: Wire }> =>
      post(port, { id, method: 'resources/subscribe', params: { uri } }, headers)
    const answer = subscribe(1)
    await expect.poll(() => proxy.stats().inFlight).toBe(1)
    await proxy.attach(createModernServer().connection, never)
    expect((await answer).json.result).toEqual({})
    proxy.detach('a restart')
    const second = subscribe(2)
    await expect.poll(() => proxy.stats().inFlight).toBe(1)
    const legacy = createScriptedServer()
    await proxy.attach(legacy.connection, never)
    expect((await second).json.result).toEqual({})
  })

  it('loses nothing while a subscription takes the place of another, and hears nothing twice', async () => {
    const { port, server } = await setUp()
    const headers = await session(port)
    const stream = await openStream(port, headers)
    await server.seen(({ method }) => method === 'subscriptions/listen')
    const [first] = server.listens
    server.on('subscriptions/listen', (request) => {
      server.listens.push(request)
      const at = (id: unknown, n: number): void =>
        server.send({
          method: 'notifications/tools/list_changed',
          params: { n, _meta: { [key('subscriptionId')]: id } },
        })
      at(first?.id, 1)
      at(request.id, 1)
      const _meta = { [key('subscriptionId')]: request.id }
      server.send({
        method: 'notifications/subscriptions/acknowledged',
        params: { notifications: request.params?.['notifications'], _meta },
      })
      return undefined
    })
    await post(port, { id: 1, method: 'resources/subscribe', params: { uri } }, headers)
    await server.seen(({ method }) => method === 'notifications/cancelled')
    server.tell('notifications/tools/list_changed', { n: 2 })
    expect((await stream.message()).params?.['n']).toBe(1)
    expect((await stream.message()).params?.['n']).toBe(2)
  })

  it('has its log level told with each call, and hears what is surely about its own', async () => {
    const { port, server } = await setUp()
    const [a, b] = [await session(port), await session(port)]
    const [streamA, streamB] = [await openStream(port, a), await openStream(port, b)]
    for (const headers of [a, b])
      await post(port, { id: 1, method: 'logging/setLevel', params: { level: 'info' } }, headers)
    expect(server.received.map(({ method }) => method)).not.toContain('logging/setLevel')
    server.on('tools/call', () => {
      server.send({ method: 'notifications/message', params: { level: 'error', data: 'mine' } })
      return { resultType: 'complete', content: [] }
    })
    await post(port, { id: 2, method: 'tools/call', params: { name: 'a' } }, a)
    expect((await streamA.message()).params).toEqual({ level: 'error', data: 'mine' })
    const call = await server.seen(({ method }) => method === 'tools/call')
    expect(call.params?.['_meta']).toMatchObject({ [key('logLevel')]: 'info' })
    server.tell('notifications/tools/list_changed')
    // The log message came before, if it came.
    expect((await streamB.message()).method).toBe('notifications/tools/list_changed')
  })

  it('goes on with another server, whatever its era', async () => {
    const { port, server, proxy } = await setUp()
    const headers = await session(port)
    await post(port, { id: 1, method: 'resources/subscribe', params: { uri } }, headers)
    server.die()
    const legacy = createScriptedServer()
    await proxy.attach(legacy.connection, never)
    expect((await legacy.seen(({ method }) => method === 'resources/subscribe')).params).toEqual({ uri })
    expect((await post(port, { id: 2, method: 'tools/call', params: { name: 'a' } }, headers)).status).toBe(200)
    expect(legacy.lines.at(-1)).not.toContain('io.modelcontextprotocol')
    const modern = createModernServer()
    await proxy.attach(modern.connection, never)
    await modern.seen(({ method }) => method === 'subscriptions/listen')
    expect(modern.listens[0]?.params?.['notifications']).toMatchObject({ resourceSubscriptions: [uri] })
  })

  it('has a subscription opened again that the server has ended, and is told of what it may have missed', async () => {
    const fixture = await startProxy({ limits: { listenRetryMs: 1 } })
    open.push(fixture.proxy)
    const server = createModernServer()
    await fixture.proxy.attach(server.connection, never)
    const headers = { 'mcp-session-id': await initialize(fixture.port) }
    const stream = await openStream(fixture.port, headers)
    const listen = await server.seen(({ method }) => method === 'subscriptions/listen')
    server.answer(listen, { resultType: 'complete' })
    expect((await stream.message()).method).toBe('notifications/tools/list_changed')
    expect(server.listens).toHaveLength(2)
  })

  it('has a subscription opened again that the server has ended with an error', async () => {
    const fixture = await startProxy({ limits: { listenRetryMs: 1 } })
    open.push(fixture.proxy)
    const server = createModernServer()
    await fixture.proxy.attach(server.connection, never)
    const stream = await openStream(fixture.port, await session(fixture.port))
    const { id = 0 } = await server.seen(({ method }) => method === 'subscriptions/listen')
    server.send({ id, error: { code: -32603, message: 'out of memory' } })
    expect((await stream.message()).method).toBe('notifications/tools/list_changed')
  })
})

describe('a Modern client of a Modern server', () => {
  it('has its envelope made anew, with its own capabilities, and everything else as it was', async () => {
    const { port, server } = await setUp()
    server.on('tools/call', (request, self) => {
      self.write(
        `{"jsonrpc":"2.0","id":${request.id},"result":{"resultType":"input_required","requestState":"s","n":1.50,"inputRequests":{"a":{"method":"elicitation/create"}},"_meta":{"${key('serverInfo')}":{"name":"forged"},"k":1}}}`,
      )
      return undefined
    })
    const _meta = {
      [key('clientCapabilities')]: { elicitation: {}, sampling: {} },
      [key('logLevel')]: 'debug',
      traceparent: 't',
    }
    const params = { name: 'a', inputResponses: { a: { action: 'accept' } }, requestState: 'before', _meta }
    const { text } = await postModern(port, modernRequest('tools/call', params, 'x'))
    expect(text).toBe(
      `{"jsonrpc":"2.0","id":"x","result":{"resultType":"input_required","requestState":"s","n":1.50,"inputRequests":{"a":{"method":"elicitation/create"}},"_meta":{"k":1,"${key('serverInfo')}":{"name":"modern","version":"2"}}}}`,
    )
    const call = await server.seen(({ method }) => method === 'tools/call')
    expect(call.params).toEqual({
      ...params,
      _meta: {
        ..._meta,
        [key('protocolVersion')]: '2026-07-28',
        [key('clientInfo')]: { name: 'thv', version: expect.any(String) },
      },
    })
  })

  it('may nest its capabilities as deep as it likes', async () => {
    const { port, server } = await setUp()
    const deep = `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`
    const request = JSON.stringify(modernRequest('tools/call', { name: 'a' }))
    const body = request.replace('Capabilities":{}', `Capabilities":{"experimental":{"x":${deep}}}`)
    const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'a' }
    expect((await post(port, body, headers)).status).toBe(200)
    expect(server.lines.at(-1)).toContain(deep)
  })

  it('hears of changes under its own subscription', async () => {
    const { port, server } = await setUp()
    const request = modernRequest('subscriptions/listen', { notifications: { resourceSubscriptions: [uri] } }, 'mine')
    const reader = await callModern(port, request)
    readers.push(reader)
    expect((await reader.message()).params?.['notifications']).toEqual({ resourceSubscriptions: [uri] })
    server.tell('notifications/resources/updated', { uri })
    expect((await reader.message()).params).toEqual({ uri, _meta: { [key('subscriptionId')]: 'mine' } })
  })

  it('cancels by closing the answer', async () => {
    const { port, server } = await setUp()
    server.on('tools/call', (request) => {
      const progressToken = tokenOf(request)
      server.send({ method: 'notifications/progress', params: { progressToken, progress: 1 } })
      return undefined
    })
    const reader = await callModern(port, modernRequest('tools/call', { name: 'a', _meta: { progressToken: 0 } }))
    expect((await reader.message()).params).toEqual({ progressToken: 0, progress: 1 })
    const call = await server.seen(({ method }) => method === 'tools/call')
    reader.close()
    expect((await server.seen(({ params }) => params?.['requestId'] === call.id)).method).toBe(
      'notifications/cancelled',
    )
  })

  it('gets the status of the protocol for a capability that it did not declare', async () => {
    const { port, server } = await setUp()
    const error = { code: -32021, message: 'no', data: { requiredCapabilities: { sampling: {} } } }
    server.on('tools/call', (request, self) => {
      self.send({ id: request.id!, error })
      return undefined
    })
    const { status, json } = await postModern(port, modernRequest('tools/call', { name: 'a' }))
    expect({ status, error: json.error }).toEqual({ status: 400, error })
  })
})

function tokenOf({ params }: Wire): unknown {
  const meta: unknown = params?.['_meta']
  return typeof meta === 'object' && meta !== null && 'progressToken' in meta ? meta.progressToken : undefined
}
