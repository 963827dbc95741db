import { afterEach, describe, expect, it } from 'vitest'
import type { ProxyLimits } from '../limits.ts'
import type { ProxyConfig, ServerLane } from '../proxy-config.ts'
import type { EventReader } from '../testing/http-client.ts'
import { initialize, post } from '../testing/http-client.ts'
import { callModern, modernRequest, postModern } from '../testing/modern-client.ts'
import { createModernServer } from '../testing/modern-server.ts'
import { never, startWithServer, type ProxyFixture } from '../testing/proxy-fixture.ts'
import { createScriptedServer, type ScriptedServer } from '../testing/scripted-server.ts'

/** A second process that the proxy started. */
interface Second {
  server: ScriptedServer
  isClosed: boolean
  crash(): void
}

interface Fixture extends ProxyFixture {
  /** The process of the Legacy clients. */
  server: ScriptedServer
  seconds: Second[]
}

const open: Fixture[] = []
const readers: EventReader[] = []

afterEach(async () => {
  for (const reader of readers.splice(0)) reader.close()
  await Promise.all(open.splice(0).map(({ proxy }) => proxy.close()))
})

/** A proxy whose further processes are the servers that `make` gives. */
async function setUp(
  make: () => ScriptedServer,
  options: { limits?: Partial<ProxyLimits>; config?: Partial<ProxyConfig> } = {},
): Promise<Fixture> {
  const seconds: Second[] = []
  const openLane = async (): Promise<ServerLane> => {
    const server = make()
    let end: (reason: string) => void = () => undefined
    const ended = new Promise<string>((resolve) => {
      end = resolve
    })
    const crash = (): void => {
      server.die()
      end('crashed')
    }
    const second: Second = { server, isClosed: false, crash }
    seconds.push(second)
    const close = async (): Promise<void> => {
      second.isClosed = true
      end('closed')
    }
    return { input: server.input, output: server.output, ended, close }
  }
  const fixture = {
    ...(await startWithServer({ limits: options.limits ?? {}, config: { openLane, ...options.config } })),
    seconds,
  }
  open.push(fixture)
  return fixture
}

const dual = (): ScriptedServer => createModernServer({ legacy: true })
const call = (id = 1): ReturnType<typeof modernRequest> => modernRequest('tools/call', { name: 'a' }, id)

function methods(server: ScriptedServer | undefined): (string | undefined)[] {
  return server?.received.map(({ method }) => method) ?? []
}

describe('a server of both eras', () => {
  it('serves all Modern clients from one second process, and Legacy clients from the first', async () => {
    const { port, server, seconds } = await setUp(dual)
    const answers = await Promise.all([1, 2, 3].map((id) => postModern(port, call(id))))
    for (const { json } of answers)
      expect(json.result).toMatchObject({ _meta: expect.anything(), resultType: 'complete' })
    await post(
      port,
      { id: 1, method: 'tools/call', params: { name: 'l' } },
      { 'mcp-session-id': await initialize(port) },
    )
    expect(seconds).toHaveLength(1)
    expect(methods(seconds[0]?.server)).toEqual([
      'server/discover',
      'subscriptions/listen',
      'tools/list',
      ...Array(3).fill('tools/call'),
    ])
    expect(methods(server)).toEqual(['initialize', 'notifications/initialized', 'tools/call'])
  })

  it('has its second process ended when nobody uses it, and started again for the next call', async () => {
    const { port, seconds } = await setUp(dual, { limits: { laneIdleMs: 20 } })
    await postModern(port, call())
    await expect.poll(() => seconds[0]?.isClosed).toBe(true)
    expect((await postModern(port, call())).status).toBe(200)
    expect(seconds).toHaveLength(2)
  })

  it('keeps its second process while a client is subscribed', async () => {
    const { port, seconds } = await setUp(dual, { limits: { laneIdleMs: 10 } })
    const reader = await callModern(
      port,
      modernRequest('subscriptions/listen', { notifications: { toolsListChanged: true } }),
    )
    readers.push(reader)
    await reader.message()
    await new Promise((resolve) => setTimeout(resolve, 60))
    expect(seconds[0]?.isClosed).toBe(false)
    reader.close()
    await expect.poll(() => seconds[0]?.isClosed).toBe(true)
  })

  it('is started again after a crash: for the next call, and for whoever is subscribed', async () => {
    const { port, seconds } = await setUp(dual)
    await postModern(port, call())
    seconds[0]?.crash()
    expect((await postModern(port, call())).status).toBe(200)
    expect(seconds).toHaveLength(2)
    const reader = await callModern(
      port,
      modernRequest('subscriptions/listen', { notifications: { toolsListChanged: true } }),
    )
    readers.push(reader)
    await reader.message()
    seconds[1]?.crash()
    expect((await reader.message()).method).toBe('notifications/tools/list_changed')
    expect(seconds).toHaveLength(3)
  })

  it('is not started for ever when it crashes each time', async () => {
    const { port, server, seconds } = await setUp(dual, { limits: { laneCrashes: 2 } })
    for (let n = 0; n < 4; n += 1) {
      await postModern(port, call(n))
      seconds.at(-1)?.crash()
    }
    expect(seconds).toHaveLength(2)
    expect(methods(server)).toContain('tools/call')
  })

  it('ends with the proxy', async () => {
    const { port, seconds, proxy } = await setUp(dual)
    await postModern(port, call())
    await proxy.close()
    expect(seconds[0]?.isClosed).toBe(true)
  })
})

describe('the question whether a server speaks both eras', () => {
  const refusing = (): ScriptedServer => createScriptedServer()
  const silent = (): ScriptedServer => createScriptedServer().on('server/discover', () => undefined)
  const dying = (): ScriptedServer =>
    createScriptedServer().on('server/discover', (_request, self) => {
      self.die()
      return undefined
    })
  const old = (): ScriptedServer =>
    createScriptedServer().on('server/discover', () => ({ supportedVersions: ['2025-11-25'] }))
  const unsupporting = (): ScriptedServer =>
    createScriptedServer().on('server/discover', (request, self) => {
      self.send({ id: request.id!, error: { code: -32022, message: 'no', data: { supported: ['2025-11-25'] } } })
      return undefined
    })

  it.each([
    ['refuses it', refusing],
    ['is silent', silent],
    ['dies', dying],
    ['says that it is not', old],
    ['does not serve that version', unsupporting],
  ])('is asked once of a server that %s, whose Modern clients are served by translation', async (_title, make) => {
    const { port, server, seconds } = await setUp(make, { limits: { eraProbeMs: 30 } })
    for (const id of [1, 2]) {
      const { status, json } = await postModern(port, call(id))
      expect({ status, id: json.id }).toEqual({ status: 200, id })
    }
    expect(seconds.map(({ isClosed }) => isClosed)).toEqual([true])
    expect(methods(seconds[0]?.server)).toEqual(['server/discover'])
    expect(methods(server)).toEqual([
      'initialize',
      'notifications/initialized',
      'tools/list',
      'tools/call',
      'tools/call',
    ])
  })

  it('is asked again when the answer is too old, and when another server is attached', async () => {
    const { port, proxy, seconds } = await setUp(refusing, { limits: { eraVerdictMs: 1 } })
    await postModern(port, call())
    await new Promise((resolve) => setTimeout(resolve, 5))
    await postModern(port, call())
    expect(seconds).toHaveLength(2)
    const { port: second, proxy: other, seconds: asked } = await setUp(refusing)
    await postModern(second, call())
    await other.attach(createScriptedServer().connection, never)
    await postModern(second, call())
    expect(asked).toHaveLength(2)
    void proxy
  })

  it('is not asked without leave to start processes, nor when the era is given', async () => {
    const { port, seconds } = await setUp(dual, { config: { era: 'legacy' } })
    expect((await postModern(port, call())).status).toBe(200)
    expect(seconds).toHaveLength(0)
  })

  it('is taken as answered wrongly when a result has no type, which is given to the client and not asked for again', async () => {
    const lying = (): ScriptedServer => dual().on('tools/call', () => ({ content: [], from: 'second' }))
    const { port, server, seconds } = await setUp(lying, { limits: { laneIdleMs: 50 } })
    expect((await postModern(port, call())).json.result).toMatchObject({ from: 'second', resultType: 'complete' })
    expect(methods(seconds[0]?.server).filter((method) => method === 'tools/call')).toHaveLength(1)
    await expect.poll(() => seconds[0]?.isClosed).toBe(true)
    expect((await postModern(port, call())).json.result).not.toHaveProperty('from')
    expect(methods(server)).toContain('tools/call')
    expect(seconds).toHaveLength(1)
  })

  it('gets no more calls from then on, also while it is not idle', async () => {
    const lying = (): ScriptedServer => dual().on('tools/call', () => ({ content: [], from: 'second' }))
    const { port } = await setUp(lying)
    await postModern(port, call())
    expect((await postModern(port, call())).json.result).not.toHaveProperty('from')
  })

  it('has no more requests wait for it than there is room for', async () => {
    const silent = (): ScriptedServer => createModernServer().on('server/discover', () => undefined)
    const { port, seconds } = await setUp(silent, { limits: { waitingCalls: 1 } })
    const waiting = postModern(port, call())
    await expect.poll(() => methods(seconds[0]?.server)).toEqual(['server/discover'])
    const { status, json } = await postModern(port, call(2))
    expect({ status, outcome: json.error?.data?.['outcome'] }).toEqual({ status: 503, outcome: 'not-sent' })
    seconds[0]?.crash()
    expect((await waiting).status).toBe(200)
  })

  it('has what waits for it counted', async () => {
    const silent = (): ScriptedServer => createModernServer().on('server/discover', () => undefined)
    const { port, seconds } = await setUp(silent, { limits: { heldBytes: 100 } })
    expect((await postModern(port, call())).status).toBe(503)
    seconds[0]?.crash()
  })

  it('does not keep the process of a client that left from being used', async () => {
    const { port, seconds } = await setUp(dual)
    const left = await callModern(port, modernRequest('server/discover'))
    left.close()
    expect((await postModern(port, call())).status).toBe(200)
    expect(seconds).toHaveLength(1)
  })
})
