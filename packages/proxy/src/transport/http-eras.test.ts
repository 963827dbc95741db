import { Client as ClientV2, StreamableHTTPClientTransport as HttpV2 } from '@modelcontextprotocol/client'
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as HttpV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { afterEach, describe, expect, it } from 'vitest'
import { startEraServer, type EraServer, type ServedEra } from '../testing/era-servers.ts'
import { never, startProxy, type ProxyFixture } from '../testing/proxy-fixture.ts'
import { fetchText } from '../testing/http-client.ts'
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
  for (const one of open.splice(0).reverse()) await one.close()
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
    await client.connect(new HttpV1(url) as Parameters<ClientV1['connect']>[0])
    return client as AnyClient
  }
  const mode = generation === 'v2 legacy' ? 'legacy' : generation === 'v2 auto' ? 'auto' : { pin: '2026-07-28' }
  const client = new ClientV2(about, { versionNegotiation: { mode } as never })
  open.push(client)
  await client.connect(new HttpV2(url))
  return client as unknown as AnyClient
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
      await expect(client.callTool({ name: 'slow' }, ...rest)).rejects.toThrow()
      await expect.poll(() => server.aborted).toEqual(['slow'])
      expect(seen.slice(0, 3)).toEqual([1, 2, 3])
      expect(server.ran).toHaveLength(1)
    },
  )
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

describe.each(servers)('in front of a %s server', (era) => {
  it.each<[string, Record<string, string>, object, number, number]>([
    ['a batch', {}, [{ jsonrpc: '2.0', id: 1, method: 'tools/list', params: { _meta: envelope } }], 400, -32600],
    ['another version in the header', { 'mcp-protocol-version': '2025-11-25' }, {}, 400, -32020],
    ['another method in the header', { 'mcp-method': 'tools/call' }, {}, 400, -32020],
    ['no method in the header', { 'mcp-method': '' }, {}, 400, -32020],
    ['initialize', { 'mcp-method': 'initialize' }, { method: 'initialize', params: {} }, 400, -32020],
    ['no envelope', {}, { params: {} }, 400, -32602],
    [
      'a version that nobody serves',
      { 'mcp-protocol-version': '2099-01-01' },
      { params: { _meta: { ...envelope, 'io.modelcontextprotocol/protocolVersion': '2099-01-01' } } },
      400,
      -32022,
    ],
  ])('%s of a Modern client is refused without the server', async (_what, headers, change, status, code) => {
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
    expect([answer.status, JSON.parse(answer.text).error.code]).toEqual([status, code])
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
