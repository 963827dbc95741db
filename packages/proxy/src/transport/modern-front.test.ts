import { afterEach, describe, expect, it } from 'vitest'
import type { Proxy } from '../proxy-config.ts'
import { fetchText, initialize, openEvents, post, type EventReader } from '../testing/http-client.ts'
import { callModern, envelopeOf, modernRequest, modernVersion, postModern } from '../testing/modern-client.ts'
import { never, startProxy, startWithServer, type ProxyFixture } from '../testing/proxy-fixture.ts'
import { createScriptedServer, type ScriptedServer, type Wire } from '../testing/scripted-server.ts'

const subscriptionId = 'io.modelcontextprotocol/subscriptionId'
const serverInfo = 'io.modelcontextprotocol/serverInfo'
const logLevel = 'io.modelcontextprotocol/logLevel'
const uri = 'test:a'

const open: Proxy[] = []
const readers: EventReader[] = []

afterEach(async () => {
  for (const reader of readers.splice(0)) reader.close()
  await Promise.all(open.splice(0).map((proxy) => proxy.close()))
})

async function setUp(
  options: Parameters<typeof startWithServer>[0] = {},
): Promise<ProxyFixture & { server: ScriptedServer }> {
  const fixture = await startWithServer(options)
  open.push(fixture.proxy)
  return fixture
}

async function openCall(port: number, message: Parameters<typeof callModern>[1]): Promise<EventReader> {
  const reader = await callModern(port, message)
  readers.push(reader)
  return reader
}

function listen(port: number, notifications: Record<string, unknown>, id: string | number = 5): Promise<EventReader> {
  return openCall(port, modernRequest('subscriptions/listen', { notifications }, id))
}

describe('a Modern client of a Legacy server', () => {
  it('gets its answer with its own id, as complete, and without a session', async () => {
    const { port, server } = await setUp()
    const response = await postModern(port, modernRequest('tools/call', { name: 'a', arguments: { n: 1 } }, 'x'))
    expect(response.status).toBe(200)
    expect(response.headers['mcp-session-id']).toBeUndefined()
    expect(response.json).toEqual({
      jsonrpc: '2.0',
      id: 'x',
      result: {
        content: [],
        echo: { n: 1 },
        resultType: 'complete',
        _meta: { [serverInfo]: { name: 'scripted', version: '1.2.3', 'x-unknown': true } },
      },
    })
    const call = await server.seen((message) => message.method === 'tools/call')
    expect(call.params).toEqual({ name: 'a', arguments: { n: 1 }, _meta: {} })
  })

  it('keeps numbers that JavaScript cannot hold, and members nobody knows, in both directions', async () => {
    const { port, server } = await setUp()
    server.on('acme/do', (request, self) => {
      self.write(
        `{"jsonrpc":"2.0","z":1,"id":${request.id},"result":{"big":12345678901234567890,"x":{"b":1.50,"a":"\\u0061"}}}`,
      )
      return undefined
    })
    const message = modernRequest('acme/do')
    const body = JSON.stringify(message).replace('"params":{', '"params":{"big":98765432109876543210,')
    const response = await post(port, body, { 'mcp-protocol-version': modernVersion, 'mcp-method': 'acme/do' })
    expect(response.text).toContain('"big":12345678901234567890,"x":{"b":1.50,"a":"\\u0061"}')
    expect(response.text).toContain('"z":1')
    await server.seen(({ method }) => method === 'acme/do')
    expect(server.lines.at(-1)).toContain('"big":98765432109876543210')
  })

  it('discovers what the server said in its handshake', async () => {
    const { port } = await setUp()
    const { json } = await postModern(port, modernRequest('server/discover'))
    expect(json.result).toEqual({
      capabilities: { tools: { listChanged: true }, resources: { subscribe: true }, logging: {} },
      'x-extra': 12345,
      resultType: 'complete',
      supportedVersions: [modernVersion],
      ttlMs: 0,
      cacheScope: 'private',
      _meta: { [serverInfo]: { name: 'scripted', version: '1.2.3', 'x-unknown': true } },
    })
  })

  it('is told 404 for a method that the era or the server does not have', async () => {
    const { port, server } = await setUp()
    for (const method of ['ping', 'logging/setLevel', 'resources/subscribe', 'tasks/get', 'acme/none']) {
      const { status, json } = await postModern(port, modernRequest(method))
      expect({ method, status, code: json.error?.code }).toEqual({ method, status: 404, code: -32601 })
    }
    expect(server.received.map(({ method }) => method)).not.toContain('ping')
  })

  it('is told in band that a resource does not exist, with the number of its era', async () => {
    const { port, server } = await setUp()
    server.on('resources/read', (request, self) => {
      self.send({ id: request.id!, error: { code: -32002, message: 'no' } })
      return undefined
    })
    const { status, json } = await postModern(port, modernRequest('resources/read', { uri }))
    expect({ status, code: json.error?.code }).toEqual({ status: 200, code: -32602 })
  })

  it.each([
    ['GET', 405],
    ['DELETE', 405],
  ])('gets %s refused', async (method, status) => {
    const { port } = await setUp()
    const response = await fetchText({ port, method, headers: { 'mcp-protocol-version': modernVersion } })
    expect({ status: response.status, allow: response.headers.allow }).toEqual({ status, allow: 'POST, OPTIONS' })
  })

  it('may name any session, which means nothing', async () => {
    const { port } = await setUp()
    const { status } = await postModern(port, modernRequest('tools/call', { name: 'a' }), { 'mcp-session-id': 'gone' })
    expect(status).toBe(200)
  })

  it('gets 202 for a notification, which goes nowhere', async () => {
    const { port, server } = await setUp()
    const headers = { 'mcp-protocol-version': modernVersion }
    const { status } = await post(port, { method: 'notifications/acme' }, headers)
    await postModern(port, modernRequest('tools/call', { name: 'a' }))
    expect(status).toBe(202)
    expect(server.received.map(({ method }) => method)).not.toContain('notifications/acme')
  })

  it('gets progress under its own token on the stream of its call, also when two use the same', async () => {
    const { port, server } = await setUp()
    server.on('tools/call', () => undefined)
    const first = callModern(port, modernRequest('tools/call', { name: 'a', _meta: { progressToken: 'p' } }))
    const a = await server.seen((message) => message.params?.['name'] === 'a')
    const second = callModern(port, modernRequest('tools/call', { name: 'b', _meta: { progressToken: 'p' } }))
    const b = await server.seen((message) => message.params?.['name'] === 'b')
    for (const [call, progress] of [
      [b, 2],
      [a, 1],
    ] as const) {
      const progressToken = tokenOf(call)
      server.send({ method: 'notifications/progress', params: { progressToken, progress } })
      server.answer(call, {})
      // It is over, so nothing may come any more.
      server.send({ method: 'notifications/progress', params: { progressToken, progress: 9 } })
    }
    for (const [reader, progress] of [
      [await first, 1],
      [await second, 2],
    ] as const) {
      readers.push(reader)
      expect((await reader.message()).params).toEqual({ progressToken: 'p', progress })
      expect((await reader.message()).result).toMatchObject({ resultType: 'complete' })
      expect(await reader.next()).toBeUndefined()
    }
  })

  it('never takes what its server says about the hop for the word of the proxy', async () => {
    const { port, server } = await setUp()
    const _meta = { [subscriptionId]: 5, [serverInfo]: { name: 'forged', version: '0' }, kept: 1 }
    server.on('tools/call', (call, self) => {
      self.send({ method: 'notifications/progress', params: { progressToken: tokenOf(call), progress: 1, _meta } })
      self.send({ method: 'notifications/message', params: { level: 'error', data: 'd', _meta } })
      return {}
    })
    const wanted = { progressToken: 'p', [logLevel]: 'debug' }
    const reader = await openCall(port, modernRequest('tools/call', { name: 'a', _meta: wanted }))
    expect((await reader.message()).params).toEqual({ progressToken: 'p', progress: 1, _meta: { kept: 1 } })
    expect((await reader.message()).params).toEqual({ level: 'error', data: 'd', _meta: { kept: 1 } })
  })

  it('cancels by closing the answer', async () => {
    const { port, server } = await setUp({ limits: { streamAfterMs: 1 } })
    server.on('tools/call', () => undefined)
    const reader = await openCall(port, modernRequest('tools/call', { name: 'a' }))
    const call = await server.seen(({ method }) => method === 'tools/call')
    reader.close()
    const cancelled = await server.seen(({ method }) => method === 'notifications/cancelled')
    expect(cancelled.params).toMatchObject({ requestId: call.id })
    server.answer(call, {})
    expect((await postModern(port, modernRequest('server/discover'))).status).toBe(200)
  })

  it('never shows the server a capability to be asked for something, and its questions are refused', async () => {
    const { port, server } = await setUp()
    const capabilities = { elicitation: {}, sampling: {}, roots: {} }
    const meta = { 'io.modelcontextprotocol/clientCapabilities': capabilities }
    server.on('tools/call', (_request, self) => {
      self.send({ id: 'q', method: 'elicitation/create', params: { message: 'm' } })
      return {}
    })
    await postModern(port, modernRequest('tools/call', { name: 'a', _meta: meta }))
    const answer = await server.seen(({ id }) => id === 'q')
    expect(answer.error?.code).toBe(-32601)
    expect(server.lines.join('\n')).not.toMatch(/"(?:elicitation|sampling|roots)"/)
  })

  it('keeps what its server says without address from the session of somebody else', async () => {
    const { port, server } = await setUp()
    const stream = await openEvents(port, '/mcp', { 'mcp-session-id': await initialize(port) })
    readers.push(stream)
    server.on('tools/call', (_request, self) => {
      self.send({ method: 'notifications/acme', params: { secret: 1 } })
      return {}
    })
    await postModern(port, modernRequest('tools/call', { name: 'a' }))
    server.send({ method: 'notifications/tools/list_changed' })
    expect((await stream.message()).method).toBe('notifications/tools/list_changed')
  })

  it('waits for a server that is being restarted', async () => {
    const { port, server, proxy } = await setUp()
    server.die()
    const waiting = postModern(port, modernRequest('tools/call', { name: 'a' }))
    await proxy.attach(createScriptedServer().connection, never)
    expect((await waiting).json.result).toMatchObject({ resultType: 'complete' })
  })

  it('is told after a bounded wait that there is no server', async () => {
    const fixture = await startProxy({ limits: { backendWaitMs: 20 } })
    open.push(fixture.proxy)
    const { status, json } = await postModern(fixture.port, modernRequest('tools/list', {}, 'q'))
    expect({ status, id: json.id, data: json.error?.data }).toMatchObject({
      status: 503,
      id: 'q',
      data: { outcome: 'not-sent' },
    })
  })
})

describe('log messages for a Modern client of a Legacy server', () => {
  const wanting = (level: string): Record<string, unknown> => ({ name: 'a', _meta: { [logLevel]: level } })

  it('come on the stream of its call, from the level it asked for', async () => {
    const { port, server } = await setUp()
    server.on('tools/call', (_request, self) => {
      self.send({ method: 'notifications/message', params: { level: 'debug', data: 'too quiet' } })
      self.send({ method: 'notifications/message', params: { level: 'warning', data: 'loud' } })
      return {}
    })
    const reader = await openCall(port, modernRequest('tools/call', wanting('info')))
    expect((await reader.message()).params).toEqual({ level: 'warning', data: 'loud' })
    expect((await reader.message()).result).toBeDefined()
    expect(server.received.map(({ method }) => method).slice(-2)).toEqual(['logging/setLevel', 'tools/call'])
  })

  it('are dropped when they could be about the call of somebody else', async () => {
    const { port, server } = await setUp()
    server.on('tools/call', () => undefined)
    const answers = [1, 2].map((id) =>
      postModern(port, modernRequest('tools/call', { ...wanting('debug'), n: id }, id)),
    )
    const calls = await Promise.all([1, 2].map((n) => server.seen(({ params }) => params?.['n'] === n)))
    server.send({ method: 'notifications/message', params: { level: 'error', data: 'whose' } })
    for (const call of calls) server.answer(call, {})
    for (const { text } of await Promise.all(answers)) expect(text).not.toContain('whose')
  })

  it('are not sent to a call that asked for none', async () => {
    const { port, server } = await setUp()
    server.on('tools/call', (_request, self) => {
      self.send({ method: 'notifications/message', params: { level: 'error', data: 'loud' } })
      return {}
    })
    const { text } = await postModern(port, modernRequest('tools/call', { name: 'a' }))
    expect(text).not.toContain('loud')
  })

  it('are asked for at the most verbose level that anybody wants', async () => {
    const { port, server } = await setUp()
    const id = await initialize(port)
    await post(port, { id: 1, method: 'logging/setLevel', params: { level: 'info' } }, { 'mcp-session-id': id })
    await postModern(port, modernRequest('tools/call', wanting('error')))
    await postModern(port, modernRequest('tools/call', wanting('debug')))
    // What is told after a call has reached the server when the next call has.
    await postModern(port, modernRequest('tools/call', { name: 'a' }))
    const levels = server.received
      .filter(({ method }) => method === 'logging/setLevel')
      .map(({ params }) => params?.['level'])
    expect(levels).toEqual(['info', 'debug', 'info'])
  })
})

describe('a subscription of a Modern client', () => {
  it('begins with what is honoured, under the id of its request', async () => {
    const { port } = await setUp()
    const asked = { toolsListChanged: true, promptsListChanged: true, resourceSubscriptions: [uri, uri], unknown: true }
    for (const id of [5, 'five', 0]) {
      const reader = await listen(port, asked, id)
      expect(reader.response.headers['content-type']).toBe('text/event-stream')
      expect(await reader.message()).toEqual({
        jsonrpc: '2.0',
        method: 'notifications/subscriptions/acknowledged',
        params: {
          notifications: { toolsListChanged: true, resourceSubscriptions: [uri] },
          _meta: { [subscriptionId]: id },
        },
      })
    }
  })

  it('hears of what it asked for, and of nothing else', async () => {
    const { port, server } = await setUp()
    const tools = await listen(port, { toolsListChanged: true }, 1)
    const resources = await listen(port, { resourceSubscriptions: [uri] }, 2)
    await Promise.all([tools.message(), resources.message()])
    server.send({ method: 'notifications/message', params: { level: 'error', data: 1 } })
    server.send({ method: 'notifications/progress', params: { progressToken: 1, progress: 1 } })
    server.send({ method: 'notifications/resources/list_changed' })
    server.send({ method: 'notifications/resources/updated', params: { uri: 'test:b' } })
    server.send({
      method: 'notifications/resources/updated',
      params: { uri, x: 1, _meta: { [subscriptionId]: 9, k: 1 } },
    })
    server.send({ method: 'notifications/tools/list_changed' })
    expect(await tools.message()).toEqual({
      jsonrpc: '2.0',
      method: 'notifications/tools/list_changed',
      params: { _meta: { [subscriptionId]: 1 } },
    })
    expect((await resources.message()).params).toEqual({ uri, x: 1, _meta: { k: 1, [subscriptionId]: 2 } })
  })

  it('shares the resource subscriptions of sessions', async () => {
    const { port, server } = await setUp()
    const id = await initialize(port)
    const session = { 'mcp-session-id': id }
    const stream = await openEvents(port, '/mcp', session)
    readers.push(stream)
    await post(port, { id: 1, method: 'resources/subscribe', params: { uri } }, session)
    const reader = await listen(port, { resourceSubscriptions: [uri] })
    await reader.message()
    server.send({ method: 'notifications/resources/updated', params: { uri } })
    expect((await stream.message()).params).toEqual({ uri })
    expect((await reader.message()).params).toMatchObject({ uri })
    await post(port, { id: 2, method: 'resources/unsubscribe', params: { uri } }, session)
    const methods = (): (string | undefined)[] => server.received.map(({ method }) => method)
    expect(methods().filter((method) => method === 'resources/subscribe')).toHaveLength(1)
    expect(methods()).not.toContain('resources/unsubscribe')
    reader.close()
    expect((await server.seen(({ method }) => method === 'resources/unsubscribe')).params).toEqual({ uri })
  })

  it('does not promise what the server refuses', async () => {
    const { port, server } = await setUp()
    server.on('resources/subscribe', (request, self) => {
      if (request.params?.['uri'] !== 'test:no') return {}
      self.send({ id: request.id!, error: { code: -32602, message: 'no' } })
      return undefined
    })
    const reader = await listen(port, { resourceSubscriptions: ['test:no', uri] })
    expect((await reader.message()).params?.['notifications']).toEqual({ resourceSubscriptions: [uri] })
  })

  it('ends at once and in good order when nothing is honoured', async () => {
    const { port } = await setUp()
    const reader = await listen(port, { promptsListChanged: true })
    expect((await reader.message()).params?.['notifications']).toEqual({})
    expect(await reader.message()).toMatchObject({
      id: 5,
      result: { resultType: 'complete', _meta: { [subscriptionId]: 5 } },
    })
    expect(await reader.next()).toBeUndefined()
  })

  it('hears once of everything after a restart of the server, and goes on', async () => {
    const { port, server, proxy } = await setUp()
    const reader = await listen(port, { toolsListChanged: true, resourceSubscriptions: [uri] })
    await reader.message()
    server.die()
    const next = createScriptedServer()
    await proxy.attach(next.connection, never)
    expect((await reader.message()).method).toBe('notifications/tools/list_changed')
    expect((await reader.message()).params).toMatchObject({ uri, _meta: { [subscriptionId]: 5 } })
    expect((await next.seen(({ method }) => method === 'resources/subscribe')).params).toEqual({ uri })
    next.send({ method: 'notifications/resources/updated', params: { uri, n: 2 } })
    expect((await reader.message()).params).toMatchObject({ n: 2 })
  })

  it('is kept alive, and ended in good order with the proxy', async () => {
    const { port, proxy } = await setUp({ limits: { keepAliveMs: 5 } })
    const reader = await listen(port, { toolsListChanged: true })
    await reader.message()
    let text = ''
    reader.response.on('data', (piece: string) => {
      text += piece
    })
    await new Promise((resolve) => reader.response.once('data', resolve))
    expect(text).toMatch(/^: /)
    await proxy.close()
    expect(await reader.message()).toMatchObject({ id: 5, result: { resultType: 'complete' } })
  })

  it.each([[{ toolsListChanged: 1 }], [{ resourceSubscriptions: 'a' }], [[]]])(
    'is refused in band with the filter %j',
    async (notifications) => {
      const { port } = await setUp()
      const { status, json } = await postModern(port, modernRequest('subscriptions/listen', { notifications }))
      expect({ status, code: json.error?.code }).toEqual({ status: 200, code: -32602 })
    },
  )

  it('is refused above the limit, and takes place again when one has ended', async () => {
    const { port, server } = await setUp({ limits: { listens: 1 } })
    const first = await listen(port, { resourceSubscriptions: [uri] })
    await first.message()
    const message = modernRequest('subscriptions/listen', { notifications: { toolsListChanged: true } })
    expect((await postModern(port, message)).status).toBe(503)
    first.close()
    await server.seen(({ method }) => method === 'resources/unsubscribe')
    const second = await listen(port, { toolsListChanged: true })
    expect((await second.message()).method).toBe('notifications/subscriptions/acknowledged')
  })
})

describe('headers of a Modern client', () => {
  it('that differ from the body are refused before the server sees the call', async () => {
    const { port, server } = await setUp()
    const message = modernRequest('tools/call', { name: 'a' }, 'id')
    for (const headers of [
      { 'mcp-name': 'b' },
      { 'mcp-method': 'tools/list' },
      { 'mcp-protocol-version': '2025-11-25' },
    ]) {
      const { status, json } = await postModern(port, message, headers)
      expect({ status, code: json.error?.code, id: json.id }).toEqual({ status: 400, code: -32020, id: 'id' })
    }
    const future = { ...envelopeOf(), 'io.modelcontextprotocol/protocolVersion': '2030-01-01' }
    const unserved = await postModern(port, modernRequest('tools/list', { _meta: future }), {
      'mcp-protocol-version': '2030-01-01',
    })
    expect(unserved.json.error).toMatchObject({
      code: -32022,
      data: { supported: [modernVersion], requested: '2030-01-01' },
    })
    expect(server.received.map(({ method }) => method)).not.toContain('tools/call')
  })
})

function tokenOf({ params }: Wire): unknown {
  const meta: unknown = params?.['_meta']
  return typeof meta === 'object' && meta !== null && 'progressToken' in meta ? meta.progressToken : undefined
}
