import { afterEach, describe, expect, it } from 'vitest'
import type { RemoteConnection, RemoteLook } from '../proxy-config.ts'
import { startHttpServer, type ScriptedHttpServer } from '../testing/http-backend.ts'
import { never, startProxy } from '../testing/proxy-fixture.ts'

const open: (() => unknown)[] = []

afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

interface Stage {
  server: ScriptedHttpServer
  look: () => Promise<RemoteLook>
  /** Method, question and session of what the server was asked since the last look at this. */
  asked: () => string[]
}

/** A server of which nothing is known yet. `before` answers what it wants, as a gateway would. */
async function stage(before: (question: string, session: string | undefined) => number | undefined): Promise<Stage> {
  const server = await startHttpServer()
  open.push(() => server.kill())
  const seen: string[] = []
  server.ownScript = (req, res, body) => {
    const session = req.headers['mcp-session-id']
    const question = req.method === 'POST' ? (/"method":"([^"]+)"/.exec(body)?.[1] ?? '') : String(req.method)
    seen.push(
      session === undefined ? question : `${question} of ${session === 'thv-health-check' ? 'nobody' : 'a session'}`,
    )
    const status = before(question, session === undefined ? undefined : String(session))
    if (status === undefined) return false
    // Nobody ever answers what has no status.
    if (status > 0) res.writeHead(status, status === 400 ? { 'mcp-session-id': 'begun' } : {}).end()
    return true
  }
  const fixture = await startProxy({
    config: { backend: 'http' },
    limits: { healthTimeoutMs: 4_000, sessionEndMs: 50 },
  })
  open.push(() => fixture.proxy.close(0))
  const connection: RemoteConnection = { kind: 'http', origin: server.origin, transport: 'auto', path: '/mcp' }
  return {
    server,
    look: async () => await fixture.proxy.look(connection, never),
    asked: () => seen.splice(0).filter((line) => !line.startsWith('server/discover')),
  }
}

describe('a remote server that is asked for its health', () => {
  it('is asked as nobody once it is known, and keeps no session of ours', async () => {
    const { server, look, asked } = await stage(() => undefined)
    expect(await look()).toMatchObject({ kind: 'alive' })
    expect(asked()).toEqual(['initialize', 'DELETE of a session'])
    for (let i = 0; i < 3; i += 1) expect(await look()).toMatchObject({ kind: 'alive' })
    expect(asked()).toEqual(Array.from({ length: 3 }, () => 'ping of nobody'))
    expect(server.sessions.size).toBe(0)
  })

  it.each([401, 403, 404, 410])(
    'and answers nobody with %i, but a newcomer: it is alive, and asked so from then on',
    async (code) => {
      const { look, asked } = await stage((question, session) =>
        question !== 'ping' ? undefined : session === undefined ? 400 : code,
      )
      await look()
      asked()
      expect(await look()).toMatchObject({ kind: 'alive' })
      expect(asked()).toEqual(['ping of nobody', 'ping', 'DELETE of a session'])
      expect(await look()).toMatchObject({ kind: 'alive' })
      expect(asked()).toEqual(['ping', 'DELETE of a session'])
    },
  )

  it('and wants a login of everybody, is believed, and asked as nobody again', async () => {
    let isOpen = true
    const { look, asked } = await stage(() => (isOpen ? undefined : 401))
    await look()
    isOpen = false
    expect(await look()).toMatchObject({ kind: 'denied', code: 'unauthorized' })
    isOpen = true
    asked()
    expect(await look()).toMatchObject({ kind: 'alive' })
    expect(asked()).toEqual(['ping of nobody'])
  })

  it.each([405, 500, 0])('and cannot end a session (%i): it is alive all the same, and soon', async (code) => {
    const { look } = await stage((question) => (question === 'DELETE' ? code : undefined))
    const began = performance.now()
    expect(await look()).toMatchObject({ kind: 'alive' })
    expect(performance.now() - began).toBeLessThan(2_000)
  })
})
