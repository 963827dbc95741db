import { request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { openResponse, post } from '../testing/http-client.ts'
import { asking, connectAsking, startWithLanes, type LaneFixture } from '../testing/lane-fixture.ts'
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
const initializeAsking = {
  id: 0,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: asking },
}

describe('an idle lane', () => {
  it('ends, and starts again for the next call where the last one was', async () => {
    const { port, lanes } = await setUp({ limits: { laneIdleMs: 400 } })
    const client = await connectAsking(port)
    await client.post({ id: 1, method: 'logging/setLevel', params: { level: 'info' } })
    await client.post({ id: 2, method: 'resources/subscribe', params: { uri: 'a' } })
    await client.post({ id: 3, method: 'resources/subscribe', params: { uri: 'b' } })
    await client.post({ id: 4, method: 'resources/unsubscribe', params: { uri: 'a' } })
    await expect.poll(() => lanes[0]!.isClosed, { timeout: 5_000 }).toBe(true)
    const { status, json } = await client.post({ id: 5, method: 'tools/call', params: { arguments: { again: 1 } } })
    expect([status, json.result?.['echo']]).toEqual([200, { again: 1 }])
    expect(lanes).toHaveLength(2)
    const [before, after] = lanes.map(({ server }) => server.received)
    expect(after![0]?.params).toEqual(before![0]?.params)
    expect(after!.slice(1).map(({ method, params }) => [method, params?.['level'] ?? params?.['uri']])).toEqual([
      ['notifications/initialized', undefined],
      ['logging/setLevel', 'info'],
      ['resources/subscribe', 'b'],
      ['tools/call', undefined],
    ])
  })

  it('is none while a stream is open, a call runs or the client has a question to answer', async () => {
    const { port, lanes } = await setUp({ limits: { laneIdleMs: 400 } })
    const clients = [await connectAsking(port), await connectAsking(port), await connectAsking(port)]
    const stream = await clients[0]!.openStream()
    lanes[1]!.server.on('tools/call', () => undefined)
    const call = clients[1]!.post({ id: 1, method: 'tools/call' })
    lanes[2]!.server.on('tools/call', (_request, own) => {
      own.send({ id: 1, method: 'elicitation/create' })
      return {}
    })
    await (await clients[2]!.call({ id: 1, method: 'tools/call' })).message()
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    expect(lanes.map(({ isClosed }) => isClosed)).toEqual([false, false, false])
    lanes[1]!.server.answer(await lanes[1]!.server.seen(isCall), {})
    expect((await call).status).toBe(200)
    stream.close()
    await expect.poll(() => lanes[0]!.isClosed && lanes[1]!.isClosed, { timeout: 5_000 }).toBe(true)
    expect(lanes[2]!.isClosed).toBe(false)
  })
})

describe('a lane whose server dies', () => {
  it('takes its questions back, refuses its calls, and starts again for the next one', async () => {
    const { port, lanes, server } = await setUp()
    const client = await connectAsking(port)
    lanes[0]!.server.on('tools/call', (_request, own) => {
      own.send({ id: 1, method: 'elicitation/create' })
      return undefined
    })
    const reader = await client.call({ id: 1, method: 'tools/call' })
    const asked = await reader.message()
    lanes[0]!.crash()
    expect(await reader.message()).toMatchObject({
      method: 'notifications/cancelled',
      params: { requestId: asked.id },
    })
    expect(await reader.message()).toMatchObject({ id: 1, error: { code: -32603, data: { outcome: 'unknown' } } })
    expect(await reader.next()).toBeUndefined()
    const { json } = await client.post({ id: 2, method: 'tools/call', params: { arguments: 1 } })
    expect(json.result?.['echo']).toBe(1)
    // An answer to the dead server's question must not reach the new one, and ids go on counting.
    await client.post({ id: asked.id!, result: { stale: true } })
    const stream = await client.openStream()
    lanes[1]!.server.send({ id: 1, method: 'roots/list' })
    expect((await stream.message()).id).not.toBe(asked.id)
    expect(lanes[1]!.server.received.some(({ result }) => result !== undefined)).toBe(false)
    expect(server.received.filter(isCall)).toEqual([])
    stream.close()
  })

  it('is known by the end of the process too, when something holds its output open', async () => {
    const { port, lanes } = await setUp()
    const client = await connectAsking(port)
    lanes[0]!.server.on('tools/call', () => undefined)
    const call = client.post({ id: 1, method: 'tools/call' })
    await lanes[0]!.server.seen(isCall)
    lanes[0]!.server.die = () => undefined
    lanes[0]!.crash()
    expect((await call).json.error?.data).toMatchObject({ outcome: 'unknown' })
    expect(lanes[0]!.isClosed).toBe(true)
  })

  it('again and again is left alone for a while', async () => {
    const { port, lanes } = await setUp({ limits: { laneCrashes: 2, laneCrashWindowMs: 300 } })
    const client = await connectAsking(port)
    lanes[0]!.crash()
    expect((await client.post({ id: 1, method: 'tools/call' })).status).toBe(200)
    lanes[1]!.crash()
    const refused = await client.post({ id: 2, method: 'tools/call' })
    expect(refused).toMatchObject({ status: 503, json: { error: { data: { outcome: 'not-sent' } } } })
    expect(refused.json.error?.message).toContain('it ended by itself 2 times within 0.3 s')
    await new Promise((resolve) => setTimeout(resolve, 350))
    expect((await client.post({ id: 3, method: 'tools/call' })).status).toBe(200)
    expect(lanes).toHaveLength(3)
  })

  it('does not come back: calls that waited are refused as not sent, and cancelled ones are dropped', async () => {
    const { port, lanes } = await setUp()
    const client = await connectAsking(port)
    let fail: (error: Error) => void = () => undefined
    fixture!.onOpen = () =>
      new Promise((_resolve, reject) => {
        fail = reject
      })
    lanes[0]!.crash()
    const calls = [1, 2].map((id) => client.post({ id, method: 'tools/call' }))
    await expect.poll(() => lanes.length).toBe(2)
    await expect.poll(() => fixture!.proxy.stats().inFlight).toBe(2)
    await client.post({ method: 'notifications/cancelled', params: { requestId: 1 } })
    fail(new Error('no memory'))
    const [cancelled, refused] = await Promise.all(calls)
    expect(cancelled!.status).toBe(202)
    expect(refused).toMatchObject({ status: 503, json: { error: { data: { outcome: 'not-sent' } } } })
    expect(refused!.json.error?.message).toContain('no memory')
  })
})

describe('what a lane shares with the other clients', () => {
  it('is that an ambiguous progress token goes nowhere, in a call as in initialize', async () => {
    const { port, lanes } = await setUp()
    const client = await connectAsking(port)
    const _meta = { progressToken: 1, progreſſToken: 2 }
    expect((await client.post({ id: 1, method: 'tools/call', params: { _meta } })).status).toBe(400)
    const params = { ...initializeAsking.params, _meta }
    expect((await post(port, { ...initializeAsking, params })).status).toBe(400)
    expect(lanes).toHaveLength(1)
    expect(lanes[0]!.server.received.some(isCall)).toBe(false)
  })

  it('is the memory for calls that wait, which is given back', async () => {
    const { port, lanes } = await setUp({ limits: { heldBytes: 100_000 } })
    const client = await connectAsking(port)
    let fail: (error: Error) => void = () => undefined
    fixture!.onOpen = () => new Promise((_resolve, reject) => (fail = reject))
    lanes[0]!.crash()
    const params = { arguments: 'x'.repeat(60_000) }
    const first = client.post({ id: 1, method: 'tools/call', params })
    await expect.poll(() => lanes.length).toBe(2)
    const second = await client.post({ id: 2, method: 'tools/call', params })
    expect([second.status, second.json.error?.message]).toEqual([503, expect.stringContaining('too much is waiting')])
    fail(new Error('no memory'))
    expect((await first).json.error?.message).toContain('no memory')
    fixture!.onOpen = () => Promise.resolve()
    expect((await client.post({ id: 3, method: 'tools/call', params })).status).toBe(200)
  })

  it('is that a change is told when the client opens a stream', async () => {
    const { port, lanes } = await setUp()
    const client = await connectAsking(port)
    await client.post({ id: 1, method: 'resources/subscribe', params: { uri: 'a' } })
    lanes[0]!.server.send({ method: 'notifications/tools/list_changed' })
    for (const uri of ['a', 'b']) lanes[0]!.server.send({ method: 'notifications/resources/updated', params: { uri } })
    await client.post({ id: 2, method: 'tools/call' })
    const stream = await client.openStream()
    expect((await stream.message()).method).toBe('notifications/tools/list_changed')
    expect((await stream.message()).params).toEqual({ uri: 'a' })
    lanes[0]!.server.send({ method: 'notifications/prompts/list_changed' })
    expect((await stream.message()).method).toBe('notifications/prompts/list_changed')
    stream.close()
  })
})

describe('opening a lane', () => {
  it('above the maximum is refused, and a session that ends makes room', async () => {
    const { port, lanes } = await setUp({ limits: { lanes: 2 } })
    const one = await connectAsking(port)
    await connectAsking(port)
    const refused = await post(port, initializeAsking)
    expect([refused.status, refused.headers['mcp-session-id']]).toEqual([503, undefined])
    expect(refused.json.error).toMatchObject({ code: -32603, data: { limit: 2, outcome: 'not-sent' } })
    expect(refused.json.error?.message).toContain('allows 2')
    expect((await post(port, { ...initializeAsking, params: { capabilities: {} } })).status).toBe(200)
    await one.end()
    await expect.poll(() => lanes[0]!.isClosed).toBe(true)
    expect((await post(port, initializeAsking)).status).toBe(200)
    expect((await one.post({ id: 1, method: 'tools/call' })).status).toBe(404)
  })

  it('at the maximum ends the process of the longest idle client, whose session goes on', async () => {
    const { port, lanes } = await setUp({ limits: { lanes: 2, laneSpareMs: 500 } })
    const [one, two] = [await connectAsking(port), await connectAsking(port)]
    await delay(550)
    await one.post({ id: 1, method: 'tools/call' })
    const three = await connectAsking(port)
    expect([three.initialized.status, lanes.map(({ isClosed }) => isClosed)]).toEqual([200, [false, true, false]])
    // Nobody has been idle for long enough now.
    expect((await two.post({ id: 1, method: 'tools/call' })).status).toBe(503)
    await delay(550)
    expect((await two.post({ id: 2, method: 'tools/call' })).status).toBe(200)
    expect(lanes.map(({ isClosed }) => isClosed)).toEqual([true, true, false, false])
  })

  it('at the maximum ends no process of a client that has a stream, a call or a question', async () => {
    const { port, lanes } = await setUp({ limits: { lanes: 3, laneSpareMs: 1 } })
    const clients = [await connectAsking(port), await connectAsking(port), await connectAsking(port)]
    const stream = await clients[0]!.openStream()
    lanes[1]!.server.on('tools/call', () => undefined)
    const call = clients[1]!.post({ id: 1, method: 'tools/call' })
    await lanes[1]!.server.seen(isCall)
    lanes[2]!.server.on('tools/call', (_request, own) => {
      own.send({ id: 1, method: 'elicitation/create' })
      return {}
    })
    await (await clients[2]!.call({ id: 1, method: 'tools/call' })).message()
    await delay(20)
    expect((await post(port, initializeAsking)).status).toBe(503)
    lanes[1]!.server.answer(await lanes[1]!.server.seen(isCall), {})
    await call
    await delay(20)
    expect((await post(port, initializeAsking)).status).toBe(200)
    expect(lanes.map(({ isClosed }) => isClosed)).toEqual([false, true, false, false])
    stream.close()
  })

  it('passes the refusal of the server on', async () => {
    const { port, lanes } = await setUp()
    fixture!.onOpen = ({ server }) => {
      server.on('initialize', (request) => {
        server.send({ id: request.id!, error: { code: -32602, message: 'bad version', data: { supported: [] } } })
        return undefined
      })
    }
    const { headers, json } = await post(port, initializeAsking)
    expect(json).toMatchObject({ id: 0, error: { code: -32602, message: 'bad version', data: { supported: [] } } })
    expect(headers['mcp-session-id']).toBeUndefined()
    expect(lanes[0]!.isClosed).toBe(true)
  })

  it.each([
    ['that takes too long', 504, () => new Promise<void>(() => undefined), 'it took too long'],
    ['that fails', 503, () => Promise.reject(new Error('no such program')), 'no such program'],
  ])('%s is refused with the reason', async (_title, status, onOpen, reason) => {
    const { port } = await setUp({ limits: { laneOpenMs: 50 } })
    fixture!.onOpen = onOpen
    const refused = await post(port, initializeAsking)
    expect([refused.status, refused.json.error?.data?.['outcome']]).toEqual([status, 'not-sent'])
    expect(refused.json.error?.message).toContain(reason)
    expect(fixture!.proxy.stats().sessions).toBe(0)
  })

  it('for a client that leaves meanwhile ends with it', async () => {
    const { port, lanes } = await setUp()
    let open: () => void = () => undefined
    fixture!.onOpen = () =>
      new Promise((resolve) => {
        open = resolve
      })
    const body = JSON.stringify({ jsonrpc: '2.0', ...initializeAsking })
    const req = request({ host: '127.0.0.1', port, path: '/mcp', method: 'POST' })
    req.setHeader('content-type', 'application/json')
    req.on('error', () => undefined)
    req.end(body)
    await expect.poll(() => lanes.length).toBe(1)
    req.destroy()
    await new Promise((resolve) => setTimeout(resolve, 50))
    open()
    await expect.poll(() => lanes[0]!.isClosed).toBe(true)
    expect(fixture!.proxy.stats().sessions).toBe(0)
  })
})

describe('the end', () => {
  it('of the session ends its lane, calls in flight included', async () => {
    const { port, lanes } = await setUp()
    const client = await connectAsking(port)
    lanes[0]!.server.on('tools/call', () => undefined)
    const call = client.post({ id: 1, method: 'tools/call' })
    await lanes[0]!.server.seen(isCall)
    await client.end()
    expect((await call).json.error?.data).toMatchObject({ outcome: 'unknown' })
    expect(lanes[0]!.isClosed).toBe(true)
  })

  it('by expiry does too', async () => {
    const { port, lanes } = await setUp({ limits: { sessionTtlMs: 30, sessionSweepMs: 10 } })
    await connectAsking(port)
    await expect.poll(() => lanes[0]!.isClosed).toBe(true)
  })

  it('of the proxy ends every lane, and waits no longer than it was given', async () => {
    const { port, lanes, proxy } = await setUp()
    await connectAsking(port)
    await connectAsking(port)
    lanes[0]!.isStubborn = true
    const began = performance.now()
    await proxy.close(300)
    expect(performance.now() - began).toBeLessThan(1_500)
    expect(lanes.map(({ isClosed }) => isClosed)).toEqual([true, true])
  })

  it('of the shared server touches no lane', async () => {
    const { port, lanes, proxy } = await setUp()
    const client = await connectAsking(port)
    proxy.detach('restarting')
    expect((await client.post({ id: 1, method: 'tools/call' })).status).toBe(200)
    const late = await connectAsking(port)
    expect((await late.post({ id: 1, method: 'tools/call' })).status).toBe(200)
    expect(lanes.map(({ isClosed }) => isClosed)).toEqual([false, false])
    const response = await openResponse({ port, path: '/health' })
    response.resume()
    expect(response.statusCode).toBe(503)
  })
})
