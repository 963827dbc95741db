import { afterEach, describe, expect, it } from 'vitest'
import type { RemoteConnection } from '../proxy-config.ts'
import { startHttpServer, type Script, type ScriptedHttpServer } from '../testing/http-backend.ts'
import { never, startProxy } from '../testing/proxy-fixture.ts'

const open: (() => unknown)[] = []

afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

interface Stage {
  server: ScriptedHttpServer
  card: (signal?: AbortSignal) => Promise<string | undefined>
  /** Targets that were asked with GET. */
  targets: string[]
}

/** A server that has answered a look, and answers a GET with `script`. */
async function stage(script: Script, more: Partial<RemoteConnection> = {}): Promise<Stage> {
  const server = await startHttpServer()
  open.push(() => server.kill())
  const targets: string[] = []
  server.ownScript = (req, res, body) => {
    if (req.method !== 'GET') return false
    targets.push(req.url ?? '')
    return script(req, res, body)
  }
  const fixture = await startProxy({ config: { backend: 'http' }, limits: { cardMs: 1_000 } })
  open.push(() => fixture.proxy.close(0))
  const { origin } = server
  const connection: RemoteConnection = { kind: 'http', origin, transport: 'streamable-http', path: '/mcp', ...more }
  expect(await fixture.proxy.card(never)).toBeUndefined()
  expect(await fixture.proxy.look(connection, never)).toMatchObject({ kind: 'alive' })
  return { server, targets, card: async (signal = never) => await fixture.proxy.card(signal) }
}

const type = 'application/mcp-server-card+json'

function answering(text: string, contentType = type): Script {
  return (_req, res) => (res.writeHead(200, { 'content-type': contentType }).end(text), true)
}

describe('the server card of a remote server', () => {
  it('is read from beside its endpoint, with the query and the headers of the workload', async () => {
    const heard: unknown[] = []
    const { card, targets } = await stage(
      (req, res, body) => {
        heard.push(req.headers.accept, req.headers['x-key'], req.headers['mcp-session-id'])
        return answering('{"a":1}')(req, res, body)
      },
      { path: '/a/mcp/', query: 'key=1', headers: () => ({ 'x-key': 'k' }) },
    )
    expect(await card()).toBe('{"a":1}')
    expect(targets).toEqual(['/a/mcp/server-card?key=1'])
    expect(heard).toEqual([expect.stringMatching(/^application\/mcp-server-card\+json/), 'k', undefined])
  })

  it('is found where the server redirects to on the same origin', async () => {
    const { card, targets } = await stage((req, res, body) => {
      if (req.url === '/card.json') return answering('{}', 'application/json; charset=utf-8')(req, res, body)
      return (res.writeHead(302, { location: '/card.json' }).end(), true)
    })
    expect(await card()).toBe('{}')
    expect(targets).toEqual(['/mcp/server-card', '/card.json'])
  })

  it('is not looked for on another origin', async () => {
    const other = await startHttpServer()
    open.push(() => other.kill())
    let isAsked = false
    other.began = () => (isAsked = true)
    const { card } = await stage((_req, res) => (res.writeHead(302, { location: `${other.origin}/card` }).end(), true))
    expect(await card()).toBeUndefined()
    expect(isAsked).toBe(false)
  })

  const none: Record<string, Script> = {
    'there is none': (_req, res) => (res.writeHead(404).end(), true),
    'it is a page': answering('<p>', 'text/html'),
    'it is longer than the limit': answering('x'.repeat(65 * 1024)),
    'the connection is cut': (req) => (req.socket.destroy(), true),
    'nothing is said': () => true,
    'its body does not end': (_req, res) => (res.writeHead(200, { 'content-type': type }).write('{'), true),
    'it is a stream': (_req, res) => (res.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders(), true),
  }
  it.each(Object.entries(none))('is none, soon and without a word, where %s', async (_what, script) => {
    const { card } = await stage(script)
    const began = performance.now()
    expect(await card()).toBeUndefined()
    expect(performance.now() - began).toBeLessThan(5_000)
  })

  it('is none when it is not wanted any more', async () => {
    const { card } = await stage(() => true)
    const end = new AbortController()
    const reading = card(end.signal)
    end.abort()
    expect(await reading).toBeUndefined()
  })

  it.each([401, 403])('that is refused (%i) changes nothing about the login', async (code) => {
    const done: string[] = []
    const sent: unknown[] = []
    const { card } = await stage(
      (req, res) => {
        sent.push(req.headers.authorization)
        res.writeHead(code, { 'www-authenticate': 'Bearer error="insufficient_scope", scope="x"' }).end()
        return true
      },
      {
        login: {
          isOurs: () => true,
          authorization: () => 'Bearer t',
          renew: async () => (done.push('renew'), undefined),
          giveUp: () => (done.push('give up'), { message: 'no' }),
          lacks: () => (done.push('lacks'), { message: 'no' }),
        },
      },
    )
    expect(await card()).toBeUndefined()
    expect(sent).toEqual(['Bearer t'])
    expect(done).toEqual([])
  })
})
