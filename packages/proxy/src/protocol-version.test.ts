import { afterEach, describe, expect, it } from 'vitest'
import { startHttpServer } from './testing/http-backend.ts'
import { fetchText, post } from './testing/http-client.ts'
import { modernRequest, postModern } from './testing/modern-client.ts'
import { never, startProxy, startWithServer } from './testing/proxy-fixture.ts'

const open: (() => unknown)[] = []

afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

async function overStdio(strictProtocolValidation: boolean, serverVersion?: string): Promise<number> {
  const config = { strictProtocolValidation }
  const { port, proxy, server } = await startWithServer({ config, ...(serverVersion && { serverVersion }) })
  open.push(() => proxy.close(0))
  server.on('tools/list', () => ({ tools: [] }))
  return port
}

const versioned = (version: string): Record<string, string> => ({ 'mcp-protocol-version': version })
const list = { id: 1, method: 'tools/list' }
const listed = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25']

describe('strict validation of the version header', () => {
  it('lets the listed versions pass, and requests without the header', async () => {
    const port = await overStdio(true)
    for (const version of listed) expect((await post(port, list, versioned(version))).status).toBe(200)
    expect((await post(port, list)).status).toBe(200)
    expect((await postModern(port, modernRequest('tools/list'))).status).toBe(200)
  })

  it.each(['2024-10-07', '2026-01-01', '1.0', ''])('refuses %j, and names those that would do', async (version) => {
    const port = await overStdio(true)
    for (const method of ['GET', 'DELETE']) {
      expect((await fetchText({ port, method, headers: versioned(version) })).status).toBe(400)
    }
    const { status, json } = await post(port, list, versioned(version))
    expect([status, json.error]).toMatchObject([
      400,
      { code: -32000, data: { requested: version, supported: [...listed, '2026-07-28'] } },
    ])
  })

  it.each(['2027-01-01', 'x'])('refuses %s, which sorts after Modern, by the code of that era', async (version) => {
    const port = await overStdio(true)
    const { status, json } = await post(port, list, versioned(version))
    const data = { requested: version, supported: ['2026-07-28'] }
    expect([status, json.error]).toMatchObject([400, { code: -32022, data }])
  })

  it('refuses also what the server agreed to', async () => {
    for (const isStrict of [true, false]) {
      const port = await overStdio(isStrict, '2024-01-01')
      const initialize = { id: 1, method: 'initialize', params: { protocolVersion: '2024-01-01', capabilities: {} } }
      const { headers } = await post(port, initialize)
      const session = { 'mcp-session-id': String(headers['mcp-session-id']) }
      expect((await post(port, list, { ...session, ...versioned('2024-01-01') })).status).toBe(isStrict ? 400 : 200)
    }
  })

  it('keeps what it refuses from an HTTP server, which judges it otherwise', async () => {
    const server = await startHttpServer()
    open.push(() => server.kill())
    for (const strictProtocolValidation of [true, false]) {
      const { port, proxy } = await startProxy({ config: { backend: 'http', strictProtocolValidation } })
      open.push(() => proxy.close(0))
      await proxy.attach({ kind: 'http', origin: server.origin, transport: 'streamable-http' }, never)
      server.seen.length = 0
      const { status } = await post(port, { id: 1, method: 'initialize', params: {} }, versioned('2026-01-01'))
      expect([status, server.seen.length]).toEqual(strictProtocolValidation ? [400, 0] : [200, 1])
    }
  })

  it('holds for clients of the old SSE transport', async () => {
    const { port, proxy } = await startWithServer({ mode: 'sse', config: { strictProtocolValidation: true } })
    open.push(() => proxy.close(0))
    expect((await fetchText({ port, path: '/sse', headers: versioned('2026-01-01') })).status).toBe(400)
  })

  it('is not for health', async () => {
    const port = await overStdio(true)
    expect((await fetchText({ port, path: '/health', headers: versioned('2026-01-01') })).status).toBe(200)
  })
})

it('without it, what stands before a stdio server refuses unknown versions all the same', async () => {
  const port = await overStdio(false)
  expect((await post(port, list, versioned('2026-01-01'))).status).toBe(400)
  expect((await post(port, list, versioned('2024-10-07'))).status).toBe(200)
})
