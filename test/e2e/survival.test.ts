import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { generations, type Connect, type Peer } from './clients.ts'
import { eventually, fixture, isAlive, openWorld, type World } from './harness.ts'
import { exchange, openAnswer, openSession } from './http.ts'

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
    // Its own stream is back too, and says what the client may have missed.
    await peer.seen('notifications/tools/list_changed', 10_000)
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

describe('a connection that breaks while the server waits for the client', () => {
  it('is resumed: the question comes again, the answer counts, and the result arrives', async () => {
    const headers = await openAsking()
    const call = { name: 'trigger-elicitation-request', arguments: {} }
    const first = await openAnswer(urls['stdio']!, {
      headers,
      body: { jsonrpc: '2.0', id: 9, method: 'tools/call', params: call },
    })
    const primer = await readEvents(first).next(() => true)
    first.destroy()
    const get = { ...headers, accept: 'text/event-stream', 'last-event-id': primer.id }
    const second = await openAnswer(urls['stdio']!, { method: 'GET', headers: get })
    const events = readEvents(second)
    const ended = once(second, 'end')
    const question = await events.next((data) => data.includes('elicitation/create'))
    const { id } = JSON.parse(question.data)
    const result = { action: 'accept', content: { name: 'somebody' } }
    const answered = await exchange(urls['stdio']!, { headers, body: { jsonrpc: '2.0', id, result } })
    expect(answered.status).toBe(202)
    const response = await events.next((data) => data.includes('"result"'))
    expect(JSON.parse(response.data)).toMatchObject({ id: 9, result: { content: expect.any(Array) } })
    await ended
    await exchange(urls['stdio']!, { method: 'DELETE', headers })
  })

  it('is resumed after kill -9 of the supervisor: the call may have run, and the stream ends', async () => {
    const headers = await openAsking()
    const call = { name: 'trigger-elicitation-request', arguments: {} }
    const first = await openAnswer(urls['stdio']!, {
      headers,
      body: { jsonrpc: '2.0', id: 'nine', method: 'tools/call', params: call },
    })
    const primer = await readEvents(first).next(() => true)
    await replaceSupervisor('stdio', 'supervisor')
    const get = { ...headers, accept: 'text/event-stream', 'last-event-id': primer.id }
    const { status, text } = await exchange(urls['stdio']!, { method: 'GET', headers: get })
    expect(status).toBe(200)
    expect(text).toContain('"id":"nine"')
    expect(text).toContain('the call may have run')
    const again = await openAnswer(urls['stdio']!, {
      headers,
      body: { jsonrpc: '2.0', id: 10, method: 'tools/call', params: call },
    })
    await readEvents(again).next((data) => data.includes('elicitation/create'))
    await exchange(urls['stdio']!, { method: 'DELETE', headers })
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

/** server-everything offers what asks the client only after the whole handshake. */
async function openAsking(): Promise<Record<string, string>> {
  const headers = await openSession(urls['stdio']!, { elicitation: {} })
  await exchange(urls['stdio']!, { headers, body: { jsonrpc: '2.0', method: 'notifications/initialized' } })
  return headers
}

/** Reads events as they come; `next` resolves to the first, past or future, whose data fits. */
function readEvents(response: IncomingMessage): {
  next(fits: (data: string) => boolean): Promise<{ id: string; data: string }>
} {
  let text = ''
  response.on('error', () => undefined)
  response.on('data', (piece: Buffer) => {
    text += piece.toString()
  })
  const find = (fits: (data: string) => boolean) => {
    for (const event of text.split('\n\n').slice(0, -1)) {
      const id = /^id: (.*)$/m.exec(event)?.[1] ?? ''
      const data = /^data: (.*)$/m.exec(event)?.[1] ?? ''
      if (id !== '' && fits(data)) return { id, data }
    }
    return undefined
  }
  return { next: async (fits) => await eventually('an event', 10_000, async () => find(fits)) }
}
