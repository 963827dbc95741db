import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it, type TestContext } from 'vitest'
import type { HttpConnection } from '../proxy-config.ts'
import { fetchText, initialize, openEvents, post } from '../testing/http-client.ts'
import { startHttpServer, type Script, type ScriptedHttpServer } from '../testing/http-backend.ts'
import { modernRequest, postModern } from '../testing/modern-client.ts'
import { never, startProxy, type ProxyFixture } from '../testing/proxy-fixture.ts'
import { parseText } from '../mcp/message.ts'

const open: (() => unknown)[] = []

afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

interface Remote extends ProxyFixture {
  server: ScriptedHttpServer
  /** Method and target of what the proxy asked on its own. */
  own: string[]
}

/** A proxy in front of a configured URL, `/team/mcp?key=1` of a scripted server. */
async function remote(
  more: Partial<HttpConnection> = {},
  options: { tls?: { key: string; cert: string }; script?: Script; trusts?: boolean } = {},
): Promise<Remote> {
  const server = await startHttpServer(0, options.tls)
  open.push(() => server.kill().catch(() => undefined))
  const own: string[] = []
  server.ownScript = (req, res, body) => {
    own.push(`${req.method} ${req.url}`)
    return options.script?.(req, res, body) ?? false
  }
  const config = { backend: 'http', trustProxyHeaders: options.trusts === true } as const
  const fixture = await startProxy({ config, limits: { attachTimeoutMs: 1_000, redialMs: 10 } })
  open.push(() => fixture.proxy.close(0))
  const connection = { kind: 'http', origin: server.origin, transport: 'streamable-http' } as const
  await fixture.proxy.attach({ ...connection, path: '/team/mcp', query: 'key=1', ...more }, never)
  return { ...fixture, server, own }
}

describe('a configured URL', () => {
  it('takes the place of the path, and its query comes first', async () => {
    const { port, server } = await remote()
    for (const path of ['/mcp', '/mcp?a=b', '/team/mcp', '/team/mcp?key=2']) {
      const params = { protocolVersion: '2025-11-25' }
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params })
      const headers = { 'content-type': 'application/json', 'mcp-session-id': 'of-a-client' }
      expect((await fetchText({ port, method: 'POST', path, headers, body })).status).toBe(200)
    }
    const query = ['key=1', 'key=1&a=b', 'key=1', 'key=1&key=2']
    expect(server.seen.map(({ url }) => url)).toEqual(query.map((text) => `/team/mcp?${text}`))
    expect(server.seen.map(({ headers }) => headers['mcp-session-id'])).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ])
  })

  it('is the only one of its server that can be reached', async () => {
    const { port, server } = await remote()
    const id = await initialize(port)
    for (const path of ['/', '/admin', '/mcp/x', '/team', '/sse']) {
      for (const headers of [{}, { 'mcp-session-id': id, accept: 'text/event-stream' }]) {
        expect((await fetchText({ port, path, headers })).status).toBe(404)
      }
      expect((await fetchText({ port, path, method: 'POST', body: '{}' })).status).toBe(404)
    }
    expect(server.seen.map(({ method, url }) => `${method} ${url}`)).toEqual(['POST /team/mcp?key=1'])
  })

  it('may have no path and no query', async () => {
    const { port, server } = await remote({ path: '', query: '' })
    await initialize(port)
    expect(server.seen.map(({ url }) => url)).toEqual(['/'])
  })

  it('is where probes, sessions, streams and their revival go', async () => {
    const { port, server, own } = await remote()
    const id = await initialize(port)
    const events = await openEvents(port, '/mcp', { 'mcp-session-id': id })
    server.sessions.delete(id)
    expect((await post(port, { id: 1, method: 'tools/list' }, { 'mcp-session-id': id })).status).toBe(200)
    expect((await fetchText({ port, method: 'DELETE', headers: { 'mcp-session-id': id } })).status).toBe(200)
    events.close()
    expect(new Set([...own, ...server.seen.map(({ method, url }) => `${method} ${url}`)])).toEqual(
      new Set(['POST /team/mcp?key=1', 'GET /team/mcp?key=1', 'DELETE /team/mcp?key=1']),
    )
  })

  it.each([false, true])(
    'hears nothing of the name of the proxy, nor of its scheme (trusted headers: %s)',
    async (trusts) => {
      const { port, server } = await remote({}, { trusts })
      await post(
        port,
        { id: 1, method: 'initialize', params: {} },
        { 'x-forwarded-host': 'h', 'x-forwarded-proto': 'https' },
      )
      const { headers } = server.seen[0]!
      expect([headers.host, headers['x-forwarded-host'], headers['x-forwarded-proto']]).toEqual([
        `127.0.0.1:${server.port}`,
        undefined,
        'http',
      ])
      expect(headers['x-forwarded-for']).toBe('127.0.0.1')
    },
  )

  it('is where the bridge for Modern clients goes', async () => {
    const { port, own } = await remote()
    const { status, json } = await postModern(port, modernRequest('tools/list'))
    expect([status, json.result?.['resultType']]).toEqual([200, 'complete'])
    expect(own.filter((target) => !/^(POST|GET|DELETE) \/team\/mcp\?key=1$/.test(target))).toEqual([])
    expect(own).toContain('GET /team/mcp?key=1')
  })

  it.each(['/mcp', '/team/mcp'])('is where the bridge for Legacy clients goes that come to %s', async (path) => {
    const { port, own } = await remote({}, { script: answerModern })
    const body = {
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {} },
    }
    const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
    const { status, text } = await fetchText({ port, method: 'POST', path, headers, body: JSON.stringify(body) })
    expect([status, text]).toEqual([200, expect.stringContaining('"protocolVersion":"2025-11-25"')])
    expect(new Set(own)).toEqual(new Set(['POST /team/mcp?key=1']))
  })
})

describe('a configured URL of an SSE server', () => {
  const stream =
    (endpoint: string): Script =>
    (req, res) => {
      if (req.method !== 'GET') return (res.writeHead(202).end(), true)
      res.writeHead(200, { 'content-type': 'text/event-stream' }).write(`event: endpoint\ndata: ${endpoint}\n\n`)
      return true
    }

  it.each([
    ['messages?session_id=7', '/team/messages?session_id=7'],
    ['/messages?session_id=7', '/messages?session_id=7'],
    ['?session_id=7', '/team/events?session_id=7'],
  ])('that names its endpoint %s is posted to there', async (endpoint, told) => {
    const script = stream(endpoint)
    const { port, server } = await remote({ path: '/team/events', transport: 'sse' }, { script })
    server.script = script
    const events = await openEvents(port, '/sse')
    const data = (await events.next())?.data ?? ''
    expect(data).toBe(told)
    expect((await fetchText({ port, method: 'POST', path: data, body: '{}' })).status).toBe(202)
    events.close()
    const [path, query] = told.split('?')
    expect(server.seen.map(({ method, url }) => `${method} ${url}`)).toEqual([
      'GET /team/events?key=1',
      `POST ${path}?key=1&${query}`,
    ])
  })
})

describe('a configured URL with https', () => {
  it('is spoken to over TLS when its certificate is trusted', async (ctx) => {
    const tls = createCertificate(ctx)
    const { port, server } = await remote({ ca: tls.cert }, { tls })
    const id = await initialize(port)
    expect((await post(port, { id: 2, method: 'tools/list' }, { 'mcp-session-id': id })).status).toBe(200)
    expect(server.seen[0]?.headers['x-forwarded-proto']).toBe('https')
  })

  it('is not spoken to when it is not', async (ctx) => {
    const tls = createCertificate(ctx)
    await expect(remote({}, { tls })).rejects.toMatchObject({
      code: 'attach-timeout',
      cause: { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' },
    })
  })

  it('that redirects to http is not followed there', async (ctx) => {
    const tls = createCertificate(ctx)
    const { port, server } = await remote({ ca: tls.cert }, { tls })
    const plain = await startHttpServer()
    open.push(() => plain.kill())
    server.script = (_req, res) => (res.writeHead(307, { location: `${plain.origin}/team/mcp` }).end(), true)
    const { status, headers } = await post(port, { id: 1, method: 'initialize', params: {} })
    expect([status, headers.location]).toEqual([307, `${plain.origin}/team/mcp`])
    expect(server.seen).toHaveLength(1)
    // The same host and port, but in the clear.
    server.script = (_req, res) => (res.writeHead(307, { location: `http://127.0.0.1:${server.port}/x` }).end(), true)
    expect((await post(port, { id: 2, method: 'initialize', params: {} })).status).toBe(307)
    expect(server.seen).toHaveLength(2)
    server.script = (req, res) => req.url !== '/moved' && (res.writeHead(307, { location: '/moved' }).end(), true)
    expect((await post(port, { id: 3, method: 'initialize', params: {} })).status).toBe(200)
    expect(plain.seen).toEqual([])
  })
})

/** Refuses the handshake and answers `server/discover`, as a server without Legacy does. */
const answerModern: Script = (_req, res, body) => {
  const parsed = parseText(body)
  const { id, method } = parsed.kind === 'message' ? parsed.message.value : {}
  const isDiscover = method === 'server/discover'
  const result = { resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities: {} }
  const error = { code: -32022, message: 'no', data: { supported: ['2026-07-28'] } }
  res.writeHead(isDiscover ? 200 : 400, { 'content-type': 'application/json' })
  res.end(JSON.stringify({ jsonrpc: '2.0', id, ...(isDiscover ? { result } : { error }) }))
  return true
}

/** A certificate for 127.0.0.1 that signs itself. Skips the test where there is no openssl. */
function createCertificate(ctx: TestContext): { key: string; cert: string } {
  const directory = mkdtempSync(join(tmpdir(), 'thv-tls-'))
  open.push(() => rmSync(directory, { recursive: true }))
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
  const made = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1'.split(
    ' ',
  )
  const args = [...made, '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert]
  if (spawnSync('openssl', args, { stdio: 'ignore' }).status !== 0) ctx.skip('missing: openssl')
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
}
