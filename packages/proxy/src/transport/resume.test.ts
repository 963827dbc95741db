import { afterEach, describe, expect, it } from 'vitest'
import type { ProxyLimits } from '../limits.ts'
import {
  bothTypes,
  EventReader,
  fetchText,
  initialize,
  openEvents,
  openResponse,
  post,
} from '../testing/http-client.ts'
import { asking, connectAsking, startWithLanes } from '../testing/lane-fixture.ts'
import { never, startWithServer, type ProxyFixture } from '../testing/proxy-fixture.ts'
import { createScriptedServer, type ScriptedServer, type Wire } from '../testing/scripted-server.ts'

let proxies: ProxyFixture[] = []

afterEach(async () => {
  await Promise.all(proxies.map(async ({ proxy }) => await proxy.close()))
  proxies = []
})

describe('the answer to a POST that has become a stream', () => {
  it('goes on where the client lost it, until the response, and then ends', async () => {
    const { port, server, headers, call } = await open()
    const { stream: first, asked } = await begin(server, call, 7)
    const progress = (step: number): void => progressOf(server, asked, step)
    const { lastId } = first
    first.close()
    progress(2)
    const second = await resume(port, headers, lastId)
    expect((await second.message()).params?.['progress']).toBe(2)
    progress(3)
    expect((await second.message()).params?.['progress']).toBe(3)
    server.answer(asked, { content: [] })
    expect(await second.message()).toMatchObject({ id: 7, result: { content: [] } })
    expect(await second.next()).toBeUndefined()
  })

  it('is kept when nobody is there to read it', async () => {
    const { port, server, headers, call } = await open()
    const { stream: first, asked } = await begin(server, call, 'mine')
    first.close()
    server.answer(asked, { content: [] })
    await sessionIdle(port, headers)
    const second = await resume(port, headers, first.lastId)
    expect(await second.message()).toMatchObject({ id: 'mine', result: {} })
    expect(await second.next()).toBeUndefined()
    const again = await fetchText({ port, headers: { ...headers, 'last-event-id': second.lastId } })
    expect([again.status, again.text]).toEqual([204, ''])
  })

  it('can be resumed from the event that begins it, before anything was said', async () => {
    const { port, server, headers, call } = await open({ streamAfterMs: 1 })
    server.on('tools/call', () => undefined)
    const first = await call({ id: 1, method: 'tools/call', params: {} })
    const asked = await server.seen(({ method }) => method === 'tools/call')
    await until(() => first.lastId !== '')
    first.close()
    const second = await resume(port, headers, first.lastId)
    server.answer(asked, { content: [] })
    expect(await second.message()).toMatchObject({ id: 1 })
  })

  it('comes also for a call that was still waiting for a server when its client lost the connection', async () => {
    const { port, proxy, headers, call } = await open({ streamAfterMs: 1 })
    proxy.detach('gone')
    const first = await call({ id: 1, method: 'tools/call', params: {} })
    await until(() => first.lastId !== '')
    first.close()
    await until(() => proxy.stats().streams === 0)
    await proxy.attach(createScriptedServer().connection, never)
    const second = await resume(port, headers, first.lastId)
    expect(await second.message()).toMatchObject({ id: 1, result: {} })
  })

  it('goes to whoever resumes it, also while the old connection still looks alive', async () => {
    const { port, server, headers, call } = await open()
    const { stream: first, asked } = await begin(server, call, 1)
    const second = await resume(port, headers, first.lastId)
    expect(await first.next()).toBeUndefined()
    server.answer(asked, { content: [] })
    expect(await second.message()).toMatchObject({ id: 1 })
  })

  it('brings nothing of other streams of the session', async () => {
    const { port, server, headers, call } = await open()
    const stream = await openEvents(port, '/mcp', headers)
    const { stream: one, asked: askedOne } = await begin(server, call, 1)
    const { stream: two, asked: askedTwo } = await begin(server, call, 2)
    one.close()
    server.send({ method: 'notifications/tools/list_changed' })
    await stream.message()
    progressOf(server, askedTwo, 2)
    server.answer(askedTwo, { content: [] })
    server.answer(askedOne, { content: [] })
    await two.message()
    const resumed = await resume(port, headers, one.lastId)
    expect(await resumed.message()).toMatchObject({ id: 1, result: {} })
    expect(await resumed.next()).toBeUndefined()
  })

  it('still comes on its own connection when the session is ended meanwhile', async () => {
    const { port, server, headers, call } = await open()
    const { stream, asked } = await begin(server, call, 1)
    await fetchText({ port, method: 'DELETE', headers })
    server.answer(asked, { content: [] })
    expect(await stream.message()).toMatchObject({ id: 1, result: {} })
    expect(await stream.next()).toBeUndefined()
  })

  it('whose response is too large to be kept is answered with an error, once', async () => {
    const { port, server, headers, call } = await open({ storedEventBytes: 500 })
    const { stream: first, asked } = await begin(server, call, 3)
    first.close()
    server.answer(asked, { content: [{ type: 'text', text: 'x'.repeat(1_000) }] })
    await sessionIdle(port, headers)
    const second = await resume(port, headers, first.lastId)
    expect(await second.message()).toMatchObject({ id: 3, error: { data: { outcome: 'unknown' } } })
    expect(await second.next()).toBeUndefined()
    expect((await fetchText({ port, headers: { ...headers, 'last-event-id': second.lastId } })).status).toBe(204)
  })

  it('ends with an error for each of its requests when another proxy sent it', async () => {
    const { port, headers } = await open()
    const waitsFor = Buffer.from('7\n"b"').toString('base64url')
    const stream = await resume(port, headers, `00000000-p4-11-${waitsFor}`)
    for (const id of [7, 'b']) {
      expect(await stream.message()).toMatchObject({ id, error: { message: expect.stringContaining('may have run') } })
    }
    expect(await stream.next()).toBeUndefined()
  })
})

describe('the stream of a session', () => {
  it('brings what was sent while nobody read it, and goes on', async () => {
    const { port, server, headers } = await open()
    const first = await openEvents(port, '/mcp', headers)
    server.send({ method: 'notifications/tools/list_changed' })
    await first.message()
    first.close()
    await post(port, { id: 1, method: 'resources/subscribe', params: { uri: 'a:b' } }, headers)
    server.send({ method: 'notifications/resources/updated', params: { uri: 'a:b', 'x-more': 1 } })
    await sessionIdle(port, headers)
    const second = await resume(port, headers, first.lastId)
    expect((await second.message()).params).toEqual({ uri: 'a:b', 'x-more': 1 })
    server.send({ method: 'notifications/prompts/list_changed' })
    expect((await second.message()).method).toBe('notifications/prompts/list_changed')
  })

  it.each(['nonsense', '00000000-g1-5'])(
    'that is resumed from the unknown event %s says what may have been missed',
    async (lastId) => {
      const { port, server, headers } = await open()
      await post(port, { id: 1, method: 'resources/subscribe', params: { uri: 'a:b' } }, headers)
      const stream = await resume(port, headers, lastId)
      expect([(await stream.message()).method, (await stream.message()).params]).toEqual([
        'notifications/tools/list_changed',
        { uri: 'a:b' },
      ])
      server.send({ method: 'notifications/prompts/list_changed' })
      expect((await stream.message()).method).toBe('notifications/prompts/list_changed')
    },
  )

  it('that lost events says what may have been missed, after those that are left', async () => {
    const { port, server, headers } = await open({ storedEvents: 2 })
    const first = await openEvents(port, '/mcp', headers)
    server.send({ method: 'notifications/tools/list_changed' })
    await first.message()
    const { lastId } = first
    for (const list of ['prompts', 'prompts', 'resources'])
      server.send({ method: `notifications/${list}/list_changed` })
    for (let events = 0; events < 3; events += 1) await first.message()
    first.close()
    const second = await resume(port, headers, lastId)
    const methods = [await second.message(), await second.message(), await second.message()].map(({ method }) => method)
    expect(methods).toEqual(['prompts', 'resources', 'tools'].map((list) => `notifications/${list}/list_changed`))
  })

  it('is not taken back by the stream before it: 409, so that two clients do not take turns without end', async () => {
    const { port, headers } = await open()
    const first = await openEvents(port, '/mcp', headers)
    await until(() => first.lastId !== '')
    const second = await openEvents(port, '/mcp', headers)
    expect(await first.next()).toBeUndefined()
    expect((await fetchText({ port, headers: { ...headers, 'last-event-id': first.lastId } })).status).toBe(409)
    expect(second.ended).toBe(false)
  })
})

describe('a session of a revision without resumption', () => {
  it('has one stream all the same: a second GET ends the first', async () => {
    const { port, server, headers } = await open({}, '2024-11-05')
    const first = await openEvents(port, '/mcp', headers)
    const second = await openEvents(port, '/mcp', { ...headers, 'last-event-id': 'nonsense' })
    expect(await first.next()).toBeUndefined()
    server.send({ method: 'notifications/tools/list_changed' })
    expect((await second.message()).method).toBe('notifications/tools/list_changed')
  })
})

describe('the first event of a stream', () => {
  it.each([
    ['2025-11-25', /^id: [0-9a-f]{8}-g1-1\nretry: 2000\ndata: \n\n/],
    ['2025-06-18', /^id: [0-9a-f]{8}-g1-2\nevent: message\n/],
    ['2025-03-26', /^id: [0-9a-f]{8}-g1-2\nevent: message\n/],
    ['2024-11-05', /^event: message\n/],
  ])('in a session of %s is as that revision allows', async (version, expected) => {
    const { port, server, headers } = await open({}, version)
    const response = await openResponse({ port, headers: { accept: 'text/event-stream', ...headers } })
    server.send({ method: 'notifications/tools/list_changed' })
    let text = ''
    for await (const piece of response) {
      text += String(piece)
      if (text.includes('list_changed')) break
    }
    expect(text).toMatch(expected)
  })
})

describe('a question of the server', () => {
  it('that went out on a connection nobody read is found by the client that resumes it, and its end too', async () => {
    const fixture = await startWithLanes()
    proxies.push(fixture)
    const client = await connectAsking(fixture.port, asking)
    const lane = fixture.lanes[0]!.server
    lane.on('tools/call', () => undefined)
    const { stream: call, asked } = await begin(lane, (message) => client.call(message), 5)
    const { lastId } = call
    // Half-open: the proxy writes to it, and the client has long forgotten it.
    lane.send({ id: 'q', method: 'elicitation/create', params: { message: 'who?' } })
    await call.message()
    const resumed = await resume(fixture.port, client.headers, lastId)
    const question = await resumed.message()
    expect(question.method).toBe('elicitation/create')
    await client.post({ id: question.id ?? 0, result: { action: 'accept', content: {} } })
    expect(await lane.seen(({ id }) => id === 'q')).toMatchObject({ result: { action: 'accept' } })
    lane.answer(asked, { content: [] })
    expect(await resumed.message()).toMatchObject({ id: 5 })
  })

  it('that found no connection is sent to the client that resumes its stream', async () => {
    const fixture = await startWithLanes()
    proxies.push(fixture)
    const client = await connectAsking(fixture.port, asking)
    const lane = fixture.lanes[0]!.server
    lane.on('tools/call', () => undefined)
    const { stream: call } = await begin(lane, (message) => client.call(message), 5)
    call.close()
    await until(() => fixture.proxy.stats().streams === 0)
    lane.send({ id: 'q', method: 'elicitation/create', params: { message: 'who?' } })
    const resumed = await resume(fixture.port, client.headers, call.lastId)
    expect((await resumed.message()).method).toBe('elicitation/create')
  })
})

describe('what is kept', () => {
  it('takes at most half of the room for slow peers, and gives it back with the session', async () => {
    const { port, proxy, server, headers } = await open({ heldBytes: 8_000 })
    const other = { 'mcp-session-id': await initialize(port) }
    const stream = await openEvents(port, '/mcp', headers)
    for (let round = 0; round < 100; round += 1) {
      server.send({ method: 'notifications/tools/list_changed' })
      await stream.message()
    }
    proxy.detach('gone')
    const waiting = (bytes: number): ReturnType<typeof post> =>
      post(port, { id: bytes, method: 'tools/call', params: { text: 'x'.repeat(bytes) } }, other)
    expect((await waiting(5_000)).status).toBe(503)
    const answers = [waiting(3_000)]
    await until(() => proxy.stats().inFlight === 1)
    await fetchText({ port, method: 'DELETE', headers })
    answers.push(waiting(4_000))
    await until(() => proxy.stats().inFlight === 2)
    await proxy.attach(createScriptedServer().connection, never)
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200])
  })
})

async function open(limits: Partial<ProxyLimits> = {}, version = '2025-11-25') {
  const fixture = await startWithServer({ limits })
  proxies.push(fixture)
  const { port, server } = fixture
  server.on('tools/call', (request) => (request.params?.['_meta'] === undefined ? { content: [] } : undefined))
  const headers = { 'mcp-session-id': await initialize(port, version) }
  const call = async (message: Wire): Promise<EventReader> => {
    const body = JSON.stringify({ jsonrpc: '2.0', ...message })
    const sent = { 'content-type': 'application/json', accept: bothTypes, ...headers }
    return new EventReader(await openResponse({ port, method: 'POST', headers: sent, body }))
  }
  return { ...fixture, port, server, headers, call }
}

/** Sends a call and has the server report one step, which makes the answer a stream. */
async function begin(
  server: ScriptedServer,
  call: (message: Wire) => Promise<EventReader>,
  id: string | number,
): Promise<{ stream: EventReader; asked: Wire }> {
  const known = new Set(server.received)
  const pending = call({ id, method: 'tools/call', params: { _meta: { progressToken: 'p' } } })
  const asked = await server.seen((message) => message.method === 'tools/call' && !known.has(message))
  progressOf(server, asked, 1)
  const stream = await pending
  expect((await stream.message()).params).toMatchObject({ progressToken: 'p', progress: 1 })
  return { stream, asked }
}

function progressOf(server: ScriptedServer, asked: Wire, step: number): void {
  server.send({ method: 'notifications/progress', params: { progressToken: asked.id, progress: step } })
}

async function resume(port: number, headers: Record<string, string>, lastId: string): Promise<EventReader> {
  const stream = await openEvents(port, '/mcp', { ...headers, 'last-event-id': lastId })
  expect(stream.response.statusCode).toBe(200)
  return stream
}

/** An answer of the server to something else: everything it wrote before has been read by then. */
async function sessionIdle(port: number, headers: Record<string, string>): Promise<void> {
  expect((await post(port, { id: 'after', method: 'tools/call' }, headers)).status).toBe(200)
}

/** For what the proxy does when a connection ends, which nothing announces. */
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((wake) => setTimeout(wake, 5))
}
