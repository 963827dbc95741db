import { readFile } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { generations, type Connect, type Peer } from './clients.ts'
import { eventually, fixture, isAlive, openWorld, type World } from './harness.ts'
import { exchange } from './http.ts'

let world: World
let urls: Record<string, string>
let peers: Peer[] = []

const everything = 'npx://@modelcontextprotocol/server-everything'

/** A fiftieth of the defaults where a busy machine allows it. A call may take longer than all that leads to `unhealthy`. */
const settings = {
  TOOLHIVE_HEALTH_CHECK_INTERVAL: '300ms',
  TOOLHIVE_HEALTH_CHECK_RETRY_DELAY: '200ms',
  TOOLHIVE_HEALTH_CHECK_PING_TIMEOUT: '1s',
  TOOLHIVE_HEALTH_CHECK_FAILURE_THRESHOLD: '3',
}
const impatient = { ...settings, THV_LIMIT_HEALTH_BUSY_MS: '4000', THV_LIMIT_ANSWER_HEAD_MS: '4000' }

beforeAll(async () => {
  world = await openWorld()
  Object.assign(world.environment, settings)
  const http = ['--transport', 'streamable-http']
  await Promise.all([
    world.ok('run', '--name', 'stdio', everything, '--', 'stdio'),
    world.ok('run', '--name', 'http', ...http, everything, '--', 'streamableHttp'),
    world.ok('run', '--name', 'single-stdio', '--', ...fixture('stdio-server.mjs')),
    world.ok('run', '--name', 'single-http', ...http, '--', ...fixture('http-server.mjs')),
  ])
  urls = Object.fromEntries((await world.list()).map((workload) => [workload.name, workload.url]))
})

afterEach(async () => {
  await Promise.all(peers.map(async (peer) => await peer.close()))
  peers = []
})

afterAll(async () => {
  await world.close()
})

describe.each(generations)('a server that is stopped like a paused container, with %s connected', (_name, connect) => {
  it.each(['stdio', 'http'])('over %s is unhealthy, restarted and running, and its sessions go on', async (name) => {
    const peer = await open(connect, name)
    expect(await peer.text('echo', { message: 'before' })).toContain('before')
    await isStatus(name, 'running')
    const { pid } = await serverOf(name)
    for (const one of await familyOf(pid)) process.kill(one, 'SIGSTOP')
    const bad = await isStatus(name, 'unhealthy')
    expect(bad.thv?.reason).toBe('server-hung')
    const health = await exchange(new URL('/health', urls[name]).href, { method: 'GET' })
    expect([health.status, JSON.parse(health.text)]).toMatchObject([503, { status: 'unhealthy' }])
    const good = await isStatus(name, 'running')
    expect(good.thv).toMatchObject({ reason: 'serving', last_error: { reason: 'restarting' } })
    expect(good.thv?.server?.pid).not.toBe(pid)
    expect(await isAlive(pid)).toBe(false)
    expect(await peer.text('echo', { message: 'after' })).toContain('after')
    const { causes, probes }: Explained = JSON.parse(await world.ok('explain', name, '--format', 'json'))
    expect(probes.map(({ reason }) => reason)).toEqual(expect.arrayContaining(['serving', 'server-hung']))
    expect(causes.map(({ message }) => message).join('\n')).toContain('the server failed its health checks')
  })
})

describe.each(generations)('a call on a server that can do one thing at a time, with %s', (_name, connect) => {
  it.each(['single-stdio', 'single-http'])('on %s is waited for, although nothing else is answered', async (name) => {
    const peer = await open(connect, name)
    const { pid } = await serverOf(name)
    const call = peer.text('block', { ms: 8_000 })
    const busy = await isStatus(name, 'unhealthy')
    expect(busy.thv?.reason).toBe('server-busy')
    expect(await call).toBe('done')
    const { thv } = await isStatus(name, 'running')
    expect([thv?.server?.pid, thv?.reason]).toEqual([pid, 'serving'])
    expect(await peer.text('echo', { message: 'after' })).toBe('after')
  })
})

describe('a server that never comes back from a call', () => {
  it('is restarted when no call can take so long, and its client hears that the call may have run', async () => {
    const flags = ['--name', 'lost', '--', ...fixture('stdio-server.mjs')]
    const { code } = await world.run(['run', ...flags], {
      environment: { ...impatient, TOOLHIVE_PROXY_REQUEST_TIMEOUT: '5s' },
    })
    expect(code).toBe(0)
    urls['lost'] = (await world.list()).find(({ name }) => name === 'lost')!.url
    const peer = await open(generations[0]![1], 'lost')
    const { pid } = await serverOf('lost')
    const began = performance.now()
    const call = peer.text('block', { ms: 600_000 }).catch(String)
    expect((await isStatus('lost', 'unhealthy')).thv?.reason).toBe('server-busy')
    await eventually('it was restarted', 30_000, async () => ((await isAlive(pid)) ? undefined : true))
    // The longest that a call may take is the bound.
    expect(performance.now() - began).toBeGreaterThan(5_000)
    expect(await call).toMatch(/no answer within 5 s|may have run/)
    await isStatus('lost', 'running')
    expect(await peer.text('echo', { message: 'after' })).toBe('after')
  })
})

interface Explained {
  causes: { message: string }[]
  probes: { reason: string }[]
}

async function open(connect: Connect, name: string): Promise<Peer> {
  const peer = await connect(urls[name]!)
  peers.push(peer)
  return peer
}

async function serverOf(name: string): Promise<{ pid: number }> {
  return (await world.status(name)).thv!.server!
}

/** A process and its descendants: in a sandbox the server is one of them. */
async function familyOf(pid: number): Promise<number[]> {
  const found = [pid]
  for (const parent of found) {
    const children = await readFile(`/proc/${parent}/task/${parent}/children`, 'utf8').catch(() => '')
    found.push(...children.split(' ').filter(Boolean).map(Number))
  }
  return found
}

async function isStatus(name: string, wanted: string): ReturnType<World['status']> {
  return await eventually(`${name} is ${wanted}`, 30_000, async () => {
    const found = await world.status(name)
    return found.status === wanted ? found : undefined
  })
}
