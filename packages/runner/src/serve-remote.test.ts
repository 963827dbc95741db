import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { createWorkload, type RunConfig, type RunRequest, type StatusRecord } from '@thv/core'
import { createFakeMachine, selfPid, type FakeMachine } from '@thv/core/fakes'
import { createProxy, type Proxy } from '@thv/proxy'
import { makeCertificate } from './fixtures/make-certificate.ts'
import { normal, startScriptedRemote, status, type Behaviour, type ScriptedRemote } from './fixtures/scripted-remote.ts'
import { supervise } from './supervise.ts'
import type { SuperviseDeps, SuperviseResult } from './supervision.ts'

const open: (() => unknown)[] = []

afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

interface Stage {
  machine: FakeMachine
  remote: ScriptedRemote
  proxy: Proxy
  /** Statuses and reasons in the order in which they were written, without repetitions. */
  history: string[]
  reached: (status: string, reason?: string) => Promise<StatusRecord>
  end: () => Promise<SuperviseResult>
}

const intervalMs = 60
/** Long enough for a busy machine, unless the remote is to be silent. */
const timeoutMs = 2_000
const silenceMs = 500

/** A supervised remote workload in front of a scripted remote; time runs, but in short intervals. */
async function supervised(
  behaviour: Behaviour,
  options: {
    tls?: { key: string; cert: string }
    url?: string
    request?: Partial<RunRequest>
    files?: Record<string, string>
    ca?: string
    silent?: boolean
    threshold?: number
    /** Opens connections in the place of a proxy, given the port of the remote. */
    dial?: (port: number, target: { host: string; port: number }) => Promise<Socket>
  } = {},
): Promise<Stage> {
  const remote = await startScriptedRemote(options.tls)
  remote.behave = behaviour
  open.push(remote.down)
  const machine = createFakeMachine()
  const controller = new AbortController()
  const request = { args: [], environment: {}, labels: {}, name: 'a', ...options.request }
  const headers = options.request?.remote ?? {}
  await createWorkload(
    machine.deps,
    { request: { ...request, remote: { ...headers, url: options.url ?? remote.url } } },
    () => {},
    controller.signal,
  )
  const config: RunConfig = { ...machine.configs.get('a')!, port: 0 }
  if (options.ca !== undefined) config.thv_ca_bundle = '/ca.pem'
  if (options.threshold !== undefined) config.thv = { ...config.thv!, limits: { healthFailures: options.threshold } }
  machine.configs.set('a', config)
  machine.alive.set(selfPid, 'self')
  const history: string[] = []
  let proxy: Proxy | undefined
  const deps = buildDeps(machine, (made) => (proxy = made), {
    files: Object.assign(options.files ?? {}, { '/ca.pem': options.ca ?? '' }),
    healthTimeoutMs: options.silent === true || silent.has(behaviour) ? silenceMs : timeoutMs,
  })
  const { dial } = options
  if (dial !== undefined) deps.dialerOf = () => async (target) => await dial(remote.port, target)
  const { statuses } = machine.deps
  deps.statuses = {
    ...statuses,
    update: async (name, change, signal) => {
      const record = await statuses.update(name, change, signal)
      const word = `${record?.status} ${record?.thv?.reason}`
      if (history.at(-1) !== word) history.push(word)
      return record
    },
  }
  const ended = supervise(deps, 'a', () => {}, controller.signal)
  const end = async (): Promise<SuperviseResult> => {
    controller.abort()
    return await ended
  }
  open.push(end)
  await expect.poll(() => proxy?.address.port, { timeout: 5_000, interval: 5 }).toBeGreaterThan(0)
  const reached = async (wanted: string, reason?: string): Promise<StatusRecord> => {
    await expect
      .poll(
        () => {
          const record = machine.statuses.get('a')
          return `${record?.status} ${reason === undefined ? '' : record?.thv?.reason}`
        },
        { timeout: 8_000, interval: 5 },
      )
      .toBe(`${wanted} ${reason ?? ''}`)
    return machine.statuses.get('a')!
  }
  return { machine, remote, proxy: proxy!, history, reached, end }
}

function buildDeps(
  machine: FakeMachine,
  made: (proxy: Proxy) => void,
  { files, healthTimeoutMs }: { files: Record<string, string>; healthTimeoutMs: number },
): SuperviseDeps {
  return {
    ...machine.deps,
    clock: {
      now: () => new Date(),
      monotonicMs: () => performance.now(),
      sleep: async (ms, signal) => {
        await delay(ms, undefined, { signal })
      },
    },
    runtime: { deploy: () => Promise.reject(new Error('nothing is to be started')) },
    createProxy: (config) => {
      const proxy = createProxy({ ...config, listen: { host: '127.0.0.1', port: 0 } })
      made(proxy)
      return proxy
    },
    openJournal: async () => ({ load: () => new Map(), write: () => {}, delete: () => {} }),
    proxyLimits: { healthIntervalMs: intervalMs, healthRetryMs: intervalMs, healthTimeoutMs, remoteRedialMs: 20 },
    buildEnvironment: (extra) => extra,
    packageDirectory: '/',
    writeServerLine: () => {},
    network: () => 'home',
    dialerOf: () => undefined,
    readUserFile: async (path) => {
      if (files[path] === undefined) throw Object.assign(new Error('none'), { code: 'ENOENT' })
      return files[path]
    },
    environmentToken: undefined,
    logins: async () => await Promise.reject(new Error('no logins here')),
    log: () => {},
    random: () => 0.5,
  }
}

const hangs: Behaviour = () => true
const hangsAfterHead: Behaviour = (_req, res) => {
  res.writeHead(200, { 'content-type': 'application/json' })
  res.write('{')
  return true
}
const silent: ReadonlySet<Behaviour> = new Set([hangs, hangsAfterHead])
const cuts: Behaviour = (req) => {
  req.socket.destroy()
  return true
}
const loops: Behaviour = (req, res) => {
  res.writeHead(307, { location: req.url === '/mcp' ? '/again' : '/mcp' }).end()
  return true
}
const isHuge: Behaviour = (_req, res) => {
  res.writeHead(200, { 'content-type': 'application/json' })
  res.end(' '.repeat(2 * 1024 * 1024))
  return true
}

describe('a remote server that cannot be used', () => {
  it.each<[string, Behaviour, string, RegExp]>([
    ['answers 500', status(500), 'remote-server-error', /HTTP 500/],
    ['answers 503', status(503), 'remote-server-error', /HTTP 503/],
    ['hangs before its head', hangs, 'remote-timeout', /did not answer in time/],
    ['hangs after its head', hangsAfterHead, 'remote-timeout', /did not answer in time/],
    ['cuts the connection', cuts, 'remote-cut', /cut the connection/],
    ['redirects in a circle', loops, 'remote-redirects', /in a circle/],
    [
      'redirects elsewhere',
      status(302, { location: 'http://elsewhere.test/login?secret=1' }),
      'remote-redirects',
      /to http:\/\/elsewhere\.test$/,
    ],
    ['has a huge answer', isHuge, 'remote-not-mcp', /does not answer as an MCP server/],
    ['is a web page', status(200, { 'content-type': 'text/html' }, '<p>Log in</p>'), 'remote-not-mcp', /MCP server/],
    ['knows no such path', status(404), 'remote-not-mcp', /MCP server/],
    ['allows no method', status(405), 'remote-not-mcp', /MCP server/],
    ['asks for patience', status(429, { 'retry-after': '0' }), 'remote-rate-limited', /HTTP 429/],
  ])(
    '%s: unhealthy at the third failure, with the reason, and back when it recovers',
    async (_what, behaviour, reason, says) => {
      const began = performance.now()
      const probeMs = silent.has(behaviour) ? silenceMs : 0
      const { reached, remote, history } = await supervised(behaviour)
      const down = await reached('unhealthy', reason)
      // Three probes, two pauses, and a busy machine.
      expect(performance.now() - began).toBeLessThan(3 * probeMs + 2 * intervalMs + 8_000)
      expect(down.status_context).toMatch(/^Health check failed: /)
      expect(down.status_context).toMatch(says)
      expect(down.thv?.probes).toEqual([
        { reason, message: expect.stringMatching(says), since: expect.any(String), count: 3 },
      ])
      expect(down.thv?.last_error?.reason).toBe(reason)
      remote.behave = normal
      const up = await reached('running', 'serving')
      expect(up.status_context).toBeUndefined()
      expect(up.thv?.last_error?.reason).toBe(reason)
      expect(history).toEqual(['starting launching', `unhealthy ${reason}`, 'running serving'])
    },
  )

  it('refuses connections: unhealthy, and running when it listens', async () => {
    const { reached, remote } = await supervised(normal)
    await reached('running')
    await remote.down()
    await reached('unhealthy', 'remote-refused')
    await remote.up()
    await reached('running', 'serving')
  })

  it('has a name that nobody knows', async () => {
    const { reached } = await supervised(normal, { url: 'https://nobody.invalid/mcp' })
    await reached('unhealthy', 'remote-dns')
  })

  it('is reached through a proxy: its own certificate counts, and its own name is asked for', async () => {
    const tls = makeCertificate()
    const asked = new Set<string>()
    const { remote, reached, proxy } = await supervised(normal, {
      tls,
      ca: tls.cert,
      url: 'https://far.test/mcp',
      dial: async (port, { host, port: wanted }) => {
        asked.add(`${host}:${wanted}`)
        const socket = connect(port, '127.0.0.1')
        await once(socket, 'connect')
        return socket
      },
    })
    await reached('running', 'serving')
    expect((await call(proxy, 'initialize')).status).toBe(200)
    expect([...asked]).toEqual(['far.test:443'])
    expect(remote.seen.length).toBeGreaterThan(1)
  })

  it('is behind a proxy that fails: unhealthy, and nothing is said about the server', async () => {
    const { reached } = await supervised(normal, {
      url: 'https://far.test/mcp',
      dial: async () => {
        const cause = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })
        throw new Error('the proxy proxy.corp:3128 cannot reach far.test:443: refused', { cause })
      },
    })
    const { status_context: context } = await reached('unhealthy', 'remote-unreachable')
    expect(context).toContain('https://far.test cannot be used: the proxy proxy.corp:3128 cannot reach far.test:443')
  })

  it('has a certificate of an unknown authority: unhealthy; with that authority it runs', async () => {
    const tls = makeCertificate()
    const stranger = await supervised(normal, { tls })
    expect((await stranger.reached('unhealthy', 'remote-tls')).status_context).toMatch(/cannot be trusted/)
    const known = await supervised(normal, { tls, ca: tls.cert })
    await known.reached('running')
  })

  it('speaks no TLS', async () => {
    const { remote } = await supervised(normal)
    const { reached } = await supervised(normal, { url: remote.url.replace('http:', 'https:') })
    await reached('unhealthy', 'remote-tls')
  })

  it('sleeps until it is asked, and wakes slowly: unhealthy first, then running', async () => {
    let wakesAtMs = Infinity
    const sleepy: Behaviour = () => {
      wakesAtMs = Math.min(wakesAtMs, performance.now() + 6 * silenceMs)
      return performance.now() < wakesAtMs
    }
    const { reached, history } = await supervised(sleepy, { silent: true })
    await reached('running')
    expect(history).toEqual(['starting launching', 'unhealthy remote-timeout', 'running serving'])
  })

  it('names an endpoint on another host in the old transport, where no call is let go', async () => {
    const stream = { 'content-type': 'text/event-stream' }
    const strange = status(200, stream, 'event: endpoint\ndata: http://elsewhere.test/messages\n\n')
    const { reached, remote } = await supervised(strange, { request: { transport: 'sse' } })
    expect((await reached('unhealthy', 'remote-not-mcp')).status_context).toMatch(/endpoint is on another host/)
    remote.behave = status(200, stream, 'event: endpoint\ndata: /messages?sessionId=1\n\n')
    await reached('running', 'serving')
  })

  it('is judged by the threshold of its run config', async () => {
    const { reached } = await supervised(status(500), { threshold: 1 })
    expect((await reached('unhealthy')).thv?.probes?.[0]?.count).toBe(1)
  })

  it('tells another reason when it fails in another way, since the same moment', async () => {
    const { reached, remote } = await supervised(status(500))
    const { since } = (await reached('unhealthy', 'remote-server-error')).thv!
    remote.behave = cuts
    expect((await reached('unhealthy', 'remote-cut')).thv?.since).toBe(since)
  })

  it('is left alone for as long as it asks', async () => {
    const { reached, remote } = await supervised(status(429, { 'retry-after': '1' }))
    await expect.poll(() => remote.seen.length, { timeout: 5_000 }).toBeGreaterThan(0)
    const asked = remote.seen.length
    await delay(500)
    expect(remote.seen.length).toBe(asked)
    remote.behave = normal
    await reached('running')
  })
})

describe('a remote server that lives', () => {
  const onlyGet =
    (behaviour: Behaviour): Behaviour =>
    (req, res, body) =>
      req.method === 'GET' && behaviour(req, res, body)
  const slow: Behaviour = (req, res, body) => {
    if (req.headers['x-slow'] !== undefined) return false
    setTimeout(() => {
      if (!res.destroyed)
        status(400, { 'content-type': 'application/json' }, '{"jsonrpc":"2.0","error":{"code":-32000,"message":"no"}}')(
          req,
          res,
          body,
        )
    }, timeoutMs / 10)
    return true
  }
  const error = '{"jsonrpc":"2.0","error":{"code":-32600,"message":"no"},"id":null}'
  it.each<[string, Behaviour]>([
    ['answers GET with 404', onlyGet(status(404))],
    ['answers GET with 405', onlyGet(status(405))],
    ['answers GET with 500', onlyGet(status(500))],
    ['answers with a JSON-RPC error', status(400, { 'content-type': 'application/json' }, error)],
    ['is slow', slow],
    ['redirects to itself', (req, res) => req.url === '/mcp' && status(307, { location: '/real/' })(req, res, '')],
  ])('%s: running', async (_what, behaviour) => {
    const { reached, history, remote } = await supervised(behaviour)
    await reached('running')
    const asked = remote.seen.length
    await expect.poll(() => remote.seen.length, { timeout: 5_000 }).toBeGreaterThan(asked + 4)
    expect(history).toEqual(['starting launching', 'running serving'])
  })

  it('fails now and then, but never three times in a row: running all along', async () => {
    let count = 0
    const { history, remote, reached } = await supervised((req, res, body) => {
      count += 1
      return count % 3 !== 0 && req.headers['x-real'] === undefined && remoteFails(count)(req, res, body)
    })
    await reached('running')
    await expect.poll(() => remote.seen.length, { timeout: 5_000 }).toBeGreaterThan(15)
    expect(history).toEqual(['starting launching', 'running serving'])
  })
})

describe('a remote server that wants a login', () => {
  it.each([
    [401, 'remote-unauthorized'],
    [403, 'remote-forbidden'],
  ])('answers %i: unauthenticated at once, not down, and running when it lets us in', async (code, reason) => {
    const { reached, remote, history, proxy } = await supervised(status(code))
    expect((await reached('unauthenticated', reason)).status_context).toContain(`HTTP ${code}`)
    expect(history).toEqual(['starting launching', `unauthenticated ${reason}`])
    // A client may have a login of its own: it gets the answer of the remote server.
    expect((await call(proxy, 'tools/list')).status).toBe(code)
    remote.behave = normal
    await reached('running')
  })

  it('takes up a new token from the file, and sends it with every request', async () => {
    const files: Record<string, string> = { '/token': 'old\n' }
    const wants: Behaviour = (req, res, body) =>
      req.headers.authorization !== 'Bearer new' && status(401)(req, res, body)
    const request = { remote: { url: '', bearerTokenFile: '/token' } }
    const { reached, remote, proxy } = await supervised(wants, { files, request })
    const refused = await reached('unauthenticated', 'remote-unauthorized')
    expect(refused.status_context).toMatch(/^Bearer token authentication failed/)
    files['/token'] = 'new'
    await reached('running')
    remote.seen.length = 0
    await call(proxy, 'tools/list', { authorization: 'Bearer of a client' })
    expect(new Set(remote.seen.map(({ authorization }) => authorization))).toEqual(new Set(['Bearer new']))
    delete files['/token']
    // What was read before goes on being used for calls, but nobody is told that all is well.
    await reached('unauthenticated', 'token-unreadable')
  })
})

describe('calls while a remote server is down', () => {
  it('are refused at once with the reason and their id, also those that waited', async () => {
    const { reached, proxy } = await supervised(hangs)
    const waiting = call(proxy, 'tools/list')
    await reached('unhealthy')
    for (const answer of [await waiting, await timed(call(proxy, 'tools/list'))]) {
      expect(answer.status).toBe(503)
      expect(JSON.parse(answer.text)).toMatchObject({
        id: 7,
        error: { message: expect.stringContaining('did not answer in time'), data: { outcome: 'not-sent' } },
      })
    }
  })

  it('leave the session alone: it goes on afterwards, also on a server that has forgotten it', async () => {
    const { reached, remote, proxy } = await supervised(normal)
    await reached('running')
    const begun = await call(proxy, 'initialize')
    const id = begun.headers.get('mcp-session-id')!
    remote.behave = status(500)
    await reached('unhealthy')
    expect((await call(proxy, 'tools/list', { 'mcp-session-id': id })).status).toBe(503)
    remote.sessions.clear()
    remote.behave = normal
    await reached('running')
    const after = await call(proxy, 'tools/list', { 'mcp-session-id': id })
    expect([after.status, JSON.parse(after.text)]).toMatchObject([
      200,
      { id: 7, result: { tools: [{ name: 'echo' }] } },
    ])
  })

  it('do not keep a stop waiting', async () => {
    const { reached, end, machine } = await supervised(hangs)
    await reached('unhealthy')
    expect(await end()).toBe('stopped')
    expect(machine.statuses.get('a')).toMatchObject({ status: 'stopped', thv: { reason: 'stopped' } })
  })
})

function remoteFails(count: number): Behaviour {
  return count % 2 === 0 ? status(502) : cuts
}

async function call(
  proxy: Proxy,
  method: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; text: string; headers: Headers }> {
  const params =
    method === 'initialize'
      ? { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } }
      : {}
  const answer = await fetch(`http://127.0.0.1:${proxy.address.port}/mcp`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    body: JSON.stringify({ jsonrpc: '2.0', id: 7, method, params }),
  })
  return { status: answer.status, text: await answer.text(), headers: answer.headers }
}

async function timed<T>(work: Promise<T>): Promise<T> {
  const began = performance.now()
  const result = await work
  expect(performance.now() - began).toBeLessThan(2_000)
  return result
}
