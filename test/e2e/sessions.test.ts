import { once } from 'node:events'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { connectV1, connectV2, generations, isProgressTo, realProblems, type Connect, type Peer } from './clients.ts'
import { eventually, fixture, openWorld, type World } from './harness.ts'
import { exchange, messagesOf, openAnswer, openSession, postHeaders } from './http.ts'

let world: World
let url: string
let everything: string
let sse: string
let peers: Peer[] = []

beforeAll(async () => {
  world = await openWorld()
  await Promise.all([
    // It tells its pid, and in a sandbox that is another one.
    world.ok('run', '--name', 'fixture', '--isolation', 'none', '--', ...fixture('stdio-server.mjs')),
    world.ok('run', '--name', 'everything', 'npx://@modelcontextprotocol/server-everything', '--', 'stdio'),
    world.ok('run', '--name', 'old', '--proxy-mode', 'sse', '--', ...fixture('stdio-server.mjs')),
  ])
  const urls = Object.fromEntries((await world.list()).map((workload) => [workload.name, workload.url]))
  url = urls['fixture']!
  everything = urls['everything']!
  sse = urls['old']!
})

afterEach(async () => {
  await Promise.all(peers.map(async (peer) => await peer.close()))
  peers = []
})

afterAll(async () => {
  await world.close()
})

describe('clients that use the same ids and progress tokens at once', () => {
  it('get their own progress and their own answers from server-everything', async () => {
    const sessions = await Promise.all(Array.from({ length: 4 }, async () => await openSession(everything)))
    const answers = await Promise.all(
      sessions.map(async (headers, who) => {
        const params = {
          name: 'trigger-long-running-operation',
          arguments: { duration: 0.2, steps: who + 1 },
          _meta: { progressToken: 1 },
        }
        return await exchange(everything, { headers, body: { jsonrpc: '2.0', id: 'a', method: 'tools/call', params } })
      }),
    )
    answers.forEach((answer, who) => {
      const messages = messagesOf(answer)
      const totals = messages.slice(0, -1).map(({ params }) => params)
      expect(totals).toEqual(
        Array.from({ length: who + 1 }, (_unused, index) => ({
          progressToken: 1,
          progress: index + 1,
          total: who + 1,
        })),
      )
      expect(messages.at(-1)).toMatchObject({ id: 'a', result: { content: [{ text: expect.any(String) }] } })
      expect(JSON.stringify(messages.at(-1))).toContain(`Steps: ${who + 1}.`)
    })
  })

  it('are served 1000 calls, 20 by each of 50 SDK clients', async () => {
    const clients = await Promise.all(
      Array.from({ length: 50 }, (_unused, who) => open(who % 2 ? connectV1 : connectV2)),
    )
    const answers = await Promise.all(
      clients.map(async (client, who) => {
        const calls = Array.from(
          { length: 20 },
          async (_unused, call) => await client.text('echo', { message: `${who}/${call}` }),
        )
        return await Promise.all(calls)
      }),
    )
    expect(answers).toEqual(
      clients.map((_client, who) => Array.from({ length: 20 }, (_unused, call) => `${who}/${call}`)),
    )
    expect(clients.flatMap(({ problems }) => problems)).toEqual([])
  })
})

describe.each(generations)('a session of %s', (_name, connect) => {
  it('outlives a crash of the server: calls under way may have run, later ones are answered', async () => {
    const [crashing, waiting] = [await open(connect), await open(connect)]
    const before = await pidOf(waiting)
    let isUnderWay: () => void = () => undefined
    const underWay = new Promise<void>((resolve) => {
      isUnderWay = resolve
    })
    const long = waiting.call('count', { steps: 100_000, label: 'never' }, { onprogress: () => isUnderWay() })
    const refusal = reasonOf(long)
    await underWay
    await expect(crashing.call('crash')).rejects.toThrow(/the call may have run/)
    expect(await refusal).toMatch(/the call may have run/)
    expect(await waiting.text('echo', { message: 'again' })).toBe('again')
    expect(await crashing.text('echo', { message: 'me too' })).toBe('me too')
    expect(await pidOf(waiting)).not.toBe(before)
    await waiting.seen('notifications/tools/list_changed')
  })

  it('outlives kill -9 of the server process', async () => {
    const peer = await open(connect)
    const before = await pidOf(peer)
    process.kill(before, 'SIGKILL')
    await eventually('the status says that the server was restarted', 20_000, async () => {
      const { thv, status } = await world.status('fixture')
      return status === 'running' && thv?.server?.pid !== before ? true : undefined
    })
    expect(await peer.text('echo', { message: 'back' })).toBe('back')
  })

  it('passes a cancellation on to the call it means', async () => {
    const [cancelling, other] = [await open(connect), await open(connect)]
    const before = await cancelledBy(other)
    const abort = new AbortController()
    const kept = other.text('wait', { ms: 400 })
    const dropped = cancelling.call('wait', { ms: 60_000 }, { signal: abort.signal })
    const reason = reasonOf(dropped)
    // An answer to a later call of the same client shows that the server has read the first one.
    await cancelling.text('echo', { message: 'read' })
    abort.abort('enough')
    expect(await reason).toContain('enough')
    expect(await kept).toBe('done')
    await eventually('the server has heard of it', 5_000, async () => {
      return (await cancelledBy(other)) === before + 1 ? true : undefined
    })
    expect(cancelling.problems).toEqual([])
  })
})

describe('the endpoint', () => {
  const ping = { jsonrpc: '2.0', id: 1, method: 'ping' }

  it('ends a session with DELETE; afterwards it is unknown', async () => {
    const headers = await openSession(url)
    expect((await exchange(url, { headers, body: ping })).status).toBe(200)
    expect((await exchange(url, { method: 'DELETE', headers })).status).toBe(204)
    expect((await exchange(url, { headers, body: ping })).status).toBe(404)
    expect((await exchange(url, { method: 'DELETE', headers })).status).toBe(404)
    expect((await exchange(url, { method: 'GET', headers })).status).toBe(404)
  })

  it('answers an unknown session with 404 and a JSON-RPC error under the id of the request', async () => {
    const headers = { ...postHeaders, 'mcp-session-id': '6f1c0000-0000-4000-8000-000000000000' }
    const { status, text } = await exchange(url, { headers, body: { ...ping, id: 'mine' } })
    expect([status, JSON.parse(text)]).toEqual([
      404,
      { jsonrpc: '2.0', id: 'mine', error: { code: -32001, message: 'Session not found' } },
    ])
  })

  it('answers with JSON when there is no Accept header', async () => {
    const { status, headers } = await exchange(url, { headers: { 'content-type': 'application/json' }, body: ping })
    expect([status, headers['content-type']]).toEqual([200, 'application/json'])
  })

  it('answers GET without a session with 400, other methods with 405, other paths with 404', async () => {
    expect((await exchange(url, { method: 'GET' })).status).toBe(400)
    expect((await exchange(url, { method: 'PUT', body: ping })).status).toBe(405)
    expect((await exchange(url.replace(/mcp$/, 'other'), { body: ping })).status).toBe(404)
  })

  it.each([
    ['another host name', { host: 'example.test' }],
    ['another host name with the right port', { host: 'example.test:PORT' }],
    ['a foreign origin', { origin: 'https://example.test' }],
    ['an opaque origin', { origin: 'null' }],
  ])('refuses %s with 403', async (_what, extra) => {
    const { port } = new URL(url)
    const own = Object.entries(extra).map(([key, value]) => [key, value.replace('PORT', port)])
    const { status } = await exchange(url, { headers: { ...postHeaders, ...Object.fromEntries(own) }, body: ping })
    expect(status).toBe(403)
  })

  it.each(['localhost', '127.0.0.1'])('accepts its own name %s as host and origin', async (name) => {
    const { port } = new URL(url)
    const headers = { ...postHeaders, host: `${name}:${port}`, origin: `http://${name}:${port}` }
    expect((await exchange(url, { headers, body: ping })).status).toBe(200)
  })

  it('gives a session one event stream: a second GET ends the first', async () => {
    const session = await openSession(url)
    const headers = { accept: 'text/event-stream', 'mcp-session-id': session['mcp-session-id']! }
    const first = await openAnswer(url, { method: 'GET', headers })
    expect([first.statusCode, first.headers['content-type']]).toEqual([200, 'text/event-stream'])
    first.resume()
    const ended = once(first, 'end')
    const second = await openAnswer(url, { method: 'GET', headers })
    await ended
    expect(second.statusCode).toBe(200)
    expect(second.destroyed).toBe(false)
    second.destroy()
  })
})

describe('a workload with --proxy-mode sse', () => {
  it('has a URL that ends in /sse#name', () => {
    expect(sse).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/sse#old$/)
  })

  it.each(generations)('serves %s', async (_name, connect) => {
    const peer = await open(connect, sse)
    expect((await peer.sdk.listTools()).tools.map(({ name }) => name)).toContain('echo')
    expect(await peer.text('echo', { message: 'over sse' })).toBe('over sse')
  })

  it('keeps two clients apart: nobody gets the answers or the progress of the other', async () => {
    const [one, two] = [await open(connectV1, sse), await open(connectV1, sse)]
    const heard: Record<string, string[]> = { one: [], two: [] }
    const steps: Record<string, number[]> = { one: [], two: [] }
    const count = async (peer: Peer, label: string) =>
      await peer.text(
        'count',
        { steps: 10, label },
        {
          onprogress: ({ progress, message }) => {
            steps[label]!.push(progress)
            heard[label]!.push(message ?? '')
          },
        },
      )
    expect(await Promise.all([count(one, 'one'), count(two, 'two')])).toEqual(['one', 'two'])
    for (const label of ['one', 'two']) {
      expect(steps[label]).toSatisfy((values: number[]) => isProgressTo(10, values))
      expect(new Set(heard[label])).toEqual(new Set([label]))
    }
    expect([...realProblems(one), ...realProblems(two)]).toEqual([])
  })

  it('keeps its clients over a crash of the server', async () => {
    const peer = await open(connectV1, sse)
    await expect(peer.call('crash')).rejects.toThrow(/the call may have run/)
    expect(await peer.text('echo', { message: 'again' })).toBe('again')
  })
})

async function open(connect: Connect, endpoint = url): Promise<Peer> {
  const peer = await connect(endpoint)
  peers.push(peer)
  return peer
}

/** Why a call failed; listens at once, so that nothing is unhandled meanwhile. */
async function reasonOf(call: Promise<unknown>): Promise<string> {
  return await call.then(
    () => 'it did not fail',
    (error: unknown) => String(error),
  )
}

async function facts(peer: Peer): Promise<{ pid: number; cancelled: number }> {
  const value: { pid: number; cancelled: number } = JSON.parse(await peer.text('facts'))
  return value
}

async function pidOf(peer: Peer): Promise<number> {
  return (await facts(peer)).pid
}

async function cancelledBy(peer: Peer): Promise<number> {
  return (await facts(peer)).cancelled
}
