import { afterEach, describe, expect, it } from 'vitest'
import { startHttpServer } from './testing/http-backend.ts'
import { bothTypes, fetchText, post, type TestResponse } from './testing/http-client.ts'
import { never, startProxy, startWithServer, type ProxyFixture } from './testing/proxy-fixture.ts'

const origin = 'http://localhost:6274'
let fixture: ProxyFixture

afterEach(async () => {
  await fixture.proxy.close()
})

describe('a page of an allowed origin', () => {
  it('gets its preflight answered', async () => {
    fixture = await startWithServer({ config: { allowedOrigins: ['HTTP://Localhost:6274/'] } })
    const { status, headers, text } = await preflight({
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type, Mcp-Param-City, x-api-key, bad name',
    })
    expect({ status, text }).toEqual({ status: 204, text: '' })
    expect(headers).toMatchObject({
      'access-control-allow-origin': origin,
      'access-control-allow-methods': 'GET, POST, DELETE, OPTIONS',
      vary: 'Origin',
    })
    expect(headers['access-control-allow-credentials']).toBeUndefined()
    const allowed = String(headers['access-control-allow-headers']).split(', ')
    expect(allowed).toEqual(
      expect.arrayContaining(['Mcp-Session-Id', 'MCP-Protocol-Version', 'Mcp-Method', 'Mcp-Name', 'Mcp-Param-City']),
    )
    expect(allowed).toContain('x-api-key')
    expect(allowed).not.toContain('bad name')
  })

  it('can read answers, refusals and their session', async () => {
    fixture = await startWithServer({ config: { allowedOrigins: [origin] } })
    const { port } = fixture
    const params = { protocolVersion: '2025-11-25', capabilities: {} }
    const answers = [
      await post(port, { id: 0, method: 'initialize', params }, { origin }),
      await post(port, 'no JSON', { origin }),
      await fetchText({ port, path: '/health', headers: { origin } }),
      await fetchText({ port, path: '/.well-known/oauth-protected-resource', headers: { origin } }),
    ]
    expect(answers.map(({ status }) => status)).toEqual([200, 400, 200, 404])
    for (const { headers } of answers) {
      expect(headers).toMatchObject({
        'access-control-allow-origin': origin,
        'access-control-expose-headers': 'Mcp-Session-Id, MCP-Protocol-Version',
        vary: 'Origin',
      })
    }
  })

  it('is told by the proxy, not by the server behind it, who may read', async () => {
    const server = await startHttpServer()
    server.script = (_req, res) => {
      res.writeHead(200, {
        'content-type': 'application/json',
        'Access-Control-Allow-Origin': '*',
        'access-control-allow-credentials': 'true',
        vary: 'Accept',
        'set-cookie': ['a=1', 'b=2'],
      })
      res.end('{}')
      return true
    }
    fixture = await startProxy({ config: { backend: 'http', allowedOrigins: [origin] } })
    await fixture.proxy.attach({ kind: 'http', origin: server.origin, transport: 'streamable-http' }, never)
    const { headers } = await post(fixture.port, { id: 1, method: 'x' }, { origin })
    expect(headers).toMatchObject({ 'access-control-allow-origin': origin, 'set-cookie': ['a=1', 'b=2'] })
    expect(headers['access-control-allow-credentials']).toBeUndefined()
    expect(String(headers.vary).split(', ').toSorted()).toEqual(['Accept', 'Origin'])
    await server.kill()
  })
})

it.each<[string, string | string[]]>([
  ['another origin', 'http://evil.test'],
  ['an origin that is no page', 'null'],
  ['two origins', [origin, 'http://evil.test']],
  ['the same origin twice', [origin, origin]],
])('%s is refused without a word for browsers', async (_what, given) => {
  fixture = await startWithServer({ config: { allowedOrigins: [origin] } })
  const { status, headers } = await post(fixture.port, { id: 1, method: 'ping' }, { origin: given })
  expect(status).toBe(403)
  expect(headers['access-control-allow-origin']).toBeUndefined()
})

it('a page is told nothing where no list of origins is checked', async () => {
  // A loopback address under a name that nobody takes for one.
  fixture = await startWithServer({ config: { listen: { host: '127.1', port: 0 } } })
  const { status, headers } = await post(fixture.port, { id: 1, method: 'ping' }, { origin })
  expect(status).toBe(200)
  expect(headers['access-control-allow-origin']).toBeUndefined()
})

it('a client that is no browser is told nothing', async () => {
  fixture = await startWithServer({ config: { allowedOrigins: [origin] } })
  const { headers } = await post(fixture.port, { id: 1, method: 'ping' })
  expect(Object.keys(headers).filter((name) => name.startsWith('access-control-') || name === 'vary')).toEqual([])
})

it('OPTIONS that is no preflight is answered as before', async () => {
  fixture = await startWithServer({ config: { allowedOrigins: [origin] } })
  expect((await preflight({})).status).toBe(405)
})

async function preflight(headers: Record<string, string>): Promise<TestResponse> {
  return await fetchText({ port: fixture.port, method: 'OPTIONS', headers: { origin, accept: bothTypes, ...headers } })
}
