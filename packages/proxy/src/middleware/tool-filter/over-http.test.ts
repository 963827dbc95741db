import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createToolFilter } from './tool-filter.ts'
import { startHttpServer, type ScriptedHttpServer } from '../../testing/http-backend.ts'
import { bothTypes, fetchText, initialize, openEvents, post } from '../../testing/http-client.ts'
import { never, startProxy, type ProxyFixture } from '../../testing/proxy-fixture.ts'
import type { Wire } from '../../testing/scripted-server.ts'

const rules = { filter: ['shout', 'b'], overrides: { echo: { name: 'shout', description: 'louder' } } }
const tools = '[{"name":"echo","big":12345678901234567890},{"name":"b"},{"name":"hidden"}]'
const shown = '[{"description":"louder","name":"shout","big":12345678901234567890},{"name":"b"}]'

let server: ScriptedHttpServer
let fixture: ProxyFixture
let port: number

beforeEach(async () => {
  server = await startHttpServer()
  await serve()
})

afterEach(async () => {
  await fixture.proxy.close()
  await server.kill()
})

describe('a tool filter before an HTTP server', () => {
  it('changes a JSON list and its length, and keeps everything else', async () => {
    answer((id) => ({ type: 'application/json', text: list(id, tools), headers: { 'x-own': 'kept' } }))
    const { status, headers, text } = await post(port, { id: 1, method: 'tools/list' })
    expect({ status, text }).toEqual({ status: 200, text: list('1', shown) })
    expect(headers).toMatchObject({ 'x-own': 'kept', 'content-length': String(Buffer.byteLength(text)) })
  })

  it('changes a list on an event stream, and keeps the other events and their fields', async () => {
    const before = ': hello\n\nid: 7\nevent: message\ndata: {"jsonrpc":"2.0","method":"notifications/x"}\n\n\n'
    const event = (text: string): string => `id: 8\nretry: 5\ndata: ${text}\n\n: bye\n\n`
    answer((id) => ({ type: 'text/event-stream', text: before + event(list(id, tools)) }))
    const { text } = await post(port, { id: 'a"', method: 'tools/list' })
    expect(text).toBe(before + event(list('"a\\""', shown)))
  })

  it.each([
    ['a batch behind space', 'application/json', (text: string) => `\uFEFF\n [${text}]`],
    ['an event stream by another spelling', 'Text/Event-Stream', (text: string) => `data: ${text}\n\n`],
    ['a batch behind space in an event', 'text/event-stream', (text: string) => `data:   [${text}]\n\n`],
  ])('sees %s', async (_what, type, wrap) => {
    answer((id) => ({ type, text: wrap(list(id, tools)) }))
    const { text } = await post(port, { id: 1, method: 'tools/list' })
    expect(text).toContain('shout')
    expect(text).not.toContain('hidden')
  })

  it('refuses the stream of a session that cannot be read', async () => {
    const headers = { 'mcp-session-id': await initialize(port) }
    const text = gzipSync(`data: ${list('1', tools)}\n\n`)
    server.script = (_req, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': 'gzip' }).end(text)
      return true
    }
    const { status } = await fetchText({ port, headers: { ...headers, accept: 'text/event-stream' } })
    expect(status).toBe(502)
  })

  it('asks for an answer that can be read, and refuses one that cannot', async () => {
    answer((id) => ({
      type: 'application/json',
      text: gzipSync(list(id, tools)),
      headers: { 'content-encoding': 'gzip' },
    }))
    const { status, text } = await post(port, { id: 1, method: 'tools/list' }, { 'accept-encoding': 'gzip' })
    expect(server.seen.at(-1)?.headers['accept-encoding']).toBeUndefined()
    expect(status).toBe(502)
    expect(text).not.toContain('hidden')
  })

  it('leaves answers to anything else compressed and untouched', async () => {
    const bytes = gzipSync('{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"hidden"}]}}')
    answer(() => ({ type: 'application/json', text: bytes, headers: { 'content-encoding': 'gzip' } }))
    const { headers } = await post(port, { id: 1, method: 'resources/list' }, { 'accept-encoding': 'gzip' })
    expect(headers).toMatchObject({ 'content-encoding': 'gzip', 'content-length': String(bytes.length) })
  })

  it('changes the name of a call in body and header, and nothing else', async () => {
    echo()
    const body = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"shout","arguments":{"n":1.0}}}'
    await post(port, body, { 'mcp-name': 'shout', 'mcp-method': 'tools/call' })
    const seen = server.seen.at(-1)
    expect(seen?.body).toBe(body.replace('shout', 'echo'))
    expect(seen?.headers).toMatchObject({ 'mcp-name': 'echo', 'mcp-method': 'tools/call' })
    await post(port, body.replace('shout', 'b'), { 'mcp-name': 'b' })
    expect(server.seen.at(-1)?.headers['mcp-name']).toBe('b')
    // Without a header none is added, and one that contradicts the body is left for the server to refuse.
    await post(port, body)
    expect(server.seen.at(-1)?.headers['mcp-name']).toBeUndefined()
    await post(port, body, { 'mcp-name': 'b' })
    expect(server.seen.at(-1)?.headers['mcp-name']).toBe('b')
  })

  it('answers the call of a hidden tool itself', async () => {
    const call = { id: 1, method: 'tools/call', params: { name: 'hidden' } }
    const json = await post(port, call)
    expect(json).toMatchObject({ status: 200, json: { id: 1, error: { code: -32602, message: 'tool not found' } } })
    const events = await post(port, call, { accept: 'text/event-stream' })
    expect(events.headers['content-type']).toBe('text/event-stream')
    expect(events.json).toMatchObject({ id: 1, error: { code: -32602 } })
    expect(server.seen).toEqual([])
  })

  it('reads large bodies as well', async () => {
    const params = { name: 'hidden', arguments: { text: 'x'.repeat(200_000) } }
    expect((await post(port, { id: 1, method: 'tools/call', params })).json.error?.code).toBe(-32602)
    expect((await post(port, 'x'.repeat(9 * 1024 * 1024))).status).toBe(413)
    expect(server.seen).toEqual([])
  })

  it.each<[string, string, Record<string, string>]>([
    ['is no JSON', '{"name": shout', {}],
    ['has two methods', '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}', {}],
    ['is compressed', '{}', { 'content-encoding': 'gzip' }],
    ['claims to be something else', 'tools/call', { 'content-type': 'text/plain' }],
  ])('does not let a body pass that %s', async (_what, body, headers) => {
    expect((await post(port, body, headers)).status).toBeGreaterThanOrEqual(400)
    expect(server.seen).toEqual([])
  })

  it('looks at every member of a batch', async () => {
    const id = await initialize(port)
    server.seen.length = 0
    const call = (name: string, number: number): Wire => ({
      jsonrpc: '2.0',
      id: number,
      method: 'tools/call',
      params: { name },
    })
    const mixed = await post(port, [call('b', 1), call('hidden', 2)], { 'mcp-session-id': id })
    expect(mixed.json).toMatchObject([
      { id: 1, error: { data: { outcome: 'not-sent' } } },
      { id: 2, error: { code: -32602 } },
    ])
    expect(server.seen).toEqual([])
    server.script = (_req, res) => {
      res.writeHead(200, { 'content-type': 'application/json' })
      res.end(`[${list('2', tools)},{"jsonrpc":"2.0","id":1,"result":{"tools":${tools}}}]`)
      return true
    }
    const good = await post(port, [call('shout', 1), { jsonrpc: '2.0', id: 2, method: 'tools/list' }], {
      'mcp-session-id': id,
    })
    expect(JSON.parse(server.seen.at(-1)?.body ?? '')).toMatchObject([{ params: { name: 'echo' } }, { id: 2 }])
    expect(good.text).toContain(`[${list('2', shown)},`)
  })

  it('changes a list that comes late on the stream of the session, and keeps notifications', async () => {
    const id = await initialize(port)
    const events = await openEvents(port, '/mcp', { 'mcp-session-id': id })
    await expect.poll(() => server.sessions.values().next().value).toBeDefined()
    const stream = [...server.sessions.values()][0]
    const note = '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'
    stream?.write(`id: 1\ndata: ${list('1', tools)}\n\ndata: ${note}\n\n`)
    expect(await events.next()).toEqual({ id: '1', data: list('1', shown) })
    expect(await events.next()).toEqual({ data: note })
    events.close()
  })

  it('does not let an event pass that is too long to be looked at', async () => {
    await serve({ lineBytes: 1000 })
    // Longer than what comes in one piece.
    const long = (id: string): string => list(id, tools).replace(',"_meta"', `${' '.repeat(300_000)},"_meta"`)
    answer((id) => ({ type: 'text/event-stream', text: `data: ${long(id)}\n\n` }))
    const { text } = await post(port, { id: 1, method: 'tools/list' }).catch(() => ({ text: '' }))
    expect(text.includes('hidden')).toBe(false)
    answer((id) => ({ type: 'application/json', text: list(id, tools) + ' '.repeat(2000) }))
    expect((await post(port, { id: 1, method: 'tools/list' })).status).toBe(502)
  })
})

describe('a tool filter before an SSE server', () => {
  beforeEach(async () => {
    let stream: { write(text: string): void } | undefined
    const script: ScriptedHttpServer['script'] = (req, res, body) => {
      if (req.method === 'GET') {
        stream = res.writeHead(200, { 'content-type': 'text/event-stream' })
        res.write('event: endpoint\ndata: /messages?sessionId=1\n\n')
        return true
      }
      const message: Wire = JSON.parse(body)
      res.writeHead(202).end()
      stream?.write(`event: message\ndata: ${list(JSON.stringify(message.id), tools)}\n\n`)
      return true
    }
    server.script = script
    server.ownScript = script
    await serve({}, 'sse')
  })

  it('changes the list on the stream, and refuses a call with a status its client can see', async () => {
    const events = await openEvents(port, '/sse')
    expect(await events.next()).toMatchObject({ event: 'endpoint', data: '/messages?sessionId=1' })
    const send = async (message: Wire): Promise<number> => {
      const headers = { 'content-type': 'application/json', accept: bothTypes }
      const body = JSON.stringify({ jsonrpc: '2.0', ...message })
      return (await fetchText({ port, path: '/messages?sessionId=1', method: 'POST', headers, body })).status
    }
    expect(await send({ id: 3, method: 'tools/list' })).toBe(202)
    expect(await events.next()).toEqual({ event: 'message', data: list('3', shown) })
    expect(await send({ id: 4, method: 'tools/call', params: { name: 'hidden' } })).toBe(400)
    events.close()
  })
})

it('without message steps a body is not read', async () => {
  await serve({}, 'streamable-http', false)
  echo()
  await post(port, '{"name": shout')
  expect(server.seen.at(-1)?.body).toBe('{"name": shout')
})

async function serve(
  limits: Record<string, number> = {},
  transport: 'streamable-http' | 'sse' = 'streamable-http',
  isFiltered = true,
): Promise<void> {
  await fixture?.proxy.close()
  const middleware = isFiltered ? [createToolFilter(rules)] : []
  fixture = await startProxy({ limits, config: { backend: 'http', middleware } })
  await fixture.proxy.attach({ kind: 'http', origin: server.origin, transport }, never)
  port = fixture.port
}

/** Has the server answer each POST this way; `id` is the JSON text of the request's id. */
function answer(
  build: (id: string) => { type: string; text: string | Buffer; headers?: Record<string, string> },
): void {
  server.script = (_req, res, body) => {
    const message: Wire = JSON.parse(body)
    const { type, text, headers } = build(JSON.stringify(message.id))
    res.writeHead(200, { 'content-type': type, 'content-length': Buffer.byteLength(text), ...headers }).end(text)
    return true
  }
}

function echo(): void {
  server.script = (_req, res) => {
    res.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    return true
  }
}

function list(id: string, of: string): string {
  return `{"jsonrpc":"2.0","id":${id},"result":{"nextCursor":"c","tools":${of},"_meta":{"name":"echo"}}}`
}
