import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { afterEach, describe, expect, it } from 'vitest'
import { startEraServer } from '../testing/era-servers.ts'
import { startHttpServer, type ScriptedHttpServer } from '../testing/http-backend.ts'
import { fetchText, post } from '../testing/http-client.ts'
import { modernRequest, postModern } from '../testing/modern-client.ts'
import { never, startProxy, startWithServer, type ProxyFixture } from '../testing/proxy-fixture.ts'
import type { ScriptedServer } from '../testing/scripted-server.ts'

const open: (() => unknown)[] = []

afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

const journal = {
  load: () => new Map([['x', { kind: 'http', used: '1' }]]),
  write: () => expect.unreachable('a session was written down'),
  delete: () => expect.unreachable('the journal was looked at'),
}

async function overStdio(): Promise<ProxyFixture & { server: ScriptedServer }> {
  const openLane = (): never => expect.unreachable('a server for one client was started')
  const fixture = await startWithServer({ config: { stateless: true, journal, openLane, era: 'legacy' } })
  open.push(() => fixture.proxy.close(0))
  return fixture
}

async function overHttp(origin: string, limits = {}): Promise<ProxyFixture> {
  const fixture = await startProxy({ config: { backend: 'http', stateless: true, journal }, limits })
  open.push(() => fixture.proxy.close(0))
  await fixture.proxy.attach({ kind: 'http', origin, transport: 'streamable-http' }, never)
  return fixture
}

async function overScripted(limits = {}): Promise<ProxyFixture & { server: ScriptedHttpServer }> {
  const server = await startHttpServer()
  open.push(() => server.kill())
  return { ...(await overHttp(server.origin, limits)), server }
}

async function refusesWhatNeedsSessions(port: number): Promise<void> {
  for (const method of ['GET', 'HEAD', 'DELETE']) {
    for (const headers of [{}, { 'mcp-session-id': 'x', accept: 'text/event-stream' }]) {
      const answer = await fetchText({ port, method, headers })
      expect([method, answer.status, answer.headers.allow]).toEqual([method, 405, 'POST, OPTIONS'])
    }
  }
}

describe('a stateless proxy before a stdio server', () => {
  it('refuses GET, HEAD and DELETE', async () => {
    const { port } = await overStdio()
    await refusesWhatNeedsSessions(port)
  })

  it('gives no session, whatever a client declares', async () => {
    const { port, proxy } = await overStdio()
    for (const capabilities of [{}, { elicitation: {}, sampling: {}, roots: {} }]) {
      const params = { protocolVersion: '2025-06-18', capabilities }
      const { status, headers, json } = await post(port, { id: 'a', method: 'initialize', params })
      expect([status, headers['mcp-session-id'], json.id]).toEqual([200, undefined, 'a'])
      expect(json.result).toMatchObject({ protocolVersion: '2025-06-18', capabilities: expect.anything() })
    }
    expect(proxy.stats().sessions).toBe(0)
  })

  it('serves every request on its own, whatever session it names', async () => {
    const { port, server, proxy } = await overStdio()
    server.on('tools/list', () => ({ tools: [] }))
    const headers = [{}, { 'mcp-session-id': 'foreign', 'mcp-protocol-version': '2025-11-25' }]
    const answers = await Promise.all(
      headers.map(async (some) => await post(port, { id: 1, method: 'tools/list' }, some)),
    )
    expect(answers.map(({ status, json }) => [status, json])).toEqual(
      headers.map(() => [200, { jsonrpc: '2.0', id: 1, result: { tools: [] } }]),
    )
    expect((await post(port, { method: 'notifications/initialized' }, headers[1])).status).toBe(202)
    expect((await postModern(port, modernRequest('tools/list'))).json.result).toMatchObject({ tools: [] })
    expect(proxy.stats().sessions).toBe(0)
  })
})

describe('a stateless proxy before an HTTP server', () => {
  it('refuses GET, HEAD and DELETE, and the server hears nothing', async () => {
    const { port, server } = await overScripted()
    await refusesWhatNeedsSessions(port)
    expect(server.seen).toEqual([])
  })

  it('tracks no sessions: ids are between client and server, but for initialize', async () => {
    const { port, server, proxy } = await overScripted()
    server.script = (_req, res) => (res.writeHead(200, { 'mcp-session-id': 'theirs' }).end('{}'), true)
    for (const method of ['initialize', 'tools/list']) {
      const { status, headers } = await post(port, { id: 1, method, params: {} }, { 'mcp-session-id': 'mine' })
      expect([status, headers['mcp-session-id']]).toEqual([200, 'theirs'])
    }
    expect(server.seen.map(({ headers }) => headers['mcp-session-id'])).toEqual([undefined, 'mine'])
    expect(proxy.stats().sessions).toBe(0)
  })

  it('is asked for its health in the name of nobody', async () => {
    const { proxy, server } = await overScripted()
    const asked = new Promise((resolve) => {
      server.ownScript = (req, res, body) => {
        if (body.includes('"ping"')) resolve([req.method, req.url, req.headers['mcp-session-id'], JSON.parse(body)])
        return (res.writeHead(404).end(), true)
      }
    })
    expect(await proxy.probe(never)).toMatchObject({ code: 'alive' })
    expect(await asked).toEqual(['POST', '/mcp', undefined, { jsonrpc: '2.0', id: 0, method: 'ping' }])
  })

  it('gives no session to Legacy clients of a Modern server', async () => {
    const server = await startEraServer('modern')
    open.push(() => server.close())
    const { port, proxy } = await overHttp(server.origin)
    const client = new Client({ name: 'test', version: '1' })
    open.push(() => client.close())
    const transport = new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${port}/mcp`))
    await client.connect(transport)
    expect((await client.listTools()).tools.length).toBeGreaterThan(0)
    expect([transport.sessionId, proxy.stats().sessions]).toEqual([undefined, 0])
  })

  it('serves Modern clients of a Legacy server', async () => {
    const server = await startEraServer('legacy')
    open.push(() => server.close())
    const { port } = await overHttp(server.origin)
    const { status, json } = await postModern(port, modernRequest('tools/list'))
    expect([status, json.result?.['resultType']]).toEqual([200, 'complete'])
  })
})
