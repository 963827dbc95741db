import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { generations, type Connect, type Peer } from './clients.ts'
import { eventually, fixture, isAlive, openWorld, type World } from './harness.ts'
import { exchange, openSession } from './http.ts'

let world: World
let urls: Record<string, string>
let peers: { close(): Promise<void> }[] = []

const everything = 'npx://@modelcontextprotocol/server-everything'

beforeAll(async () => {
  world = await openWorld()
  await Promise.all([
    world.ok('run', '--name', 'fixture', '--', ...fixture('stdio-server.mjs')),
    world.ok('run', '--name', 'stdio', everything, '--', 'stdio'),
    world.ok('run', '--name', 'http', '--transport', 'streamable-http', everything, '--', 'streamableHttp'),
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

describe.each(generations)('a session of %s', (generation, connect) => {
  it.each(['stdio', 'http'])('goes on after kill -9 of the supervisor of a server over %s', async (name) => {
    const peer = await open(connect, urls[name]!)
    expect(await echo(peer, 'before')).toContain('before')
    const { ms, startMs } = await replaceSupervisor(name, 'supervisor')
    expect(await echo(peer, 'after')).toContain('after')
    report(`${generation}, ${name}, supervisor killed`, { ms, startMs })
  })

  it.each(['stdio', 'http'])('goes on after kill -9 of supervisor and server over %s', async (name) => {
    const peer = await open(connect, urls[name]!)
    await echo(peer, 'before')
    await replaceSupervisor(name, 'both')
    expect(await echo(peer, 'after')).toContain('after')
  })

  it.each(['stdio', 'http'])('goes on after stop and start, and after restart, over %s', async (name) => {
    const peer = await open(connect, urls[name]!)
    await echo(peer, 'before')
    await world.ok('stop', name)
    await world.ok('start', name)
    expect(await echo(peer, 'started')).toContain('started')
    await world.ok('restart', name)
    expect(await echo(peer, 'restarted')).toContain('restarted')
  })

  it('is told that a call may have run when the supervisor is killed in the middle of its answer', async () => {
    const peer = await open(connect, urls['fixture']!)
    let isUnderWay: () => void = () => undefined
    const underWay = new Promise<void>((resolve) => {
      isUnderWay = resolve
    })
    const call = peer.call('count', { steps: 100_000, label: 'never' }, { onprogress: () => isUnderWay() })
    const reason = call.then(
      () => 'it did not fail',
      (error: unknown) => String(error),
    )
    await underWay
    await replaceSupervisor('fixture', 'supervisor')
    expect(await reason).toMatch(/the call may have run/)
    expect(await peer.text('echo', { message: 'again' })).toBe('again')
  })
})

describe('a client with a server of its own', () => {
  it('is asked by it again after kill -9 of the supervisor, in the same session', async () => {
    const { client, sessionId } = await connectAsking(urls['stdio']!)
    const elicit = async (): Promise<string> => {
      const result = await client.callTool({ name: 'trigger-elicitation-request', arguments: {} })
      return JSON.stringify(result.content)
    }
    const before = sessionId()
    expect(await elicit()).toMatch(/accept|provided/i)
    await replaceSupervisor('stdio', 'supervisor')
    expect(await elicit()).toMatch(/accept|provided/i)
    expect(sessionId()).toBe(before)
  })
})

describe('a session that ended', () => {
  const ping = { jsonrpc: '2.0', id: 1, method: 'ping' }

  it('stays gone after a restart', async () => {
    const [ended, kept] = [await openSession(urls['fixture']!), await openSession(urls['fixture']!)]
    await exchange(urls['fixture']!, { method: 'DELETE', headers: ended })
    await replaceSupervisor('fixture', 'supervisor')
    expect((await exchange(urls['fixture']!, { headers: ended, body: ping })).status).toBe(404)
    expect((await exchange(urls['fixture']!, { headers: kept, body: ping })).status).toBe(200)
    await exchange(urls['fixture']!, { method: 'DELETE', headers: kept })
    expect((await exchange(urls['fixture']!, { headers: kept, body: ping })).status).toBe(404)
  })

  it('is unknown to a workload that takes the name of a removed one', async () => {
    await world.ok('run', '--name', 'short', '--', ...fixture('stdio-server.mjs'))
    const urlOf = async (): Promise<string> => (await world.list()).find(({ name }) => name === 'short')!.url
    const headers = await openSession(await urlOf())
    await world.ok('rm', 'short')
    await world.ok('run', '--name', 'short', '--', ...fixture('stdio-server.mjs'))
    expect((await exchange(await urlOf(), { headers, body: ping })).status).toBe(404)
    await world.ok('rm', 'short')
  })
})

async function open(connect: Connect, url: string): Promise<Peer> {
  const peer = await connect(url)
  peers.push(peer)
  return peer
}

async function echo(peer: Peer, message: string): Promise<string> {
  return await peer.text('echo', { message })
}

/** Kills without mercy, starts again, and says how long it took until the new supervisor served. */
async function replaceSupervisor(name: string, whom: 'supervisor' | 'both'): Promise<{ ms: number; startMs: number }> {
  const { process_id: supervisor, thv } = await world.status(name)
  const began = performance.now()
  process.kill(supervisor, 'SIGKILL')
  if (whom === 'both' && thv?.server !== undefined) process.kill(thv.server.pid, 'SIGKILL')
  await eventually('the supervisor is gone', 5_000, async () => ((await isAlive(supervisor)) ? undefined : true))
  const started = performance.now()
  await world.ok('start', name)
  return { ms: performance.now() - began, startMs: performance.now() - started }
}

function report(what: string, { ms, startMs }: { ms: number; startMs: number }): void {
  process.stdout.write(
    `${what}: serves again after ${Math.round(ms)} ms, of which thv start took ${Math.round(startMs)} ms\n`,
  )
}

async function connectAsking(url: string): Promise<{ client: Client; sessionId: () => string | undefined }> {
  const client = new Client({ name: 'asking', version: '1' }, { capabilities: { elicitation: {} } })
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept' as const, content: { name: 'somebody' } }))
  const transport = new StreamableHTTPClientTransport(new URL(url))
  await client.connect(transport)
  peers.push({
    close: async () => {
      await transport.terminateSession()
      await client.close()
    },
  })
  return { client, sessionId: () => transport.sessionId }
}
