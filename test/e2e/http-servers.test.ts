import { createServer } from 'node:net'
import { once } from 'node:events'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { generations, isProgressTo, realProblems, type Connect, type Peer } from './clients.ts'
import { eventually, fixture, openWorld, type World } from './harness.ts'
import { exchange } from './http.ts'

let world: World
let urls: Record<string, string>
let targetPort: number
let peers: Peer[] = []

const everything = 'npx://@modelcontextprotocol/server-everything'

beforeAll(async () => {
  world = await openWorld()
  targetPort = await freePort()
  const overHttp = ['--transport', 'streamable-http']
  const overSse = ['--transport', 'sse', '--target-port', String(targetPort)]
  await Promise.all([
    world.ok('run', '--name', 'streamable', '--transport', 'streamable-http', '--', ...fixture('http-server.mjs')),
    world.ok('run', '--name', 'sse', ...overSse, '--', ...fixture('http-server.mjs')),
    world.ok('run', '--name', 'everything-streamable', ...overHttp, everything, '--', 'streamableHttp'),
    world.ok('run', '--name', 'everything-sse', '--transport', 'sse', everything, '--', 'sse'),
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

describe('servers that speak HTTP themselves', () => {
  it('are listed with the URL that their transport has behind the proxy', () => {
    expect(urls['streamable']).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/mcp$/)
    expect(urls['sse']).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/sse#sse$/)
  })

  it('listen on the target port, which is not the port of the proxy', async () => {
    expect(new URL(urls['sse']!).port).not.toBe(String(targetPort))
    const answer = await exchange(`http://127.0.0.1:${targetPort}/other`, { method: 'GET' })
    expect(answer.status).toBe(405)
  })

  it.each(['streamable', 'sse'])('refuse a foreign host and a foreign origin with 403 (%s)', async (name) => {
    const url = new URL(urls[name]!)
    const get = async (headers: Record<string, string>) => (await exchange(url.href, { method: 'GET', headers })).status
    expect(await get({ host: 'example.test' })).toBe(403)
    expect(await get({ origin: 'https://example.test' })).toBe(403)
  })
})

describe.each(generations)('with %s', (_name, connect) => {
  it.each(['streamable', 'sse'])('the %s fixture lists and calls', async (name) => {
    const peer = await open(connect, name)
    expect((await peer.sdk.listTools()).tools.map((tool) => tool.name)).toEqual(['echo'])
    expect(await peer.text('echo', { message: 'through' })).toBe('through')
  })

  it.each(['everything-streamable', 'everything-sse'])('%s lists, calls and reports progress', async (name) => {
    const peer = await open(connect, name)
    expect((await peer.sdk.listTools()).tools.map((tool) => tool.name)).toContain('get-sum')
    expect(await peer.text('get-sum', { a: 20, b: 22 })).toBe('The sum of 20 and 22 is 42.')
    const steps: number[] = []
    await peer.call(
      'trigger-long-running-operation',
      { duration: 0.1, steps: 3 },
      { onprogress: ({ progress }) => void steps.push(progress) },
    )
    expect(steps).toSatisfy((heard: number[]) => isProgressTo(3, heard))
    expect(realProblems(peer)).toEqual([])
  })

  it('everything-streamable sends what it has to say without being asked', async () => {
    const peer = await open(connect, 'everything-streamable')
    await peer.sdk.setLoggingLevel('debug')
    await peer.call('toggle-simulated-logging')
    await peer.seen('notifications/message')
    await peer.call('toggle-simulated-logging')
  })

  it('two clients of everything-sse are told apart by the server', async () => {
    const [one, two] = [await open(connect, 'everything-sse'), await open(connect, 'everything-sse')]
    expect(await Promise.all([one.text('echo', { message: '1' }), two.text('echo', { message: '2' })])).toEqual([
      'Echo: 1',
      'Echo: 2',
    ])
  })
})

describe.each(['streamable', 'sse', 'everything-streamable', 'everything-sse'])('%s, when it is killed,', (name) => {
  it.each(generations)('is started again under the same URL and serves %s', async (_name, connect) => {
    const before = (await world.status(name)).thv!.server!.pid
    process.kill(before, 'SIGKILL')
    await eventually('the status says that it was restarted', 30_000, async () => {
      const { status, thv } = await world.status(name)
      return status === 'running' && thv?.server?.pid !== before ? true : undefined
    })
    expect((await world.list()).find((workload) => workload.name === name)?.url).toBe(urls[name])
    const peer = await open(connect, name)
    expect(await peer.text('echo', { message: 'again' })).toMatch(/again$/)
  })
})

async function open(connect: Connect, name: string): Promise<Peer> {
  const peer = await connect(urls[name]!)
  peers.push(peer)
  return peer
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
