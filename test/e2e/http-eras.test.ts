import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { connectV1, connectV2, type Peer } from './clients.ts'
import { eventually, fixture, openWorld, type World } from './harness.ts'

const everything = 'npx://@modelcontextprotocol/server-everything@2026.8.31'
const names = ['legacy', 'modern', 'dual'] as const

/** What the tests need of a client of any era. */
interface AnyClient {
  tools(): Promise<{ name: string }[]>
  echo(message: string): Promise<string | undefined>
  close(): Promise<void>
}

let world: World
let urls: Record<string, string>
const clients: AnyClient[] = []

beforeAll(async () => {
  world = await openWorld()
  const overHttp = ['--transport', 'streamable-http']
  const modern = fixture('http-eras-server.mjs')
  await Promise.all([
    world.ok('run', '--name', 'legacy', ...overHttp, everything, '--', 'streamableHttp'),
    world.ok('run', '--name', 'modern', ...overHttp, '--', ...modern),
    world.ok('run', '--name', 'dual', ...overHttp, '--env', 'MODERN_LEGACY=stateless', '--', ...modern),
  ])
  urls = Object.fromEntries((await world.list()).map((workload) => [workload.name, workload.url]))
})

afterEach(async () => {
  await Promise.all(clients.splice(0).map(async (client) => await client.close()))
})

afterAll(async () => {
  await world.close()
})

const kinds: [string, (url: string) => Promise<AnyClient>][] = [
  ['SDK v1', async (url) => fromPeer(await connectV1(url))],
  ['SDK v2, Legacy', async (url) => fromPeer(await connectV2(url))],
  ['SDK v2, Modern', connectModern],
]

describe.each(names)('a %s server behind HTTP', (name) => {
  it.each(kinds)('lists and calls for %s, also after it was killed', async (_kind, connect) => {
    const client = await connect(urls[name] ?? '')
    clients.push(client)
    expect((await client.tools()).map((tool) => tool.name)).toContain('echo')
    expect(await client.echo('before')).toMatch(/before$/)
    const before = (await world.status(name)).thv?.server?.pid
    process.kill(before ?? 0, 'SIGKILL')
    await eventually('the status says that it was restarted', 30_000, async () => {
      const { status, thv } = await world.status(name)
      return status === 'running' && thv?.server?.pid !== before ? true : undefined
    })
    expect(await client.echo('after')).toMatch(/after$/)
  })
})

async function connectModern(url: string): Promise<AnyClient> {
  const client = new Client({ name: 'modern', version: '1' }, { versionNegotiation: { mode: { pin: '2026-07-28' } } })
  await client.connect(new StreamableHTTPClientTransport(new URL(url)))
  return {
    tools: async () => (await client.listTools()).tools,
    echo: async (message) => {
      const { content } = await client.callTool({ name: 'echo', arguments: { message } })
      const [first] = content
      return first?.type === 'text' ? first.text : undefined
    },
    close: async () => await client.close(),
  }
}

function fromPeer(peer: Peer): AnyClient {
  return {
    tools: async () => (await peer.sdk.listTools()).tools,
    echo: async (message) => await peer.text('echo', { message }),
    close: async () => await peer.close(),
  }
}
