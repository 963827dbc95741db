import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, it } from 'vitest'
import type { SessionJournal } from '../proxy-config.ts'
import { fetchText, initialize, openEvents, openResponse, post } from '../testing/http-client.ts'
import { connectAsking, startWithLanes } from '../testing/lane-fixture.ts'
import { createModernServer, type ModernServer } from '../testing/modern-server.ts'
import { never, startProxy, startWithServer, type ProxyFixture } from '../testing/proxy-fixture.ts'
import type { Wire } from '../testing/scripted-server.ts'

let proxies: ProxyFixture[] = []
let servers: Server[] = []

afterEach(async () => {
  await Promise.all(proxies.map(async ({ proxy }) => await proxy.close()))
  for (const server of servers) server.close().closeAllConnections()
  proxies = []
  servers = []
})

describe('a session on the shared server', () => {
  it('goes on in the next proxy, with its revision, its log level and its subscriptions', async () => {
    const journal = createJournal()
    const before = await startShared(journal)
    const id = await initialize(before.port, '2025-03-26')
    const headers = { 'mcp-session-id': id }
    await post(before.port, { id: 1, method: 'logging/setLevel', params: { level: 'warning' } }, headers)
    for (const uri of ['a:1', 'a:2']) {
      await post(before.port, { id: uri, method: 'resources/subscribe', params: { uri } }, headers)
    }
    await post(before.port, { id: 3, method: 'resources/unsubscribe', params: { uri: 'a:1' } }, headers)
    // Not closed: it was killed.
    const { port, server } = await startShared(journal)
    const batch = await fetchText({
      port,
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: '[{"jsonrpc":"2.0","id":1,"method":"ping"}]',
    })
    expect(batch.status).toBe(200)
    const told = [
      await server.seen(({ method }) => method === 'logging/setLevel'),
      await server.seen(({ method }) => method === 'resources/subscribe'),
    ].map(({ params }) => params)
    expect(told).toEqual([{ level: 'warning' }, { uri: 'a:2' }])
    const stream = await openEvents(port, '/mcp', headers)
    const missed = [await stream.message(), await stream.message()].map(({ method }) => method)
    expect(missed).toEqual(['notifications/tools/list_changed', 'notifications/resources/updated'])
    server.send({ method: 'notifications/message', params: { level: 'info', data: 'quiet' } })
    server.send({ method: 'notifications/message', params: { level: 'error', data: 'loud' } })
    expect((await stream.message()).params?.['data']).toBe('loud')
  })

  it('tells a Modern server in the next proxy what its client declared', async () => {
    const journal = createJournal()
    const capabilities = { extensions: { 'a/b': { big: 1 } }, roots: {} }
    const start = async (): Promise<{ port: number; server: ModernServer }> => {
      const started = await startProxy({ config: { journal } })
      proxies.push(started)
      const server = createModernServer()
      await started.proxy.attach(server.connection, never)
      return { port: started.port, server }
    }
    const before = await start()
    const params = { protocolVersion: '2025-11-25', capabilities }
    const { headers } = await post(before.port, { id: 0, method: 'initialize', params })
    const { port, server } = await start()
    await post(port, { id: 1, method: 'tools/call' }, { 'mcp-session-id': String(headers['mcp-session-id']) })
    const call = await server.seen(({ method }) => method === 'tools/call')
    expect(call.params?.['_meta']).toMatchObject({
      'io.modelcontextprotocol/clientCapabilities': { extensions: { 'a/b': { big: 1 } } },
    })
  })

  it('that ended is unknown to the next proxy, and nobody can read its id in the journal', async () => {
    const journal = createJournal()
    const before = await startShared(journal)
    const [ended, kept] = [await initialize(before.port), await initialize(before.port)]
    expect(JSON.stringify([...journal.records])).not.toContain(kept)
    await fetchText({ port: before.port, method: 'DELETE', headers: { 'mcp-session-id': ended } })
    const { port } = await startShared(journal)
    const statusOf = async (id: string): Promise<number> =>
      (await post(port, { id: 1, method: 'ping' }, { 'mcp-session-id': id })).status
    expect([await statusOf(ended), await statusOf(kept)]).toEqual([404, 200])
  })

  it('that was idle for too long is unknown to the next proxy', async () => {
    const journal = createJournal()
    const before = await startShared(journal)
    const id = await initialize(before.port)
    for (const [key, record] of journal.records) journal.records.set(key, { ...record, used: '1000' })
    const { port } = await startShared(journal)
    expect((await post(port, { id: 1, method: 'ping' }, { 'mcp-session-id': id })).status).toBe(404)
    expect(journal.records.size).toBe(0)
  })

  it('is written down before the client has its id', async () => {
    const journal = createJournal()
    const { port } = await startShared(journal)
    const order: string[] = []
    journal.onWrite = () => order.push('written')
    await initialize(port)
    order.push('answered')
    expect(order).toEqual(['written', 'answered'])
  })
})

describe('records that are no sessions', () => {
  it.each([
    ['of another kind', { kind: 'other', version: '2025-06-18' }],
    ['without a version', { kind: 'shared' }],
    ['of a client of its own without initialize', { kind: 'lane', version: '2025-06-18', initialize: '{}' }],
    ['of an HTTP server', { kind: 'http', path: '/mcp', backendPath: '/mcp', initialize: '{}' }],
  ])('%s are unknown sessions', async (_what, damage) => {
    const journal = createJournal()
    const before = await startShared(journal)
    const id = await initialize(before.port)
    for (const [key, { used = '' }] of journal.records) journal.records.set(key, { ...damage, used })
    const { port } = await startShared(journal)
    expect((await post(port, { id: 1, method: 'ping' }, { 'mcp-session-id': id })).status).toBe(404)
    expect((await post(port, { id: 1, method: 'ping' })).status).toBe(200)
  })
})

describe('a session with a server of its own', () => {
  it('opens it again with the next call, as the client left it, and is asked under new ids', async () => {
    const journal = createJournal()
    const before = await startWithLanes({ config: { journal } })
    proxies.push(before)
    const client = await connectAsking(before.port)
    await client.post({ id: 1, method: 'resources/subscribe', params: { uri: 'a:1' } })
    const question = async (fixture: typeof before): Promise<Wire> => {
      const lane = fixture.lanes[0]!.server
      const stream = await openEvents(fixture.port, '/mcp', client.headers)
      lane.send({ id: 'q', method: 'roots/list' })
      for (;;) {
        const message = await stream.message()
        if (message.method === 'roots/list') return message
      }
    }
    const first = await question(before)
    const after = await startWithLanes({ config: { journal } })
    proxies.push(after)
    const answer = await post(after.port, { id: 2, method: 'tools/call', params: {} }, client.headers)
    expect([answer.status, after.lanes.length]).toEqual([200, 1])
    const { received } = after.lanes[0]!.server
    expect(received.map(({ method }) => method)).toEqual([
      'initialize',
      'notifications/initialized',
      'resources/subscribe',
      'tools/call',
    ])
    expect(received[0]?.params).toEqual(before.lanes[0]!.server.received[0]?.params)
    expect((await question(after)).id).not.toBe(first.id)
  })
})

describe('a session of an HTTP server', () => {
  it('is taken up again in the next proxy, by a server that counts its sessions from 1', async () => {
    const journal = createJournal()
    const before = await startInFrontOf(await startCountingServer(), journal)
    const old = await initialize(before.port)
    expect(old).toBe('1')
    const web = await startCountingServer()
    const { port } = await startInFrontOf(web, journal)
    const young = await initialize(port)
    expect(young).not.toBe('1')
    const ask = async (id: string): Promise<string> =>
      String((await post(port, { id: 1, method: 'who' }, { 'mcp-session-id': id })).json.result?.['session'])
    expect([await ask(young), await ask(old), await ask(young)]).toEqual(['1', '2', '1'])
    await fetchText({ port, method: 'DELETE', headers: { 'mcp-session-id': old } })
    const third = await startInFrontOf(await startCountingServer(), journal)
    expect((await post(third.port, { id: 1, method: 'who' }, { 'mcp-session-id': old })).status).toBe(404)
  })
})

describe('the event stream of an HTTP server that refuses an event id', () => {
  const stream = { accept: 'text/event-stream', 'last-event-id': 'of-another-life' }

  it('is refused to a session that the server knows from the beginning', async () => {
    const { port } = await startInFrontOf(await startCountingServer(), createJournal())
    const headers = { ...stream, 'mcp-session-id': await initialize(port) }
    expect((await fetchText({ port, headers })).status).toBe(400)
  })

  it('goes on from now for a session that it has taken up again', async () => {
    const journal = createJournal()
    const before = await startInFrontOf(await startCountingServer(), journal)
    const headers = { ...stream, 'mcp-session-id': await initialize(before.port) }
    const { port } = await startInFrontOf(await startCountingServer(), journal)
    const answer = await openResponse({ port, headers })
    expect([answer.statusCode, answer.headers['content-type']]).toEqual([200, 'text/event-stream'])
    answer.destroy()
  })
})

interface TestJournal extends SessionJournal {
  records: Map<string, Record<string, string>>
  onWrite: () => void
}

function createJournal(): TestJournal {
  const journal: TestJournal = {
    records: new Map(),
    onWrite: () => undefined,
    load: () => new Map(journal.records),
    write: (key, changes) => {
      journal.onWrite()
      const record = { ...journal.records.get(key) }
      for (const [name, value] of Object.entries(changes)) {
        if (value === null) delete record[name]
        else record[name] = value
      }
      journal.records.set(key, record)
    },
    delete: (key) => void journal.records.delete(key),
  }
  return journal
}

async function startShared(journal: SessionJournal) {
  const fixture = await startWithServer({ config: { journal } })
  proxies.push(fixture)
  return fixture
}

async function startInFrontOf(origin: string, journal: SessionJournal): Promise<ProxyFixture> {
  const fixture = await startProxy({ config: { backend: 'http', journal } })
  proxies.push(fixture)
  await fixture.proxy.attach({ kind: 'http', origin, transport: 'streamable-http' }, never)
  return fixture
}

/** A server whose sessions are called 1, 2 and so on; its own readiness probes get none. */
async function startCountingServer(): Promise<string> {
  let sessions = 0
  const server = createServer((req, res) => {
    void respond(req, res, () => String((sessions += 1)))
  })
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return `http://127.0.0.1:${address.port}`
}

async function respond(req: IncomingMessage, res: ServerResponse, newId: () => string): Promise<void> {
  if (req.method === 'GET') {
    if (req.headers['last-event-id'] !== undefined) return void res.writeHead(400).end()
    return res.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
  }
  const message: Wire = JSON.parse((await text(req)) || '{}')
  if (message.id === undefined) return void res.writeHead(202).end()
  const reply = (result: object): string => JSON.stringify({ jsonrpc: '2.0', id: message.id, result })
  if (message.method !== 'initialize') {
    return void res.writeHead(200, json).end(reply({ session: req.headers['mcp-session-id'] }))
  }
  const body = reply({ protocolVersion: '2025-11-25', capabilities: {}, serverInfo: { name: 'web', version: '1' } })
  const isClient = message.params?.['clientInfo'] === undefined
  res.writeHead(200, isClient ? { ...json, 'mcp-session-id': newId() } : json).end(body)
}

const json = { 'content-type': 'application/json' }
