import { afterEach, describe, expect, it } from 'vitest'
import { bothTypes, fetchText, initialize, openEvents, openResponse, post } from '../testing/http-client.ts'
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

describe('initialize', () => {
  it('is answered with what the server said, under the id of the client and with a new session', async () => {
    const { port } = await setUp()
    const response = await post(port, { id: 'init', method: 'initialize', params: { protocolVersion: '2025-06-18' } })
    expect(response.status).toBe(200)
    expect(response.headers['mcp-session-id']).toMatch(/^[0-9a-f-]{36}$/)
    expect(response.json).toMatchObject({
      id: 'init',
      result: { protocolVersion: '2025-06-18', serverInfo: { name: 'scripted', 'x-unknown': true }, 'x-extra': 12345 },
    })
  })

  it.each([
    ['2024-11-05', '2025-06-18', '2024-11-05'],
    ['2025-11-25', '2025-06-18', '2025-06-18'],
    ['2099-01-01', '2025-06-18', '2025-06-18'],
  ])('of a client with %s before a server with %s settles on %s', async (asked, serverVersion, wanted) => {
    const { port } = await setUp({ serverVersion })
    const { json } = await post(port, { id: 1, method: 'initialize', params: { protocolVersion: asked } })
    expect(json.result?.['protocolVersion']).toBe(wanted)
  })

  it('reaches the server once, however many clients come', async () => {
    const { port, server } = await setUp()
    await Promise.all([initialize(port), initialize(port), initialize(port)])
    const methods = server.received.map(({ method }) => method)
    expect(methods).toEqual(['initialize', 'notifications/initialized'])
    expect(server.received[0]?.params).toMatchObject({
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'thv' },
    })
  })

  it('is refused with 503 when there are too many sessions, and all of them are in use', async () => {
    const { port, proxy } = await setUp({ limits: { sessions: 1 } })
    const stream = await openEvents(port, '/mcp', { 'mcp-session-id': await initialize(port) })
    const response = await post(port, { id: 1, method: 'initialize', params: {} })
    expect(response.status).toBe(503)
    expect(response.json.error?.code).toBe(-32603)
    stream.close()
    while (proxy.stats().streams > 0) await new Promise((resolve) => setImmediate(resolve))
    expect((await post(port, { id: 1, method: 'initialize', params: {} })).status).toBe(200)
  })

  it('is not refused because of sessions that were forgotten', async () => {
    const { port, proxy } = await setUp({ limits: { sessions: 2 } })
    const kept = { 'mcp-session-id': await initialize(port) }
    await post(port, { method: 'notifications/initialized' }, kept)
    for (let round = 0; round < 5; round += 1) expect(await initialize(port)).toMatch(/-/)
    expect(proxy.stats().sessions).toBe(2)
    expect((await post(port, { id: 1, method: 'tools/call' }, kept)).status).toBe(200)
  })
})

describe('a call', () => {
  it.each([0, 1, '', 'a', '1', -5])('keeps the id %j with its type', async (id) => {
    const { port } = await setUp()
    const session = await initialize(port)
    const { json } = await post(port, { id, method: 'tools/call', params: {} }, { 'mcp-session-id': session })
    expect(json.id).toBe(id)
  })

  it('loses no digit of a big number and no unknown member, in either direction', async () => {
    const { port, server } = await setUp()
    server.on('tools/call', (request) => {
      server.write(
        `{"result":{"n":98765432109876543210.50,"u":"\\u00e9 €"},"x":[1.0],"jsonrpc":"2.0","id":${request.id}}`,
      )
      return undefined
    })
    const body =
      '{"jsonrpc":"2.0","future":1.10,"id":12345678901234567890,"method":"tools/call",\n"params":{"n":12345678901234567890}}'
    const { text } = await post(port, body)
    expect(text).toBe(
      '{"result":{"n":98765432109876543210.50,"u":"\\u00e9 €"},"x":[1.0],"jsonrpc":"2.0","id":12345678901234567890}',
    )
    expect(server.lines.at(-1)).toMatch(
      /^\{"jsonrpc":"2.0","future":1.10,"id":\d+,"method":"tools\/call", "params":\{"n":12345678901234567890\}\}$/,
    )
  })

  it('of any of 100 clients with the same id gets its own answer', async () => {
    const { port, server } = await setUp()
    const held: Wire[] = []
    server.on('tools/call', (request) => {
      held.push(request)
      if (held.length === 100)
        for (const one of held.toReversed()) server.answer(one, { echo: one.params?.['arguments'] })
      return undefined
    })
    const sessions = await Promise.all(Array.from({ length: 100 }, () => initialize(port)))
    const answers = await Promise.all(
      sessions.map((session, who) =>
        post(port, { id: 1, method: 'tools/call', params: { arguments: { who } } }, { 'mcp-session-id': session }),
      ),
    )
    expect(answers.map(({ json }) => [json.id, json.result])).toEqual(
      sessions.map((_session, who) => [1, { echo: { who } }]),
    )
    expect(new Set(held.map(({ id }) => id)).size).toBe(100)
  })

  it('needs no session', async () => {
    const { port } = await setUp()
    const { status, json } = await post(port, { id: 7, method: 'tools/call', params: {} })
    expect([status, json.id]).toEqual([200, 7])
  })

  it('of an unknown method is forwarded, and the answer of the server is what comes back', async () => {
    const { port } = await setUp()
    const { status, json } = await post(port, { id: 7, method: 'vendor/x' })
    expect([status, json.error]).toEqual([200, { code: -32601, message: 'no vendor/x' }])
  })

  it('of ping is answered without the server', async () => {
    const { port, server } = await setUp()
    expect((await post(port, { id: 'p', method: 'ping' })).json).toEqual({ jsonrpc: '2.0', id: 'p', result: {} })
    expect(server.received.some(({ method }) => method === 'ping')).toBe(false)
  })

  it('without an answer ends in 504, and the server is told', async () => {
    const { port, server } = await setUp({ limits: { requestTimeoutMs: 50 } })
    server.on('tools/call', () => undefined)
    const { status, json } = await post(port, { id: 7, method: 'tools/call' })
    expect([status, json.id, json.error?.code]).toEqual([504, 7, -32000])
    const sent = await server.seen(({ method }) => method === 'tools/call')
    const cancelled = await server.seen(({ method }) => method === 'notifications/cancelled')
    expect(cancelled.params?.['requestId']).toBe(sent.id)
  })

  it('goes on at the server when its client leaves', async () => {
    const { port, server, proxy } = await setUp()
    server.on('tools/call', () => undefined)
    const abort = new AbortController()
    const leaving = fetch(`http://127.0.0.1:${port}/mcp`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call' }),
      signal: abort.signal,
    })
    const request = await server.seen(({ method }) => method === 'tools/call')
    abort.abort()
    await expect(leaving).rejects.toThrow('abort')
    expect((await post(port, { id: 2, method: 'ping' })).status).toBe(200)
    expect(server.received.some(({ method }) => method === 'notifications/cancelled')).toBe(false)
    expect(proxy.stats().inFlight).toBe(1)
    server.answer(request, {})
  })

  it('is refused without being sent when the server does not read its input', async () => {
    const { port, server, proxy } = await setUp({ limits: { serverQueueBytes: 100_000 } })
    server.input.pause()
    const params = { arguments: 'x'.repeat(60_000) }
    const first = post(port, { id: 1, method: 'tools/call', params })
    while (proxy.stats().inFlight === 0) await new Promise((resolve) => setImmediate(resolve))
    const second = await post(port, { id: 2, method: 'tools/call', params })
    expect([second.status, second.json.error?.data]).toEqual([503, { outcome: 'not-sent' }])
    server.input.resume()
    expect((await first).status).toBe(200)
  })
})

describe('the answer to a POST', () => {
  it('is plain JSON when the response comes first', async () => {
    const { port } = await setUp()
    const { headers } = await post(port, { id: 1, method: 'tools/call' })
    expect(headers['content-type']).toBe('application/json')
  })

  it('is an event stream for a client that reads nothing else', async () => {
    const { port } = await setUp()
    const { headers, text } = await post(port, { id: 1, method: 'tools/call' }, { accept: 'text/event-stream' })
    expect(headers['content-type']).toBe('text/event-stream')
    expect(headers['cache-control']).toBe('no-cache, no-transform')
    expect(headers['x-accel-buffering']).toBe('no')
    expect(text).toMatch(/^event: message\ndata: \{.*"id":1,.*\}\n\n$/)
  })

  it('to initialize carries the session id on an event stream too', async () => {
    const { port } = await setUp()
    const { headers, json } = await post(port, { id: 1, method: 'initialize' }, { accept: 'text/event-stream' })
    expect(headers['mcp-session-id']).toMatch(/-/)
    expect(json.id).toBe(1)
  })

  it('becomes an event stream with keep-alive comments when the server is silent', async () => {
    const { port, server } = await setUp({ limits: { streamAfterMs: 20, keepAliveMs: 20 } })
    server.on('tools/call', () => undefined)
    const response = await openResponse({
      port,
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: bothTypes },
      body: '{"jsonrpc":"2.0","id":1,"method":"tools/call"}',
    })
    expect(response.headers['content-type']).toBe('text/event-stream')
    let text = ''
    for await (const piece of response) {
      text += String(piece)
      if (text.includes(': keep-alive') && !text.includes('data:'))
        server.answer(server.received.at(-1)!, { done: true })
    }
    expect(text).toContain('"done":true')
  })

  it('stays JSON over a silence for a client that reads JSON only', async () => {
    const { port, server } = await setUp({ limits: { streamAfterMs: 10 } })
    server.on('tools/call', (request) => {
      setTimeout(() => server.answer(request, {}), 60)
      return undefined
    })
    const { headers } = await post(port, { id: 1, method: 'tools/call' }, { accept: 'application/json' })
    expect(headers['content-type']).toBe('application/json')
  })

  it.each(['*/*', 'application/*;q=0.8', 'application/json'])('is JSON for Accept %s', async (accept) => {
    const { port } = await setUp()
    const { status, headers } = await post(port, { id: 1, method: 'tools/call' }, { accept })
    expect([status, headers['content-type']]).toEqual([200, 'application/json'])
  })
})

describe('sessions', () => {
  it('that are unknown get 404 with the id of the request', async () => {
    const { port } = await setUp()
    const { status, json } = await post(port, { id: 'q', method: 'tools/list' }, { 'mcp-session-id': 'nope' })
    expect([status, json]).toEqual([
      404,
      { jsonrpc: '2.0', id: 'q', error: { code: -32001, message: 'Session not found' } },
    ])
  })

  it('end with DELETE', async () => {
    const { port, proxy } = await setUp()
    const headers = { 'mcp-session-id': await initialize(port) }
    const stream = await openEvents(port, '/mcp', headers)
    expect((await fetchText({ port, method: 'DELETE', headers })).status).toBe(204)
    expect(await stream.next()).toBeUndefined()
    expect((await fetchText({ port, method: 'DELETE', headers })).status).toBe(404)
    expect((await fetchText({ port, method: 'DELETE' })).status).toBe(400)
    expect(proxy.stats().sessions).toBe(0)
  })

  it('have one stream: a second GET ends the first', async () => {
    const { port, server } = await setUp()
    const headers = { 'mcp-session-id': await initialize(port) }
    const first = await openEvents(port, '/mcp', headers)
    const second = await openEvents(port, '/mcp', headers)
    expect(await first.next()).toBeUndefined()
    server.send({ method: 'notifications/tools/list_changed' })
    expect((await second.message()).method).toBe('notifications/tools/list_changed')
    second.close()
  })

  it('keep their revision, whichever other one a request names', async () => {
    const { port } = await setUp()
    const session = { 'mcp-session-id': await initialize(port, '2025-03-26') }
    const batch = [{ jsonrpc: '2.0', id: 1, method: 'ping' }]
    const as = async (version: string) =>
      (await post(port, batch, { ...session, 'mcp-protocol-version': version })).status
    // Batches are of 2025-03-26 alone, so the answer shows by which revision the session goes.
    expect([await as('2025-03-26'), await as('2025-11-25'), await as('1999-01-01')]).toEqual([200, 200, 400])
    const get = { ...session, accept: 'text/event-stream', 'mcp-protocol-version': '1999-01-01' }
    expect((await fetchText({ port, headers: get })).status).toBe(400)
    expect((await fetchText({ port, method: 'DELETE', headers: get })).status).toBe(400)
  })

  it('that were idle for too long get 404 with every method', async () => {
    const { port, proxy } = await setUp({ limits: { sessionTtlMs: 30, sessionSweepMs: 10 } })
    const headers = { 'mcp-session-id': await initialize(port) }
    while (proxy.stats().sessions > 0) await new Promise((resolve) => setTimeout(resolve, 10))
    expect((await post(port, { id: 1, method: 'ping' }, headers)).status).toBe(404)
    expect((await fetchText({ port, headers })).status).toBe(404)
    expect((await fetchText({ port, method: 'DELETE', headers })).status).toBe(404)
  })
})

describe('bad requests', () => {
  it.each<[string, string, Record<string, string>, [number, number]]>([
    ['unparsable JSON', '{', {}, [400, -32700]],
    ['a body that is no message', '{"a":1}', {}, [400, -32600]],
    ['a request with id null', '{"jsonrpc":"2.0","id":null,"method":"a"}', {}, [400, -32600]],
    ['a batch', '[{"jsonrpc":"2.0","id":1,"method":"ping"}]', {}, [400, -32600]],
    ['another content type', '{}', { 'content-type': 'text/plain' }, [415, -32000]],
    ['an Accept that allows nothing', '{}', { accept: 'image/png' }, [406, -32000]],
    [
      'an unknown version',
      '{"jsonrpc":"2.0","id":1,"method":"ping"}',
      { 'mcp-protocol-version': '1999-01-01' },
      [400, -32000],
    ],
  ])('%s are refused', async (_title, body, headers, wanted) => {
    const { port } = await setUp()
    const response = await post(port, body, headers)
    expect([response.status, response.json.error?.code]).toEqual(wanted)
  })

  it('over the size limit get 413, declared or streamed', async () => {
    const { port } = await setUp({ limits: { bodyBytes: 1000 } })
    const body = `"${'x'.repeat(2000)}"`
    expect((await post(port, body)).status).toBe(413)
    const chunked = await post(port, body, { 'transfer-encoding': 'chunked' })
    expect(chunked.status).toBe(413)
    expect((await post(port, { id: 1, method: 'ping' })).status).toBe(200)
  })

  it('that are not UTF-8 get 400', async () => {
    const { port } = await setUp()
    const body = Buffer.from([0x22, 0xff, 0xfe, 0x22])
    const headers = { 'content-type': 'application/json' }
    expect((await fetchText({ port, method: 'POST', headers, body })).status).toBe(400)
  })

  it('with other methods or paths get 405 and 404', async () => {
    const { port } = await setUp()
    expect((await fetchText({ port, method: 'PUT' })).status).toBe(405)
    expect((await fetchText({ port, path: '/mcp/' })).status).toBe(404)
    expect((await fetchText({ port, path: '/sse' })).status).toBe(404)
    expect((await fetchText({ port })).status).toBe(400)
    expect((await fetchText({ port, headers: { 'mcp-session-id': 'x' } })).status).toBe(404)
  })

  it('that are notifications or responses get 202 whatever their session', async () => {
    const { port } = await setUp()
    const headers = { 'mcp-session-id': 'unknown' }
    expect((await post(port, { method: 'notifications/initialized' }, headers)).status).toBe(202)
    expect((await post(port, { id: 1, result: {} }, headers)).status).toBe(202)
  })
})

describe('batches of a 2025-03-26 session', () => {
  it('are split, run at the same time and collected', async () => {
    const { port, server } = await setUp()
    const headers = { 'mcp-session-id': await initialize(port, '2025-03-26') }
    const held: Wire[] = []
    server.on('tools/call', (request) => {
      held.push(request)
      if (held.length === 2) for (const one of held.toReversed()) server.answer(one, {})
      return undefined
    })
    const { status, json } = await post(
      port,
      [
        { jsonrpc: '2.0', id: 1, method: 'tools/call' },
        { jsonrpc: '2.0', method: 'notifications/vendor' },
        { jsonrpc: '2.0', id: '2', method: 'tools/call' },
        { jsonrpc: '2.0', id: 3, method: 'initialize' },
        { id: 4 },
      ],
      headers,
    )
    expect(status).toBe(200)
    const answers = json as unknown as Wire[]
    expect(answers.map(({ id, error }) => [id, error?.code])).toEqual([
      [3, -32600],
      [4, -32600],
      ['2', undefined],
      [1, undefined],
    ])
    await server.seen(({ method }) => method === 'notifications/vendor')
  })

  it('of notifications only get 202, empty ones 400', async () => {
    const { port } = await setUp()
    const headers = { 'mcp-session-id': await initialize(port, '2025-03-26') }
    expect((await post(port, [{ jsonrpc: '2.0', method: 'notifications/x' }], headers)).status).toBe(202)
    expect((await post(port, '[]', headers)).status).toBe(400)
  })
})
