import { Client as ClientV2, StreamableHTTPClientTransport as HttpV2 } from '@modelcontextprotocol/client'
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as HttpV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js'
import { afterEach, describe, expect, it } from 'vitest'
import { startEraServer, type EraServer, type ServedEra } from '../testing/era-servers.ts'
import { never, startProxy, type ProxyFixture } from '../testing/proxy-fixture.ts'
import { EventReader, fetchText, openResponse } from '../testing/http-client.ts'
import type { ProxyLimits } from '../limits.ts'

type Generation = 'v1' | 'v2 legacy' | 'v2 auto' | 'v2 modern'

interface Pair extends ProxyFixture {
  server: EraServer
}

interface AnyClient {
  listTools(): Promise<{ tools: { name: string }[] }>
  callTool(params: { name: string; arguments?: Record<string, unknown> }, ...rest: unknown[]): Promise<unknown>
  close(): Promise<void>
}

const open: { close(): Promise<unknown> }[] = []

afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close()
})

async function pair(era: ServedEra, limits: Partial<ProxyLimits> = {}): Promise<Pair> {
  const server = await startEraServer(era)
  open.push(server)
  const fixture = await startProxy({ config: { backend: 'http' }, limits })
  open.push(fixture.proxy)
  await fixture.proxy.attach({ kind: 'http', origin: server.origin, transport: 'streamable-http' }, never)
  return { ...fixture, server }
}

async function connect(port: number, generation: Generation): Promise<AnyClient> {
  const url = new URL(`http://127.0.0.1:${port}/mcp`)
  const about = { name: 'test', version: '1' }
  if (generation === 'v1') {
    const client = new ClientV1(about)
    open.push(client)
    await client.connect(new HttpV1(url))
    return client
  }
  const mode = generation === 'v2 legacy' ? 'legacy' : generation === 'v2 auto' ? 'auto' : { pin: '2026-07-28' }
  const client = new ClientV2(about, { versionNegotiation: { mode } as never })
  open.push(client)
  await client.connect(new HttpV2(url))
  return client
}

async function countTools(client: AnyClient): Promise<number> {
  return (await client.listTools()).tools.length
}

const generations: Generation[] = ['v1', 'v2 legacy', 'v2 auto', 'v2 modern']
const servers: ServedEra[] = ['legacy', 'modern', 'dual']

describe.each(servers)('a %s server behind HTTP', (era) => {
  it.each(generations)('lists and calls for a client %s', async (generation) => {
    const { port, server } = await pair(era)
    const client = await connect(port, generation)
    const { tools } = await client.listTools()
    expect(tools.map(({ name }) => name)).toEqual(['echo', 'region', 'slow'])
    for (const name of ['echo', 'region']) {
      const result = await client.callTool({ name, arguments: { text: 'grüße' } })
      expect(result).toMatchObject({ content: [{ type: 'text', text: '{"text":"grüße"}' }] })
    }
    expect(server.ran).toEqual([{ text: 'grüße' }, { text: 'grüße' }])
  })

  it.each(generations)(
    'sees the call end that a client %s cancels, and tells its progress before',
    async (generation) => {
      const { port, server } = await pair(era)
      const client = await connect(port, generation)
      await client.listTools()
      const abort = new AbortController()
      const seen: number[] = []
      const options = {
        signal: abort.signal,
        onprogress: ({ progress }: { progress: number }) => {
          seen.push(progress)
          if (progress === 3) abort.abort()
        },
      }
      const rest = generation === 'v1' ? [undefined, options] : [options]
      await expect(client.callTool({ name: 'slow' }, ...rest)).rejects.toThrow(/abort/i)
      // The SDK serves Legacy clients of a dual server without sessions, and there nothing can be cancelled.
      const hears = era !== 'dual' || generation.startsWith('v2 a') || generation === 'v2 modern'
      if (hears) await expect.poll(() => server.aborted).toEqual(['slow'])
      expect(seen.slice(0, 3)).toEqual([1, 2, 3])
      expect(server.ran).toHaveLength(1)
    },
  )
})

describe('a Modern client in front of a stateful Legacy server', () => {
  it('is served by one session of the proxy, whatever the number of clients', async () => {
    const { port, server, proxy } = await pair('legacy')
    const clients = await Promise.all([1, 2, 3].map(async () => await connect(port, 'v2 modern')))
    const texts = clients.map(async (client, index) => await client.callTool({ name: 'echo', arguments: { index } }))
    for (const [index, result] of (await Promise.all(texts)).entries()) {
      expect(result).toMatchObject({ content: [{ text: JSON.stringify({ index }) }] })
    }
    // One handshake to find out what is there, one for the session.
    expect(server.seen.filter((name) => name === 'POST initialize')).toHaveLength(2)
    expect(proxy.stats().sessions).toBe(0)
  })

  it('never notices that the server forgets the session: its call is sent again, and runs once', async () => {
    const { port, server } = await pair('legacy')
    const client = await connect(port, 'v2 modern')
    await client.callTool({ name: 'echo', arguments: { text: 'before' } })
    server.forget()
    const result = await client.callTool({ name: 'echo', arguments: { text: 'after' } })
    expect(result).toMatchObject({ content: [{ text: '{"text":"after"}' }] })
    expect(server.ran).toEqual([{ text: 'before' }, { text: 'after' }])
  })

  it('goes on with the next server', async () => {
    const { port, proxy } = await pair('legacy')
    const client = await connect(port, 'v2 modern')
    await client.listTools()
    proxy.detach('the server ended')
    const waiting = client.callTool({ name: 'echo', arguments: { text: 'next' } })
    const next = await startEraServer('legacy')
    open.push(next)
    await proxy.attach({ kind: 'http', origin: next.origin, transport: 'streamable-http' }, never)
    expect(await waiting).toMatchObject({ content: [{ text: '{"text":"next"}' }] })
    expect(next.ran).toEqual([{ text: 'next' }])
  })

  it('hears what it subscribed to', async () => {
    const { port, server } = await pair('legacy')
    const events = new EventReader(await openResponse({ port, ...listenRequest }))
    expect((await events.message())['method']).toBe('notifications/subscriptions/acknowledged')
    await expect.poll(() => server.seen).toContain('GET')
    server.toolsChanged()
    server.resourceUpdated('test://one')
    server.resourceUpdated('test://other')
    const heard = [await events.message(), await events.message()]
    expect(new Set(heard.map(({ method }) => method))).toEqual(
      new Set(['notifications/resources/updated', 'notifications/tools/list_changed']),
    )
    events.close()
    await expect.poll(() => server.seen).toContain('POST resources/unsubscribe')
  })
})

describe('a server that is updated in place', () => {
  it('from Modern to Legacy serves a Modern client after one refusal, and runs nothing twice', async () => {
    const { port, server } = await pair('modern', { eraPauseMs: 1 })
    const client = await connect(port, 'v2 modern')
    await client.callTool({ name: 'echo', arguments: { text: 'before' } })
    server.become('legacy')
    await expect(client.callTool({ name: 'echo', arguments: { text: 'lost' } })).rejects.toThrow(/initialized/)
    await expect.poll(() => server.seen.slice(-2)).toEqual(['POST initialize', 'DELETE'])
    const result = await client.callTool({ name: 'echo', arguments: { text: 'after' } })
    expect(result).toMatchObject({ content: [{ text: '{"text":"after"}' }] })
    expect(server.ran).toEqual([{ text: 'before' }, { text: 'after' }])
  })

  it('from Legacy to Modern serves a Legacy client after one refusal', async () => {
    const { port, server } = await pair('legacy', { eraPauseMs: 1 })
    await (await connect(port, 'v1')).listTools()
    server.become('modern')
    await expect(connect(port, 'v1')).rejects.toThrow(/version/)
    await expect.poll(async () => await connect(port, 'v1').then(countTools, () => 'refused')).toBe(3)
  })
})

describe('a Legacy client in front of a Modern server', () => {
  it('has a session with the proxy, which ends with it', async () => {
    const { port, proxy } = await pair('modern')
    const client = await connect(port, 'v1')
    await client.listTools()
    expect(proxy.stats().sessions).toBe(1)
    const answer = await fetchText({ port, method: 'DELETE', headers: { 'mcp-session-id': 'foreign' } })
    expect(answer.status).toBe(404)
  })

  it('goes on with its session and the next server', async () => {
    const { port, proxy } = await pair('modern')
    const client = await connect(port, 'v1')
    await client.listTools()
    proxy.detach('the server ended')
    const waiting = client.callTool({ name: 'echo', arguments: { text: 'next' } })
    const next = await startEraServer('modern')
    open.push(next)
    await proxy.attach({ kind: 'http', origin: next.origin, transport: 'streamable-http' }, never)
    expect(await waiting).toMatchObject({ content: [{ text: '{"text":"next"}' }] })
  })

  it('hears that the tools have changed', async () => {
    const { port, server } = await pair('modern')
    const client = new ClientV1({ name: 'test', version: '1' })
    open.push(client)
    let changes = 0
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => void (changes += 1))
    await client.connect(new HttpV1(new URL(`http://127.0.0.1:${port}/mcp`)))
    await expect.poll(() => server.seen).toContain('POST subscriptions/listen')
    await expect
      .poll(() => {
        server.toolsChanged()
        return changes
      })
      .toBeGreaterThan(0)
  })
})

const envelope = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
}
const modernHead = {
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
  'mcp-protocol-version': '2026-07-28',
}

const listenRequest = {
  method: 'POST',
  headers: { ...modernHead, 'mcp-method': 'subscriptions/listen' },
  body: JSON.stringify({
    jsonrpc: '2.0',
    id: 'mine',
    method: 'subscriptions/listen',
    params: { _meta: envelope, notifications: { toolsListChanged: true, resourceSubscriptions: ['test://one'] } },
  }),
}

describe.each(servers)('in front of a %s server', (era) => {
  it.each<[string, Record<string, string>, object, number]>([
    ['a batch', {}, [{ jsonrpc: '2.0', id: 1, method: 'tools/list', params: { _meta: envelope } }], -32600],
    ['another version in the header', { 'mcp-protocol-version': '2025-11-25' }, {}, -32020],
    ['another method in the header', { 'mcp-method': 'tools/call' }, {}, -32020],
    ['no method in the header', { 'mcp-method': '' }, {}, -32020],
    ['initialize', { 'mcp-method': 'initialize' }, { method: 'initialize', params: {} }, -32020],
    ['no envelope', {}, { params: {} }, -32602],
    [
      'a version that nobody serves',
      { 'mcp-protocol-version': '2099-01-01' },
      { params: { _meta: { ...envelope, 'io.modelcontextprotocol/protocolVersion': '2099-01-01' } } },
      -32022,
    ],
  ])('%s of a Modern client is refused without the server', async (_what, headers, change, code) => {
    const { port, server } = await pair(era)
    await expect.poll(() => server.seen).toContain('POST server/discover')
    const before = server.seen.length
    const whole = { jsonrpc: '2.0', id: 7, method: 'tools/list', params: { _meta: envelope }, ...change }
    const body = JSON.stringify(Array.isArray(change) ? change : whole)
    const answer = await fetchText({
      port,
      method: 'POST',
      path: '/mcp',
      headers: { ...modernHead, 'mcp-method': 'tools/list', ...headers },
      body,
    })
    expect([answer.status, JSON.parse(answer.text).error.code]).toEqual([400, code])
    expect(server.seen.slice(before)).toEqual([])
  })

  it("a session id of a Modern request is nobody's and changes nothing", async () => {
    const { port } = await pair(era)
    const answer = await fetchText({
      port,
      method: 'POST',
      path: '/mcp',
      headers: { ...modernHead, 'mcp-method': 'tools/list', 'mcp-session-id': 'foreign' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/list', params: { _meta: envelope } }),
    })
    expect(answer.status).toBe(200)
    expect(answer.headers).not.toHaveProperty('mcp-session-id')
  })

  it.each(['GET', 'DELETE'])('%s of a Modern client is refused with 405', async (method) => {
    const { port } = await pair(era)
    const answer = await fetchText({ port, method, path: '/mcp', headers: modernHead })
    expect([answer.status, answer.headers['allow']]).toEqual([405, 'POST, OPTIONS'])
  })
})
