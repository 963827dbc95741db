import type { ServerResponse } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import type { Refusal, RemoteConnection, RemoteLogin } from '../proxy-config.ts'
import { startHttpServer, type Script, type ScriptedHttpServer } from '../testing/http-backend.ts'
import { fetchText, initialize, openEvents, post } from '../testing/http-client.ts'
import { modernRequest, postModern } from '../testing/modern-client.ts'
import { never, startProxy } from '../testing/proxy-fixture.ts'

const open: (() => unknown)[] = []

afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

/** A login whose tokens are numbered: what is renewed is the next number. */
class CountingLogin implements RemoteLogin {
  number = 1
  renewals = 0
  asked: readonly string[] = []
  isMine = true
  /** Why there is no other token. */
  refusal: Refusal | undefined
  #flight: Promise<void> | undefined

  isOurs = (): boolean => this.isMine
  authorization = (): string | undefined => (this.number === 0 ? undefined : `Bearer t${this.number}`)

  renew = async (refused: string | undefined): Promise<Refusal | undefined> => {
    if (this.refusal !== undefined) return this.refusal
    if (refused !== this.authorization()) return undefined
    this.#flight ??= this.#next()
    await this.#flight
    return undefined
  }

  async #next(): Promise<void> {
    await Promise.resolve()
    this.renewals += 1
    this.number += 1
    this.#flight = undefined
  }

  giveUp = (refused: string): Refusal => ({ message: `${refused} is refused too`, reason: 'login-needed' })

  lacks = (scopes: readonly string[]): Refusal => {
    this.asked = scopes
    return { message: `it wants ${scopes.join(' ')}`, reason: 'scope-missing', todo: "run 'thv login demo'" }
  }
}

const demand = { 'www-authenticate': 'Bearer realm="of the server", resource_metadata="https://as.test/x"' }

/** Only these tokens are let in. */
function letsIn(...tokens: string[]): Script {
  return (req, res) => {
    if (tokens.includes(String(req.headers.authorization).replace('Bearer ', ''))) return false
    res.writeHead(401, demand).end('who are you?')
    return true
  }
}

async function remote(script: Script, login = new CountingLogin(), more: Partial<RemoteConnection> = {}) {
  const server = await startHttpServer()
  open.push(() => server.kill().catch(() => undefined))
  server.script = script
  server.ownScript = script
  const fixture = await startProxy({ config: { backend: 'http' }, limits: { collectBytes: 1024, remoteRedialMs: 10 } })
  open.push(() => fixture.proxy.close(0))
  const connection: RemoteConnection = {
    kind: 'http',
    origin: server.origin,
    transport: 'auto',
    path: '/mcp',
    login,
    ...more,
  }
  return { ...fixture, server, login, connection, look: await fixture.proxy.look(connection, never) }
}

function tokensOf(server: ScriptedHttpServer): (string | undefined)[] {
  return server.seen.map(({ headers }) => headers.authorization)
}

describe('a remote server whose login is ours', () => {
  it('gets our token, and never what a client sends', async () => {
    const { port, server, look } = await remote(letsIn('t1'))
    expect(look.kind).toBe('alive')
    const id = await initialize(port)
    await post(port, { id: 1, method: 'tools/list' }, { 'mcp-session-id': id, authorization: 'Bearer of-a-client' })
    expect(new Set(tokensOf(server))).toEqual(new Set(['Bearer t1']))
  })

  it('refuses a token: the call is sent once more with a new one, and all who were refused share it', async () => {
    const { port, server, login } = await remote(letsIn('t1'))
    const id = await initialize(port)
    server.script = letsIn('t2')
    const calls = [1, 2, 3, 4].map((call) => post(port, { id: call, method: 'tools/list' }, { 'mcp-session-id': id }))
    expect((await Promise.all(calls)).map(({ status }) => status)).toEqual([200, 200, 200, 200])
    expect(login.renewals).toBe(1)
    expect(tokensOf(server).filter((token) => token === 'Bearer t2')).toHaveLength(4)
  })

  it('refuses the new one too: the client gets our error, and nothing of its demand', async () => {
    const { port, server } = await remote(letsIn('t1'))
    const id = await initialize(port)
    server.script = letsIn()
    const answer = await post(port, { id: 9, method: 'tools/list' }, { 'mcp-session-id': id })
    expect(answer).toMatchObject({
      status: 503,
      json: {
        id: 9,
        error: { message: expect.stringContaining('t2 is refused too'), data: { reason: 'login-needed' } },
      },
    })
    expect(answer.headers['www-authenticate']).toBeUndefined()
    expect(tokensOf(server)).toEqual(['Bearer t1', 'Bearer t1', 'Bearer t2'])
  })

  it('cannot be logged in to: refused with the reason and when to come again, also clients of the other era', async () => {
    const { port, server, login } = await remote(letsIn('t1'))
    const id = await initialize(port)
    server.script = letsIn()
    login.refusal = { message: 'no token for now', reason: 'token-refresh-delayed', todo: 'wait', retryAfterS: 10 }
    const answer = await post(port, { id: 9, method: 'tools/list' }, { 'mcp-session-id': id })
    expect(answer).toMatchObject({
      status: 503,
      json: { id: 9, error: { data: { outcome: 'not-sent', reason: 'token-refresh-delayed', todo: 'wait' } } },
    })
    expect(answer.headers['retry-after']).toBe('10')
    const bridged = await postModern(port, modernRequest('tools/list'))
    expect(JSON.stringify(bridged.json)).not.toContain('as.test')
    expect(bridged.status).not.toBe(401)
    const stream = await fetchText({
      port,
      path: '/mcp',
      headers: { 'mcp-session-id': id, accept: 'text/event-stream' },
    })
    expect([stream.status, stream.headers['www-authenticate']]).toEqual([503, undefined])
  })

  it('is not asked while there is no token, and asked as soon as there is one', async () => {
    const login = new CountingLogin()
    login.number = 0
    const { port, server, look } = await remote(letsIn('t1'), login)
    expect(look.kind).toBe('alive')
    await initialize(port)
    expect(tokensOf(server)).toEqual(['Bearer t1'])
  })

  it('does not get a streamed body twice: the client is told to send it again, with the new token in place', async () => {
    const { port, server, login } = await remote(letsIn('t1'))
    const id = await initialize(port)
    server.script = letsIn('t2')
    const message = { id: 1, method: 'tools/list', params: { text: 'x'.repeat(64 * 1024) } }
    expect(await post(port, message, { 'mcp-session-id': id })).toMatchObject({
      status: 503,
      headers: { 'retry-after': '1' },
      json: { error: { data: { todo: 'send the call again' } } },
    })
    expect(login.renewals).toBe(1)
    expect((await post(port, message, { 'mcp-session-id': id })).status).toBe(200)
  })

  it('keeps the stream of a session over a new token', async () => {
    const { port, server } = await remote(letsIn('t1', 't2'))
    const id = await initialize(port)
    const events = await openEvents(port, '/mcp', { 'mcp-session-id': id })
    server.script = letsIn('t2')
    const [first] = server.sessions.values()
    first?.destroy()
    await expect.poll(() => tokensOf(server).at(-1)).toBe('Bearer t2')
    await expect
      .poll(() => isOpen([...server.sessions.values()][0]) && [...server.sessions.values()][0] !== first)
      .toBe(true)
    ;[...server.sessions.values()][0]?.write('data: {"jsonrpc":"2.0","method":"hello"}\n\n')
    expect(await events.message()).toMatchObject({ method: 'hello' })
    events.close()
  })

  it('wants more scopes for a call: the client is told which, and other calls go on', async () => {
    const { port, server, login, proxy, connection } = await remote(letsIn('t1'))
    const id = await initialize(port)
    server.script = (_req, res, body) => {
      if (!body.includes('tools/call')) return false
      const header = 'Bearer error="insufficient_scope", scope="notes:write admin", resource_metadata="https://as.test"'
      res.writeHead(403, { 'www-authenticate': header }).end()
      return true
    }
    const answer = await post(port, { id: 3, method: 'tools/call' }, { 'mcp-session-id': id })
    expect(answer).toMatchObject({
      status: 403,
      json: { id: 3, error: { data: { reason: 'scope-missing', todo: "run 'thv login demo'", outcome: 'not-sent' } } },
    })
    expect(answer.headers['www-authenticate']).toBeUndefined()
    expect(login.asked).toEqual(['notes:write', 'admin'])
    expect((await post(port, { id: 4, method: 'tools/list' }, { 'mcp-session-id': id })).status).toBe(200)
    expect((await proxy.look(connection, never)).kind).toBe('alive')
  })

  it('forbids something for another reason: its own answer passes', async () => {
    const { port, server } = await remote(letsIn('t1'))
    const id = await initialize(port)
    server.script = (_req, res) => (res.writeHead(403).end('not for you'), true)
    const answer = await post(port, { id: 3, method: 'tools/call' }, { 'mcp-session-id': id })
    expect(answer.status).toBe(403)
  })

  it('redirects elsewhere: nothing is sent there', async () => {
    const elsewhere = await startHttpServer()
    open.push(() => elsewhere.kill())
    let asked = 0
    elsewhere.began = () => (asked += 1)
    const { port, server, look } = await remote(letsIn('t1'))
    expect(look.kind).toBe('alive')
    const id = await initialize(port)
    for (const status of [301, 302, 303, 307, 308]) {
      server.script = (_req, res) => (res.writeHead(status, { location: `${elsewhere.origin}/mcp` }).end(), true)
      const answer = await post(port, { id: 3, method: 'tools/list' }, { 'mcp-session-id': id })
      expect(answer.status).toBe(status)
    }
    server.ownScript = server.script
    expect(asked).toBe(0)
  })

  it('a client that leaves during a renewal ends its call there', async () => {
    const { port, proxy, server, login } = await remote(letsIn('t1'))
    const id = await initialize(port)
    server.script = letsIn()
    let settle = (): void => undefined
    login.renew = () => new Promise((resolve) => (settle = () => (login.number++, resolve(undefined))))
    const leaving = new AbortController()
    const left = fetch(`http://127.0.0.1:${port}/mcp`, {
      method: 'POST',
      signal: leaving.signal,
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-session-id': id,
      },
      body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}',
    }).catch(() => 'left')
    await expect.poll(() => tokensOf(server).length).toBe(2)
    leaving.abort()
    expect(await left).toBe('left')
    await expect.poll(() => proxy.stats().inFlight).toBe(0)
    settle()
    server.script = letsIn('t2')
    expect((await post(port, { id: 2, method: 'tools/list' }, { 'mcp-session-id': id })).status).toBe(200)
    expect(tokensOf(server)).toEqual(['Bearer t1', 'Bearer t1', 'Bearer t2'])
  })

  it('does not answer a probe in time because of a renewal: the probe ends in time all the same', async () => {
    const { proxy, server, login, connection } = await remote(letsIn('t1'))
    server.ownScript = letsIn()
    login.renew = () => new Promise(() => undefined)
    const controller = new AbortController()
    const looking = proxy.look(connection, controller.signal)
    setTimeout(() => controller.abort(new Error('enough')), 50)
    await expect(looking).rejects.toThrow('enough')
  })
})

describe('a remote server whose login is not ours', () => {
  it('logs clients in itself: its demand and their tokens pass as they are', async () => {
    const login = new CountingLogin()
    login.isMine = false
    const { port, server, look } = await remote(letsIn('mine'), login)
    expect(look).toMatchObject({ kind: 'denied', code: 'unauthorized' })
    const refused = await post(port, { id: 1, method: 'initialize' })
    expect([refused.status, refused.headers['www-authenticate']]).toEqual([401, demand['www-authenticate']])
    await post(port, { id: 1, method: 'ping' }, { authorization: 'Bearer mine' })
    expect(tokensOf(server)).toEqual([undefined, 'Bearer mine'])
    // From the next request on, once there has been a login.
    login.isMine = true
    await post(port, { id: 1, method: 'ping' }, { authorization: 'Bearer mine' })
    expect(tokensOf(server)[2]).toBe('Bearer t1')
  })
})

function isOpen(stream: ServerResponse | undefined): boolean {
  return stream !== undefined && !stream.destroyed
}
