import { afterEach, describe, expect, it } from 'vitest'
import {
  bothTypes,
  EventReader,
  fetchText,
  initialize,
  openEvents,
  openResponse,
  post,
} from '../testing/http-client.ts'
import { startWithServer, type ProxyFixture } from '../testing/proxy-fixture.ts'
import type { ScriptedServer, Wire } from '../testing/scripted-server.ts'

let fixture: (ProxyFixture & { server: ScriptedServer }) | undefined

async function setUp(
  options: Parameters<typeof startWithServer>[0] = {},
): Promise<ProxyFixture & { server: ScriptedServer }> {
  fixture = await startWithServer(options)
  return fixture
}

afterEach(async () => {
  await fixture?.proxy.close()
  fixture = undefined
})

function postRaw(port: number, body: Wire, session?: string): Promise<EventReader> {
  return openResponse({
    port,
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: bothTypes,
      ...(session === undefined ? {} : { 'mcp-session-id': session }),
    },
    body: JSON.stringify({ jsonrpc: '2.0', ...body }),
  }).then((response) => new EventReader(response))
}

describe('progress', () => {
  it('of two calls with the same token goes to the stream of the asking call only', async () => {
    const { port, server } = await setUp()
    server.on('tools/call', () => undefined)
    const ask = (who: number): Promise<EventReader> =>
      postRaw(port, { id: 1, method: 'tools/call', params: { who, _meta: { progressToken: 't', keep: 1 } } })
    const opening = [ask(1), ask(2)]
    const calls = await Promise.all([1, 2].map((who) => server.seen(({ params }) => params?.['who'] === who)))
    const tokens = calls.map(({ params }) => (params?.['_meta'] as Wire['params'])?.['progressToken'])
    expect(new Set(tokens).size).toBe(2)
    for (const [index, token] of tokens.entries()) {
      server.send({ method: 'notifications/progress', params: { progressToken: token, progress: index } })
    }
    const readers = await Promise.all(opening)
    for (const [index, call] of calls.entries()) server.answer(call, { index })
    for (const [index, reader] of readers.entries()) {
      expect((await reader.message()).params).toEqual({ progressToken: 't', progress: index })
      expect((await reader.message()).result).toEqual({ index })
      expect(await reader.next()).toBeUndefined()
    }
  })

  it('puts off the timeout of its call', async () => {
    const { port, server } = await setUp({ limits: { requestTimeoutMs: 150 } })
    server.on('tools/call', (request) => {
      let ticks = 0
      const timer = setInterval(() => {
        ticks += 1
        if (ticks <= 5)
          return server.send({
            method: 'notifications/progress',
            params: { progressToken: request.id, progress: ticks },
          })
        clearInterval(timer)
        server.answer(request, { ticks })
      }, 50)
      return undefined
    })
    const { json } = await post(port, { id: 'x', method: 'tools/call', params: { _meta: { progressToken: 0 } } })
    expect(json.result).toEqual({ ticks: 6 })
  })
})

describe('cancellation', () => {
  it('reaches the server under its own id, and no response is delivered after', async () => {
    const { port, server } = await setUp()
    const session = await initialize(port)
    const headers = { 'mcp-session-id': session }
    server.on('tools/call', () => undefined)
    const call = post(port, { id: 'c', method: 'tools/call' }, headers)
    const sent = await server.seen(({ method }) => method === 'tools/call')
    const note = await post(
      port,
      { method: 'notifications/cancelled', params: { requestId: 'c', reason: 'r' } },
      headers,
    )
    expect(note.status).toBe(202)
    const cancelled = await server.seen(({ method }) => method === 'notifications/cancelled')
    expect(cancelled.params).toEqual({ requestId: sent.id, reason: 'r' })
    server.answer(sent, { late: true })
    expect(await call).toMatchObject({ status: 202, text: '' })
  })

  it('of another session with the same id changes nothing', async () => {
    const { port, server } = await setUp()
    const [one, two] = await Promise.all([initialize(port), initialize(port)])
    server.on('tools/call', () => undefined)
    const call = post(port, { id: 1, method: 'tools/call' }, { 'mcp-session-id': one })
    const sent = await server.seen(({ method }) => method === 'tools/call')
    await post(port, { method: 'notifications/cancelled', params: { requestId: 1 } }, { 'mcp-session-id': two })
    await post(port, { method: 'notifications/cancelled', params: { requestId: '1' } }, { 'mcp-session-id': one })
    server.answer(sent, { ran: true })
    expect((await call).json.result).toEqual({ ran: true })
  })
})

describe('server notifications', () => {
  it('about a resource go to its subscribers, and the server is asked once', async () => {
    const { port, server } = await setUp()
    const ids = await Promise.all([initialize(port), initialize(port), initialize(port)])
    const streams = await Promise.all(ids.map((id) => openEvents(port, '/mcp', { 'mcp-session-id': id })))
    const ask = (who: number, method: string): Promise<{ json: Wire }> =>
      post(port, { id: 1, method, params: { uri: 'file:///a' } }, { 'mcp-session-id': ids[who]! })
    await ask(0, 'resources/subscribe')
    expect((await ask(1, 'resources/subscribe')).json.result).toEqual({})
    expect((await ask(0, 'resources/unsubscribe')).json.result).toEqual({})
    server.send({ method: 'notifications/resources/updated', params: { uri: 'file:///a' } })
    server.send({ method: 'notifications/tools/list_changed' })
    const heard = await Promise.all(streams.map((stream) => stream.message()))
    expect(heard.map(({ method }) => method)).toEqual([
      'notifications/tools/list_changed',
      'notifications/resources/updated',
      'notifications/tools/list_changed',
    ])
    await ask(1, 'resources/unsubscribe')
    const methods = server.received.map(({ method }) => method).filter((method) => method?.startsWith('resources/'))
    expect(methods).toEqual(['resources/subscribe', 'resources/unsubscribe'])
    for (const stream of streams) stream.close()
  })

  it('of a session that ended are unsubscribed', async () => {
    const { port, server } = await setUp()
    const headers = { 'mcp-session-id': await initialize(port) }
    await post(port, { id: 1, method: 'resources/subscribe', params: { uri: 'u' } }, headers)
    await fetchText({ port, method: 'DELETE', headers })
    expect((await server.seen(({ method }) => method === 'resources/unsubscribe')).params).toEqual({ uri: 'u' })
  })

  it('with log messages go to sessions that asked, at their level; the server gets the most verbose', async () => {
    const { port, server } = await setUp()
    const ids = await Promise.all([initialize(port), initialize(port), initialize(port)])
    const streams = await Promise.all(ids.map((id) => openEvents(port, '/mcp', { 'mcp-session-id': id })))
    const setLevel = (who: number, level: string): Promise<{ json: Wire }> =>
      post(port, { id: 1, method: 'logging/setLevel', params: { level } }, { 'mcp-session-id': ids[who]! })
    await setLevel(0, 'error')
    await setLevel(1, 'debug')
    await setLevel(0, 'warning')
    server.send({ method: 'notifications/message', params: { level: 'info', data: 1 } })
    server.send({ method: 'notifications/message', params: { level: 'error', data: 2 } })
    server.send({ method: 'notifications/tools/list_changed' })
    const first = async (who: number): Promise<unknown> => (await streams[who]!.message()).params?.['data']
    expect([await first(0), await first(1), await first(1), await first(2)]).toEqual([2, 1, 2, undefined])
    await fetchText({ port, method: 'DELETE', headers: { 'mcp-session-id': ids[1] ?? '' } })
    await server.seen(({ params }) => params?.['level'] === 'warning')
    const levels = server.received
      .filter(({ method }) => method === 'logging/setLevel')
      .map(({ params }) => params?.['level'])
    expect(levels).toEqual(['error', 'debug', 'warning'])
    for (const stream of streams) stream.close()
  })

  it('to a client that does not read end in a closed stream, not in memory', async () => {
    const fixture = await setUp({ limits: { streamBufferBytes: 100_000 } })
    const { port, server, proxy } = fixture
    const headers = { 'mcp-session-id': await initialize(port) }
    const stream = await openResponse({ port, headers: { accept: 'text/event-stream', ...headers } })
    stream.pause()
    stream.on('error', () => undefined)
    const isClosed = fixture.logged('closed an event stream')
    const data = 'x'.repeat(50_000)
    const flood = setInterval(() => server.send({ method: 'notifications/tools/list_changed', params: { data } }), 0)
    await isClosed
    clearInterval(flood)
    while (proxy.stats().streams > 0) await new Promise((resolve) => setImmediate(resolve))
    expect((await post(port, { id: 1, method: 'tools/call' }, headers)).status).toBe(200)
    stream.destroy()
  })
})

describe('a client without a session', () => {
  it('cannot change what sessions asked the server for', async () => {
    const { port, server } = await setUp()
    const headers = { 'mcp-session-id': await initialize(port) }
    await post(port, { id: 1, method: 'resources/subscribe', params: { uri: 'u' } }, headers)
    await post(port, { id: 2, method: 'logging/setLevel', params: { level: 'info' } }, headers)
    const before = server.received.length
    const answers = [
      await post(port, { id: 3, method: 'resources/unsubscribe', params: { uri: 'u' } }),
      await post(port, { id: 4, method: 'resources/subscribe', params: { uri: 'v' } }),
      await post(port, { id: 5, method: 'logging/setLevel', params: { level: 'emergency' } }),
    ]
    expect(answers.map(({ json }) => json.error?.code)).toEqual([-32600, -32600, -32600])
    expect(server.received.length).toBe(before)
  })
})

describe('server requests', () => {
  it('get a pong for a ping and -32601 for anything that needs a client', async () => {
    const { server } = await setUp()
    server.send({ id: 'a', method: 'ping' })
    server.send({ id: 9, method: 'sampling/createMessage', params: {} })
    expect(await server.seen(({ id }) => id === 'a')).toEqual({ jsonrpc: '2.0', id: 'a', result: {} })
    expect((await server.seen(({ id, error }) => id === 9 && error !== undefined)).error?.code).toBe(-32601)
  })
})

describe('server output', () => {
  it('that is not MCP is skipped and logged, however it is cut', async () => {
    const { port, server, logs } = await setUp()
    server.write('Server listening …')
    server.write('{"level":"info"}')
    server.output.write('{"half')
    server.output.write('-line\n\n')
    expect((await post(port, { id: 1, method: 'tools/call' })).status).toBe(200)
    const skipped = logs.filter(({ message }) => message.includes('skipped')).map(({ fields }) => fields?.['line'])
    expect(skipped).toEqual(['Server listening …', '{"level":"info"}', '{"half-line'])
  })

  it('of a line that is too long fails its call and no other', async () => {
    const { port, server } = await setUp({ limits: { lineBytes: 10_000 } })
    server.on('tools/call', (request) => {
      server.write(`{"result":{"text":"${'x'.repeat(20_000)}"},"jsonrpc":"2.0","id":${request.id}}`)
      return undefined
    })
    const { status, json } = await post(port, { id: 1, method: 'tools/call' })
    expect([status, json.error?.message]).toEqual([502, "The server's answer is longer than 10000 bytes"])
    expect((await post(port, { id: 2, method: 'other' })).status).toBe(200)
  })
})
