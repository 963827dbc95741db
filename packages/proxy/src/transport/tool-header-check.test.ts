import { afterEach, describe, expect, it } from 'vitest'
import type { ProxyLimits } from '../limits.ts'
import type { Proxy } from '../proxy-config.ts'
import { fetchText } from '../testing/http-client.ts'
import { callModern, modernRequest, postModern } from '../testing/modern-client.ts'
import { createModernServer } from '../testing/modern-server.ts'
import { never, startProxy, type ProxyFixture } from '../testing/proxy-fixture.ts'
import { createScriptedServer, type ScriptedServer } from '../testing/scripted-server.ts'

const open: Proxy[] = []

afterEach(async () => {
  await Promise.all(open.splice(0).map((proxy) => proxy.close()))
})

async function setUp(server: ScriptedServer, limits: Partial<ProxyLimits> = {}): Promise<ProxyFixture> {
  const fixture = await startProxy({ limits })
  open.push(fixture.proxy)
  await fixture.proxy.attach(server.connection, never)
  return fixture
}

/** A server that lists one tool `search`, whose argument `region` has a header of the given name. */
function listing(header: string, server = createScriptedServer()): ScriptedServer {
  const properties = {
    region: { type: 'string', 'x-mcp-header': header },
    limit: { type: 'integer', 'x-mcp-header': 'Limit' },
  }
  const inputSchema = { type: 'object', properties }
  return server.on('tools/list', () => ({ resultType: 'complete', tools: [{ name: 'search', inputSchema }] }))
}

function count({ received }: ScriptedServer, method: string): number {
  return received.filter((message) => message.method === method).length
}

/** What came of a call of `search`: `ran`, or status and code of the refusal. */
async function search(port: number, args: unknown, headers: Record<string, string> = {}): Promise<string> {
  const { status, json } = await postModern(
    port,
    modernRequest('tools/call', { name: 'search', arguments: args }),
    headers,
  )
  return json.error === undefined ? 'ran' : `${status} ${json.error.code}`
}

const refused = '400 -32020'
const eu = { region: 'eu' }

describe.each([
  ['Legacy', () => createScriptedServer()],
  ['Modern', () => createModernServer()],
])('a call of a tool of a %s server whose arguments are repeated in headers', (_era, create) => {
  it.each([
    ['the same', eu, { 'mcp-param-region': 'eu' }, 'ran'],
    ['the same in Base64', eu, { 'mcp-param-region': '=?base64?ZXU=?=' }, 'ran'],
    ['another value', eu, { 'mcp-param-region': 'us' }, refused],
    ['no header', eu, {}, refused],
    ['Base64 without its padding', eu, { 'mcp-param-region': '=?base64?ZXU?=' }, refused],
    ['a header without an argument', {}, { 'mcp-param-region': 'eu' }, 'ran'],
    ['a header and null', { region: null }, { 'mcp-param-region': 'eu' }, 'ran'],
    ['no arguments', undefined, {}, 'ran'],
    ['the same integer', { limit: 5 }, { 'mcp-param-limit': '5.0' }, 'ran'],
    ['another integer', { limit: 5 }, { 'mcp-param-limit': '6' }, refused],
  ])('and which has %s', async (_what, args, headers, outcome) => {
    const server = listing('Region', create())
    const { port } = await setUp(server)
    expect(await search(port, args, headers)).toBe(outcome)
    expect(count(server, 'tools/call')).toBe(outcome === 'ran' ? 1 : 0)
  })

  it('costs one list for all of them, until the list changes or another server is there', async () => {
    const server = listing('Region', create())
    const { port, proxy } = await setUp(server)
    const first = await Promise.all([1, 2, 3].map(() => search(port, {})))
    expect([...first, await search(port, {})]).toEqual(['ran', 'ran', 'ran', 'ran'])
    expect(count(server, 'tools/list')).toBe(1)
    const next = listing('Zone', create())
    await proxy.attach(next.connection, never)
    expect(await search(port, eu, { 'mcp-param-region': 'eu' })).toBe(refused)
    expect(await search(port, eu, { 'mcp-param-zone': 'eu' })).toBe('ran')
    expect(count(next, 'tools/list')).toBe(1)
  })
})

describe('the list by which headers are checked', () => {
  it('is read again after the server said that it changed', async () => {
    const server = listing('Region')
    const { port } = await setUp(server)
    expect(await search(port, eu)).toBe(refused)
    listing('Zone', server).send({ method: 'notifications/tools/list_changed' })
    expect(await search(port, eu, { 'mcp-param-zone': 'eu' })).toBe('ran')
    expect(count(server, 'tools/list')).toBe(2)
  })

  it('is learned from when a client is listed something else than before', async () => {
    const server = listing('Region')
    const { port } = await setUp(server)
    expect(await search(port, eu)).toBe(refused)
    listing('Zone', server)
    await postModern(port, modernRequest('tools/list'))
    expect(await search(port, eu, { 'mcp-param-zone': 'eu' })).toBe('ran')
    server.on('tools/list', () => ({ tools: [{ name: 'search', inputSchema: { type: 'object' } }] }))
    await postModern(port, modernRequest('tools/list'))
    expect(await search(port, eu)).toBe('ran')
  })

  it('is read to its last page, and no further than the limit', async () => {
    const server = createScriptedServer()
    const tool = (name: string) => ({
      name,
      inputSchema: { type: 'object', properties: { region: { type: 'string', 'x-mcp-header': 'Region' } } },
    })
    server.on('tools/list', ({ params }) => {
      const page = Number(params?.['cursor'] ?? 0)
      return { tools: [tool(page === 2 ? 'search' : `other-${page}`)], nextCursor: String(page + 1) }
    })
    const { port } = await setUp(server, { toolPages: 3 })
    expect(await search(port, eu)).toBe(refused)
    expect(count(server, 'tools/list')).toBe(3)
  })

  it('says nothing about a tool whose annotation breaks the rules', async () => {
    const { port } = await setUp(listing('not a token'))
    expect(await search(port, { ...eu, limit: 5 })).toBe('ran')
  })

  it.each([
    ['does not come', () => undefined],
    [
      'is refused',
      (request: { id?: string | number }, self: ScriptedServer) => {
        self.send({ id: request.id ?? 0, error: { code: -32601, message: 'no' } })
        return undefined
      },
    ],
  ])('that %s holds up one call for a bounded time, and no other', async (_what, script) => {
    const server = createScriptedServer().on('tools/list', script)
    const { port } = await setUp(server, { toolListMs: 50 })
    expect(await search(port, eu)).toBe('ran')
    expect(await search(port, eu)).toBe('ran')
    expect(count(server, 'tools/list')).toBe(1)
  })

  it('is that of the next server when the first dies over it', async () => {
    const first = createScriptedServer().on('tools/list', (_request, self) => {
      self.die()
      return undefined
    })
    const { port, proxy } = await setUp(first)
    const call = search(port, eu)
    await first.seen(({ method }) => method === 'tools/list')
    const next = listing('Region')
    await proxy.attach(next.connection, never)
    expect(await call).toBe(refused)
    expect(count(next, 'tools/call')).toBe(0)
  })

  it('is that of the next server for a call that comes between two', async () => {
    const first = listing('Region')
    const { port, proxy } = await setUp(first)
    expect(await search(port, eu)).toBe(refused)
    proxy.detach('it is restarted')
    const call = search(port, eu, { 'mcp-param-zone': 'eu' })
    // Answered at once without a server, so the call before it waits by now.
    await fetchText({ port, method: 'GET', path: '/health' })
    await proxy.attach(listing('Zone').connection, never)
    expect(await call).toBe('ran')
  })

  it('is waited for in vain by a client that leaves: its call is not sent', async () => {
    const server = createScriptedServer().on('tools/list', () => undefined)
    const { port } = await setUp(server, { streamAfterMs: 1 })
    const reader = await callModern(port, modernRequest('tools/call', { name: 'search', arguments: {} }))
    const list = await server.seen(({ method }) => method === 'tools/list')
    reader.close()
    // The proxy has heard of the end of one connection when it has answered on a later one.
    await postModern(port, modernRequest('server/discover'))
    server.answer(list, { tools: [] })
    await postModern(port, modernRequest('tools/call', { name: 'another' }))
    const called = server.received.filter(({ method }) => method === 'tools/call')
    expect(called.map(({ params }) => params?.['name'])).toEqual(['another'])
  })
})
