import { afterEach, describe, expect, it } from 'vitest'
import { openEvents, openResponse, post } from '../testing/http-client.ts'
import { connectAsking, startWithLanes, type LaneFixture } from '../testing/lane-fixture.ts'
import { createModernServer } from '../testing/modern-server.ts'
import { never, startProxy, startWithServer } from '../testing/proxy-fixture.ts'
import type { Wire } from '../testing/scripted-server.ts'

let fixture: LaneFixture | undefined

async function setUp(options: Parameters<typeof startWithLanes>[0] = {}): Promise<LaneFixture> {
  fixture = await startWithLanes(options)
  return fixture
}

afterEach(async () => {
  await fixture?.proxy.close()
  fixture = undefined
})

const isCall = ({ method }: Wire): boolean => method === 'tools/call'
const question = (id: string | number, params: Record<string, unknown> = {}): Wire => ({
  id,
  method: 'elicitation/create',
  params,
})

describe('a client that declares elicitation, sampling or roots', () => {
  it('gets a server of its own, initialised with its own words', async () => {
    const { port, server, lanes } = await setUp()
    const params =
      '{"protocolVersion":"2025-06-18","capabilities":{"sampling":{},"x":{"big":12345678901234567890}},"clientInfo":{"name":"c","version":"1"},"x-extra":1.50}'
    const { json, headers } = await post(port, `{"jsonrpc":"2.0","id":"i","method":"initialize","params":${params}}`)
    expect(json).toMatchObject({ id: 'i', result: { 'x-extra': 12345, serverInfo: { 'x-unknown': true } } })
    await post(port, { method: 'notifications/initialized' }, { 'mcp-session-id': String(headers['mcp-session-id']) })
    await lanes[0]!.server.seen(({ method }) => method === 'notifications/initialized')
    expect(lanes).toHaveLength(1)
    expect(lanes[0]!.server.lines[0]).toContain(`"params":${params}`)
    expect(server.received.filter(({ method }) => method === 'initialize')).toHaveLength(1)
  })

  it.each([[{}], [{ experimental: {} }], [{ sampling: null }], [{ extensions: { 'a/b': {} } }]])(
    'and no other does: %j shares the one server',
    async (capabilities) => {
      const { port, server, lanes } = await setUp()
      const client = await connectAsking(port, capabilities)
      await client.post({ id: 1, method: 'tools/call' })
      expect([lanes.length, server.received.filter(isCall).length]).toEqual([0, 1])
    },
  )

  it('gets none of a Modern server, which asks nobody, though it came first', async () => {
    const early = await startProxy({ config: { openLane: () => Promise.reject(new Error('not wanted')) } })
    const initialized = post(early.port, {
      id: 0,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: { roots: {} } },
    })
    await expect.poll(() => early.proxy.stats().inFlight).toBe(1)
    await early.proxy.attach(createModernServer().connection, never)
    expect((await initialized).json.result).toMatchObject({ instructions: 'modern' })
    await early.proxy.close()
  })

  it('is asked for a revision that the proxy can serve', async () => {
    const { port, lanes } = await setUp()
    const params = { protocolVersion: '2099-01-01', capabilities: { roots: {} } }
    await post(port, { id: 1, method: 'initialize', params })
    expect(lanes[0]!.server.received[0]?.params?.['protocolVersion']).toBe('2025-11-25')
  })

  it('shares the one server where lanes are off, and what that asks is refused', async () => {
    const base = await startWithServer()
    fixture = { ...base, lanes: [], onOpen: () => undefined }
    const client = await connectAsking(base.port)
    await client.post({ id: 1, method: 'tools/call' })
    base.server.send(question(5))
    expect((await base.server.seen(({ id, error }) => id === 5 && error !== undefined)).error?.code).toBe(-32601)
  })

  it('whose server starts slowly still gets its session in the head of the answer', async () => {
    const { port } = await setUp({ limits: { streamAfterMs: 10 } })
    fixture!.onOpen = () => new Promise((resolve) => setTimeout(resolve, 100))
    const client = await connectAsking(port)
    expect(client.id).toMatch(/^[0-9a-f-]{36}$/)
    expect(client.initialized.headers['content-type']).toBe('application/json')
  })
})

describe('a question of a lane', () => {
  it('goes to its own client, and the answer back under the id of the server', async () => {
    const { port, lanes } = await setUp()
    const clients = [await connectAsking(port), await connectAsking(port)]
    const calls = await Promise.all(
      clients.map(async (client, index) => {
        const { server } = lanes[index]!
        server.on('tools/call', () => {
          // Both servers choose the same id.
          server.write(
            `{"jsonrpc":"2.0","id":"q","method":"sampling/createMessage","params":{"who":${index},"n":1e400}}`,
          )
          return undefined
        })
        return await client.call({ id: 1, method: 'tools/call' })
      }),
    )
    for (const [index, reader] of calls.entries()) {
      expect(reader.response.headers['content-type']).toBe('text/event-stream')
      const event = await reader.next()
      expect(event?.data).toContain(`"params":{"who":${index},"n":1e400}`)
      const asked = JSON.parse(event!.data) as Wire
      expect(typeof asked.id).toBe('number')
      const body = `{"jsonrpc":"2.0","id":${asked.id},"result":{"role":"user","who":${index},"x":98765432109876543210}}`
      expect((await post(port, body, clients[index]!.headers)).status).toBe(202)
      const { server } = lanes[index]!
      await server.seen(({ id, result }) => id === 'q' && result !== undefined)
      expect(server.lines.at(-1)).toBe(body.replace(`"id":${asked.id}`, '"id":"q"'))
      server.answer(await server.seen(isCall), { done: index })
      expect(await reader.message()).toMatchObject({ id: 1, result: { done: index } })
      expect(await reader.next()).toBeUndefined()
    }
  })

  it('without a call goes to the stream of the session', async () => {
    const { port, lanes } = await setUp()
    const [one, two] = [await connectAsking(port), await connectAsking(port)]
    const streams = [await one.openStream(), await two.openStream()]
    lanes[1]!.server.send({ id: 1, method: 'roots/list' })
    lanes[0]!.server.send({ id: 1, method: 'custom/ask' })
    expect((await streams[0]!.message()).method).toBe('custom/ask')
    expect((await streams[1]!.message()).method).toBe('roots/list')
  })

  it('waits for a stream, and is refused when none opens in time', async () => {
    const { port, lanes } = await setUp({ limits: { questionWaitMs: 300 } })
    const client = await connectAsking(port)
    const { server } = lanes[0]!
    server.send({ id: 1, method: 'roots/list' })
    const stream = await client.openStream()
    const asked = await stream.message()
    await client.post({ id: asked.id!, result: { roots: [] } })
    expect((await server.seen(({ id, result }) => id === 1 && result !== undefined)).result).toEqual({ roots: [] })
    stream.close()
    await new Promise<void>((resolve) => stream.response.once('close', resolve))
    await expect.poll(() => fixture!.proxy.stats().streams).toBe(0)
    server.send({ id: 2, method: 'roots/list' })
    expect((await server.seen(({ id, error }) => id === 2 && error !== undefined)).error?.code).toBe(-32603)
  })

  it('of a client that reads only JSON waits for a stream too', async () => {
    const { port, lanes } = await setUp({ limits: { questionWaitMs: 50 } })
    const client = await connectAsking(port)
    const { server } = lanes[0]!
    server.on('tools/call', () => {
      server.send(question(7))
      return undefined
    })
    const call = client.post({ id: 1, method: 'tools/call' }, { accept: 'application/json' })
    const refused = await server.seen(({ id, error }) => id === 7 && error !== undefined)
    expect(refused.error?.code).toBe(-32603)
    server.answer(await server.seen(isCall), {})
    expect((await call).headers['content-type']).toBe('application/json')
  })

  it('with two calls in flight follows a progress token, else goes to the stream of the session', async () => {
    const { port, lanes } = await setUp()
    const client = await connectAsking(port)
    const { server } = lanes[0]!
    const stream = await client.openStream()
    server.on('tools/call', () => undefined)
    const opening = [1, 2].map((id) =>
      client.call({ id, method: 'tools/call', params: { n: id, _meta: { progressToken: id } } }),
    )
    const second = await server.seen(({ params }) => params?.['n'] === 2)
    await server.seen(({ params }) => params?.['n'] === 1)
    server.send(question(1, { _meta: { progressToken: second.id } }))
    server.send(question(2, { free: true }))
    expect((await stream.message()).params).toEqual({ free: true })
    expect((await (await opening[1]!).message()).method).toBe('elicitation/create')
    for (const call of server.received.filter(isCall)) server.answer(call, {})
    expect((await opening[0]!).response.headers['content-type']).toBe('application/json')
    stream.close()
  })

  it('is answered by its own client only, and once', async () => {
    const { port, lanes } = await setUp()
    const [one, two] = [await connectAsking(port), await connectAsking(port)]
    const stream = await one.openStream()
    lanes[0]!.server.send(question('mine'))
    const asked = await stream.message()
    for (const intruder of [
      two.post({ id: asked.id!, result: { bad: 1 } }),
      one.post({ id: 99, result: { bad: 2 } }),
    ]) {
      expect((await intruder).status).toBe(202)
    }
    await one.post({ id: String(asked.id), result: { bad: 3 } })
    expect((await fixture!.logged('a client answered a request that nobody waits for')).level).toBe('debug')
    await one.post({ id: asked.id!, error: { code: -1, message: 'no', data: { why: 'x' } } })
    await one.post({ id: asked.id!, result: { bad: 4 } })
    await one.post({ id: 3, method: 'tools/call' })
    const answers = lanes.flatMap(({ server }) => server.received.filter(({ id, method }) => id === 'mine' && !method))
    expect(answers).toEqual([{ jsonrpc: '2.0', id: 'mine', error: { code: -1, message: 'no', data: { why: 'x' } } }])
  })

  it('is taken back under the id that the client knows', async () => {
    const { port, lanes } = await setUp()
    const client = await connectAsking(port)
    const stream = await client.openStream()
    const { server } = lanes[0]!
    server.send(question('a'))
    server.send(question('b'))
    const [, second] = [await stream.message(), await stream.message()]
    server.send({ method: 'notifications/cancelled', params: { requestId: 'b', reason: 'r', x: 1 } })
    server.send({ method: 'notifications/cancelled', params: { requestId: 'unknown' } })
    const cancelled = await stream.message()
    expect(cancelled).toMatchObject({
      method: 'notifications/cancelled',
      params: { requestId: second.id, reason: 'r', x: 1 },
    })
    await client.post({ id: second.id!, result: { late: true } })
    await client.post({ id: 3, method: 'tools/call' })
    expect(server.received.some(({ id, result }) => id === 'b' && result !== undefined)).toBe(false)
    stream.close()
  })

  it('gets progress of the client under the token of the server', async () => {
    const { port, lanes } = await setUp()
    const client = await connectAsking(port)
    const stream = await client.openStream()
    const { server } = lanes[0]!
    server.send(question(1, { _meta: { progressToken: 'tok', keep: 1 } }))
    const { _meta } = (await stream.message()).params ?? {}
    const token = (_meta as { progressToken: number }).progressToken
    const note = (progressToken: unknown): Wire => ({
      method: 'notifications/progress',
      params: { progressToken, progress: 3 },
    })
    await client.post(note(4711))
    await client.post(note(token))
    await client.post({ method: 'notifications/roots/list_changed' })
    await server.seen(({ method }) => method === 'notifications/roots/list_changed')
    const heard = server.received.filter(({ method }) => method === 'notifications/progress')
    expect(heard.map(({ params }) => params)).toEqual([{ progressToken: 'tok', progress: 3 }])
    stream.close()
  })

  it('holds the time limit of the call it came with, and has one of its own', async () => {
    const { port, lanes } = await setUp({ limits: { requestTimeoutMs: 60, questionMs: 400 } })
    const client = await connectAsking(port)
    const { server } = lanes[0]!
    server.on('tools/call', () => {
      server.send(question(1))
      return undefined
    })
    const reader = await client.call({ id: 1, method: 'tools/call' })
    const asked = await reader.message()
    const refused = await server.seen(({ id, error }) => id === 1 && error !== undefined)
    expect(refused.error?.code).toBe(-32603)
    expect((await reader.message()).params?.['requestId']).toBe(asked.id)
    expect((await reader.message()).error?.code).toBe(-32000)
  })

  it('is refused above the maximum of open ones, and ping never travels', async () => {
    const { port, lanes } = await setUp({ limits: { openQuestions: 1 } })
    await connectAsking(port)
    const { server } = lanes[0]!
    server.send(question(1))
    server.send(question(2))
    server.send({ id: 3, method: 'ping' })
    expect((await server.seen(({ id, error }) => id === 2 && error !== undefined)).error?.code).toBe(-32603)
    expect((await server.seen(({ id, result }) => id === 3 && result !== undefined)).result).toEqual({})
  })
})

describe('what a lane tells', () => {
  it('goes to its session only, and what the shared server tells goes to the others only', async () => {
    const { port, server, lanes } = await setUp()
    const clients = [await connectAsking(port), await connectAsking(port), await connectAsking(port, {})]
    const streams = await Promise.all(clients.map((client) => client.openStream()))
    lanes[0]!.server.send({ method: 'notifications/tools/list_changed', params: { from: 0 } })
    lanes[1]!.server.send({ method: 'notifications/custom', params: { from: 1 } })
    server.send({ method: 'notifications/unknown', params: { from: 2 } })
    for (const [from, stream] of streams.entries()) expect((await stream.message()).params).toEqual({ from })
    for (const stream of streams) stream.close()
  })

  it('without a stream goes with the only call', async () => {
    const { port, lanes } = await setUp()
    const client = await connectAsking(port)
    lanes[0]!.server.on('tools/call', (_request, server) => {
      server.send({ method: 'notifications/message', params: { level: 'info', data: 1 } })
      return { done: true }
    })
    const reader = await client.call({ id: 1, method: 'tools/call' })
    expect((await reader.message()).method).toBe('notifications/message')
    expect((await reader.message()).result).toEqual({ done: true })
  })
})

describe('a cancelled call of a lane', () => {
  it('is cancelled under the id of the hop', async () => {
    const { port, lanes } = await setUp()
    const client = await connectAsking(port)
    const { server } = lanes[0]!
    server.on('tools/call', () => undefined)
    const call = client.post({ id: 'c', method: 'tools/call' })
    const sent = await server.seen(isCall)
    await client.post({ method: 'notifications/cancelled', params: { requestId: 'c' } })
    expect((await server.seen(({ method }) => method === 'notifications/cancelled')).params).toEqual({
      requestId: sent.id,
    })
    expect((await call).status).toBe(202)
  })
})

describe('over the old SSE transport', () => {
  it('questions and answers travel on the one stream', async () => {
    const { port, lanes } = await setUp({ mode: 'sse' })
    const stream = await openEvents(port, '/sse')
    const endpoint = new URL((await stream.next())!.data)
    const path = endpoint.pathname + endpoint.search
    const send = (message: Wire): Promise<unknown> =>
      openResponse({
        port,
        path,
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ jsonrpc: '2.0', ...message }),
      }).then((response) => response.resume())
    await send({ id: 1, method: 'initialize', params: { protocolVersion: '2024-11-05', capabilities: { roots: {} } } })
    expect((await stream.message()).id).toBe(1)
    lanes[0]!.server.send({ id: 'r', method: 'roots/list' })
    const asked = await stream.message()
    await send({ id: asked.id!, result: { roots: [] } })
    expect((await lanes[0]!.server.seen(({ id, result }) => id === 'r' && result !== undefined)).result).toEqual({
      roots: [],
    })
    stream.close()
    await expect.poll(() => lanes[0]!.isClosed).toBe(true)
  })
})
