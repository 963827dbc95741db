import { afterEach, describe, expect, it } from 'vitest'
import type { ProxyConfig } from '../proxy-config.ts'
import { fetchText, openEvents, type EventReader, type TestResponse } from '../testing/http-client.ts'
import { startWithServer, type ProxyFixture } from '../testing/proxy-fixture.ts'
import type { ScriptedServer, Wire } from '../testing/scripted-server.ts'

let fixture: (ProxyFixture & { server: ScriptedServer }) | undefined

async function setUp(config: Partial<ProxyConfig> = {}): Promise<ProxyFixture & { server: ScriptedServer }> {
  fixture = await startWithServer({ mode: 'sse', limits: { requestTimeoutMs: 500 }, config })
  return fixture
}

afterEach(async () => {
  await fixture?.proxy.close()
  fixture = undefined
})

interface SseClient {
  events: EventReader
  path: string
  send(message: Wire | string): Promise<TestResponse>
}

async function connect(port: number): Promise<SseClient> {
  const events = await openEvents(port, '/sse')
  const endpoint = await events.next()
  const url = new URL(endpoint?.data ?? '')
  const path = url.pathname + url.search
  return {
    events,
    path,
    send: (message) =>
      fetchText({
        port,
        method: 'POST',
        path,
        headers: { 'content-type': 'application/json' },
        body: typeof message === 'string' ? message : JSON.stringify({ jsonrpc: '2.0', ...message }),
      }),
  }
}

describe('the SSE front door', () => {
  it('names the place to post to as an absolute URL of the host the client used', async () => {
    const { port } = await setUp()
    const events = await openEvents(port, '/sse', { host: `localhost:${port}` })
    const event = await events.next()
    expect(event?.event).toBe('endpoint')
    expect(event?.data).toMatch(new RegExp(`^http://localhost:${port}/messages\\?session_id=[0-9a-f-]{36}$`))
    events.close()
  })

  it.each([
    [{ endpointPrefix: '/team/' }, /^http:\/\/127\.0\.0\.1:\d+\/team\/messages\?/],
    [{}, /^http:\/\/127\.0\.0\.1:\d+\/messages\?/],
    [{ trustProxyHeaders: true }, /^http:\/\/pub\.example\/other\/messages\?/],
    [{ trustProxyHeaders: true, endpointPrefix: '/team' }, /^http:\/\/pub\.example\/team\/messages\?/],
  ])('with %j names it as a client behind another proxy sees it', async (config, wanted) => {
    const { port } = await setUp(config)
    const events = await openEvents(port, '/sse', { 'x-forwarded-host': 'pub.example', 'x-forwarded-prefix': '/other' })
    expect((await events.next())?.data).toMatch(wanted)
    events.close()
  })

  it('answers 202 Accepted and the response on the stream', async () => {
    const { port } = await setUp()
    const client = await connect(port)
    const accepted = await client.send({ id: 'i', method: 'initialize', params: { protocolVersion: '2024-11-05' } })
    expect([accepted.status, accepted.text]).toEqual([202, 'Accepted'])
    expect(await client.events.message()).toMatchObject({ id: 'i', result: { protocolVersion: '2024-11-05' } })
    client.events.close()
  })

  it('gives every client its own answers only', async () => {
    const { port, server } = await setUp()
    const held: Wire[] = []
    server.on('tools/call', (request) => {
      held.push(request)
      if (held.length === 20) for (const one of held.toReversed()) server.answer(one, { echo: one.params })
      return undefined
    })
    const clients = await Promise.all(Array.from({ length: 20 }, () => connect(port)))
    await Promise.all(clients.map((client, who) => client.send({ id: 1, method: 'tools/call', params: { who } })))
    server.send({ method: 'notifications/tools/list_changed' })
    for (const [who, client] of clients.entries()) {
      expect(await client.events.message()).toMatchObject({ id: 1, result: { echo: { who } } })
      expect((await client.events.message()).method).toBe('notifications/tools/list_changed')
      client.events.close()
    }
  })

  it('takes a batch apart', async () => {
    const { port } = await setUp()
    const client = await connect(port)
    await client.send('[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping"}]')
    expect([(await client.events.message()).id, (await client.events.message()).id]).toEqual([1, 2])
    client.events.close()
  })

  it('reports a timeout as an event', async () => {
    const { port, server } = await setUp()
    server.on('tools/call', () => undefined)
    const client = await connect(port)
    await client.send({ id: 5, method: 'tools/call' })
    expect(await client.events.message()).toMatchObject({ id: 5, error: { code: -32000 } })
    client.events.close()
  })

  it('ends the session with the stream', async () => {
    const { port, proxy } = await setUp()
    const client = await connect(port)
    client.events.close()
    while (proxy.stats().sessions > 0) await new Promise((resolve) => setImmediate(resolve))
    expect((await client.send({ id: 1, method: 'ping' })).status).toBe(404)
  })

  it('refuses what it does not know', async () => {
    const { port } = await setUp()
    const status = async (method: string, path: string): Promise<number> =>
      (await fetchText({ port, method, path })).status
    expect(await status('POST', '/messages')).toBe(400)
    expect(await status('POST', '/messages?session_id=x')).toBe(404)
    expect(await status('GET', '/messages')).toBe(405)
    expect(await status('POST', '/sse')).toBe(405)
    expect(await status('POST', '/mcp')).toBe(404)
    const client = await connect(port)
    expect((await client.send('{')).status).toBe(400)
    client.events.close()
  })

  it('lets a call in flight end before it closes', async () => {
    const { port, server, proxy } = await setUp()
    server.on('tools/call', () => undefined)
    const client = await connect(port)
    await client.send({ id: 1, method: 'tools/call' })
    const sent = await server.seen(({ method }) => method === 'tools/call')
    const closing = proxy.close(5_000)
    server.answer(sent, { done: true })
    expect((await client.events.message()).result).toEqual({ done: true })
    await closing
  })
})
