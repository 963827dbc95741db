import { once } from 'node:events'
import { afterEach, describe, expect, it } from 'vitest'
import { startHttpServer, type ScriptedHttpServer } from '../testing/http-backend.ts'
import { fetchText, initialize, openResponse, post } from '../testing/http-client.ts'
import { drawInputs, eventPieces, expectCalm, inParallel, jsonPieces, seeds, type FuzzInput } from '../testing/fuzz.ts'
import { never, startProxy, startWithServer, type ProxyFixture } from '../testing/proxy-fixture.ts'
import type { Wire } from '../testing/scripted-server.ts'
import { SseParser } from './sse-codec.ts'

const open: (() => unknown)[] = []

afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

const perSeed = 5_000
const batch = 500
const limits = {
  heldBytes: 2_000_000,
  backendWaitMs: 200,
  eventBytes: 2_000,
  firstEventBytes: 2_000,
  endpointMs: 2_000,
}

const streams = [
  'data: {"jsonrpc":"2.0","id":1,"result":{"text":"mark-[n]."}}\n\n',
  'event: message\r\nid: 1\r\ndata: {"jsonrpc":"2.0",\r\ndata: "method":"notifications/progress"}\r\n\r\ndata: 2\r\n\r\n',
  ': hello\n\nid: 3\nretry: 10\ndata: a\n\nid: 4\ndata: b\n\ndata: unfinished',
  'event: endpoint\ndata: /messages?sessionId=[n]\n\nevent: message\ndata: {"jsonrpc":"2.0","id":1,"result":{}}\n\n',
  '\ufeffevent: endpoint\rdata: http://127.0.0.1/messages?sessionId=[n]\r\rdata: later\r\r',
]

const lines = [
  '{"jsonrpc":"2.0","id":4242424,"result":{"text":"for nobody"}}',
  '{"jsonrpc":"2.0","id":"own","result":{"text":"for nobody"}}',
  '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}',
  '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}',
  '{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"file:///[n]"}}',
  '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"[n]"}}',
  '{"jsonrpc":"2.0","id":7,"method":"sampling/createMessage","params":{}}',
  '{"jsonrpc":"2.0","id":8,"method":"ping"}',
  '[{"jsonrpc":"2.0","id":4242424,"result":{}},{"jsonrpc":"2.0","method":"notifications/x"}]',
  'INFO starting up {"not": "a message"}',
]

describe.each(seeds)('with seed %d', (seed) => {
  it.each([
    ['answers', 'POST', '/mcp'],
    ['session streams', 'GET', '/mcp'],
  ])('event streams of an HTTP server pass as they are, as %s', { timeout: 60_000 }, async (_what, method, path) => {
    const { fixture, server } = await startHttp('streamable-http')
    const id = await initialize(fixture.port)
    const inputs = drawInputs(seed, perSeed / 2, { templates: streams, pieces: eventPieces })
    server.script = (req, res) => streamTo(inputs, req.headers['x-fuzz'], res)
    for (let from = 0; from < inputs.length; from += batch) {
      await inParallel(inputs.slice(from, from + batch), 30, async (input) => {
        const headers = { 'mcp-session-id': id, accept: 'text/event-stream', 'x-fuzz': String(input.number) }
        const body = method === 'POST' ? { body: '{}' } : {}
        expect((await readAll(fixture.port, { method, path, headers, ...body })).equals(input.bytes)).toBe(true)
      })
      await expectCalm(fixture)
      const { json } = await post(fixture.port, { id: 'good', method: 'a' }, { 'mcp-session-id': id })
      expect([json.id, json.result]).toEqual(['good', { session: id, method: 'a' }])
    }
  })

  it('event streams of an SSE server never send a client elsewhere', { timeout: 60_000 }, async () => {
    const { fixture, server } = await startHttp('sse')
    const inputs = drawInputs(seed, perSeed / 2, { templates: streams, pieces: eventPieces })
    server.script = (req, res) => streamTo(inputs, req.headers['x-fuzz'], res)
    let passed = 0
    for (let from = 0; from < inputs.length; from += batch) {
      await inParallel(inputs.slice(from, from + batch), 30, async (input) => {
        const headers = { accept: 'text/event-stream', 'x-fuzz': String(input.number) }
        const answer = await fetchText({ port: fixture.port, path: '/sse', headers }).catch(() => undefined)
        if (answer?.status !== 200) return expect(answer?.status ?? 502).toBe(502)
        const events = new SseParser(Infinity).push(`${answer.text.replace(/^\ufeff/, '')}\n\n`)
        const endpoint = events.find(({ event }) => event === 'endpoint')?.data
        if (endpoint === undefined) return undefined
        passed += 1
        const origin = `http://127.0.0.1:${fixture.port}`
        return expect(new URL(endpoint, `${origin}/sse`).origin).toBe(origin)
      })
      await expectCalm(fixture)
      expect(fixture.proxy.stats().sessions).toBe(0)
    }
    expect(passed).toBeGreaterThan(100)
  })

  it('lines of a stdio server answer no call but their own', { timeout: 60_000 }, async () => {
    const fixture = await startWithServer({ limits: { ...limits, lineBytes: 100_000 } })
    open.push(() => fixture.proxy.close(0))
    const { server, port } = fixture
    const held: Wire[] = []
    server.on('tools/call', (request) => (held.push(request), undefined))
    const headers = { 'mcp-session-id': await initialize(port) }
    const inputs = drawInputs(seed, perSeed, { templates: lines, pieces: jsonPieces })
    for (let from = 0; from < inputs.length; from += batch) {
      const calls = [1, 2, 3, 4, 5].map((id) => post(port, { id, method: 'tools/call', params: { id } }, headers))
      await expect.poll(() => held.length).toBe(calls.length)
      for (const { bytes } of inputs.slice(from, from + batch)) {
        if (!server.output.write(Buffer.concat([bytes, Buffer.from('\n')]))) await once(server.output, 'drain')
      }
      for (const request of held.splice(0)) server.answer(request, { said: request.params?.['id'] })
      const answers = await Promise.all(calls)
      expect(answers.map(({ json }) => [json.id, json.result])).toEqual([1, 2, 3, 4, 5].map((id) => [id, { said: id }]))
      await expectCalm(fixture)
    }
  })
})

async function startHttp(
  transport: 'streamable-http' | 'sse',
): Promise<{ fixture: ProxyFixture; server: ScriptedHttpServer }> {
  const fixture = await startProxy({ config: { backend: 'http' }, limits })
  open.push(() => fixture.proxy.close(0))
  const server = await startHttpServer()
  open.push(() => server.kill())
  server.ownScript = (_req, res) => {
    if (transport === 'streamable-http') return false
    res.writeHead(200, { 'content-type': 'text/event-stream' }).end('event: endpoint\ndata: /m\n\n')
    return true
  }
  await fixture.proxy.attach({ kind: 'http', origin: server.origin, transport }, never)
  return { fixture, server }
}

/** Sends the stream of an input in two pieces, cut where the number says. */
function streamTo(
  inputs: readonly FuzzInput[],
  number: string | string[] | undefined,
  res: Parameters<ScriptedHttpServer['script']>[1],
): boolean {
  const input = number === undefined ? undefined : inputs[Number(number)]
  if (input === undefined) return false
  const at = (input.number * 7) % (input.bytes.length + 1)
  res.writeHead(200, { 'content-type': 'text/event-stream' })
  res.write(input.bytes.subarray(0, at))
  setImmediate(() => res.end(input.bytes.subarray(at)))
  return true
}

async function readAll(port: number, request: Omit<Parameters<typeof openResponse>[0], 'port'>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of await openResponse({ port, ...request })) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
