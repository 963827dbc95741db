import { afterEach, describe, expect, it } from 'vitest'
import { startHttpServer, type ScriptedHttpServer } from '../testing/http-backend.ts'
import { type EventReader, fetchText, initialize, openEvents, post } from '../testing/http-client.ts'
import {
  drawInputs,
  expectCalm,
  httpPieces,
  inParallel,
  jsonPieces,
  openHandles,
  seeds,
  sendBytes,
  type FuzzInput,
} from '../testing/fuzz.ts'
import { never, startProxy, startWithServer, type ProxyFixture } from '../testing/proxy-fixture.ts'

const open: (() => unknown)[] = []

afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

const perSeed = 5_000
const batch = 1_000
/** So small that what is not given back is soon missed. */
const limits = { heldBytes: 2_000_000, backendWaitMs: 200, sessions: 100_000, keepAliveMs: 60_000 }

const messages = [
  '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":"mark-[n].","_meta":{"progressToken":1}}}',
  '{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"arguments":{"text":"mark-[n]."}}}',
  '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}',
  '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"sampling":{}}}}',
  '{"jsonrpc":"2.0","id":3,"method":"resources/subscribe","params":{"uri":"file:///[n]"}}',
  '{"jsonrpc":"2.0","id":3,"method":"logging/setLevel","params":{"level":"debug"}}',
  '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"mark-[n]."}}',
  '{"jsonrpc":"2.0","method":"notifications/initialized"}',
  '{"jsonrpc":"2.0","id":1,"result":{"text":"mark-[n]."}}',
  '{"jsonrpc":"2.0","id":"ping","method":"ping"}',
  '[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"arguments":"mark-[n]."}}]',
]

const head = 'Host: localhost\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n'
const requests = [
  ...messages.map((body) => `POST /mcp HTTP/1.1\r\n${head}Content-Length: ${body.length - 1}\r\n\r\n${body}`),
  `POST /mcp HTTP/1.1\r\n${head}Transfer-Encoding: chunked\r\n\r\n10\r\n{"jsonrpc":"2.0"\r\n17\r\n,"id":1,"method":"ping"}\r\n0\r\n\r\n`,
  `GET /mcp HTTP/1.1\r\n${head}Mcp-Session-Id: nobody\r\n\r\n`,
  `DELETE /mcp HTTP/1.1\r\n${head}Mcp-Session-Id: nobody\r\n\r\n`,
  `GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /health HTTP/1.1\r\nHost: localhost\r\n\r\n`,
  `OPTIONS /mcp HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost:1\r\n\r\n`,
]

/** An answer may speak of the input it belongs to, and of no other. */
function expectOwn({ number, bytes }: FuzzInput, answer: string): void {
  // What the input says itself by now may come back.
  const own = new Set([String(number), ...marksIn(bytes.toString('latin1'))])
  expect(marksIn(answer).filter((mark) => !own.has(mark))).toEqual([])
}

function marksIn(text: string): string[] {
  return [...text.matchAll(/mark-(\d+)\./g)].map(([, mark]) => mark ?? '')
}

describe.each(seeds)('with seed %d', (seed) => {
  describe.each(['stdio', 'http'] as const)('bytes of clients in front of a server that speaks %s', (kind) => {
    it('cost nobody else anything, and leave nothing behind', { timeout: 60_000 }, async () => {
      const { fixture, server } = await start(kind)
      const id = await initialize(fixture.port)
      await expectCalm(fixture)
      const handles = openHandles()
      const inputs = drawInputs(seed, perSeed / 2, { templates: requests, pieces: httpPieces })
      for (let from = 0; from < inputs.length; from += batch) {
        await inParallel(inputs.slice(from, from + batch), 40, async (input) => {
          const answer = await sendBytes(fixture.port, input.bytes)
          expectOwn(input, answer)
          expect(answer).not.toMatch(/^HTTP\/1\.1 500/m)
        })
        await expectCalm(fixture)
        await expectServed(fixture, id, kind)
      }
      expect(server?.seen.filter(({ url, headers }) => !isSound(url, headers)) ?? []).toEqual([])
      await expect.poll(openHandles, { timeout: 5_000 }).toBeLessThanOrEqual(handles + 20)
    })
  })

  it('messages of clients over Streamable HTTP are answered, each to its sender', { timeout: 60_000 }, async () => {
    const fixture = await startWithServer({ limits })
    open.push(() => fixture.proxy.close(0))
    const id = await initialize(fixture.port)
    const sessions = await Promise.all(Array.from({ length: 50 }, async () => await initialize(fixture.port)))
    const inputs = drawInputs(seed, perSeed, { templates: messages, pieces: jsonPieces })
    for (let from = 0; from < inputs.length; from += batch) {
      await inParallel(inputs.slice(from, from + batch), 40, async (input) => {
        const session = sessions[input.number % sessions.length] ?? ''
        const headers = {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          ...(input.number % 5 === 0 ? {} : { 'mcp-session-id': session }),
        }
        const answer = await fetchText({ port: fixture.port, method: 'POST', headers, body: input.bytes })
        expectOwn(input, answer.text)
        expect([200, 202, 400, 404]).toContain(answer.status)
      })
      await expectCalm(fixture)
      await expectServed(fixture, id, 'stdio')
      fixture.server.received.length = 0
      expect(fixture.server.lines.splice(0).filter((line) => /[\r\n]/.test(line))).toEqual([])
    }
  })

  it(
    'messages of clients over the old HTTP+SSE are answered on the stream of their sender',
    { timeout: 60_000 },
    async () => {
      const fixture = await startWithServer({ mode: 'sse', limits })
      open.push(() => fixture.proxy.close(0))
      const inputs = drawInputs(seed, perSeed, { templates: messages, pieces: jsonPieces })
      for (let from = 0; from < inputs.length; from += batch) {
        const clients = await Promise.all(Array.from({ length: 40 }, async () => await openSse(fixture.port)))
        const heard = clients.map(() => new Set<string>())
        const said = clients.map(() => new Set<string>())
        clients.forEach(({ events }, index) => void note(events, heard[index] ?? new Set()))
        await inParallel(inputs.slice(from, from + batch), 40, async (input) => {
          const index = input.number % clients.length
          for (const mark of [String(input.number), ...marksIn(input.bytes.toString('latin1'))]) said[index]?.add(mark)
          const headers = { 'content-type': 'application/json' }
          const { path } = clients[index] ?? { path: '' }
          const answer = await fetchText({ port: fixture.port, method: 'POST', path, headers, body: input.bytes })
          expect([202, 400]).toContain(answer.status)
        })
        await expect.poll(() => heard.some((marks) => marks.size > 0)).toBe(true)
        await expect.poll(() => fixture.proxy.stats().inFlight, { timeout: 5_000 }).toBe(0)
        for (const client of clients) client.events.close()
        await expectCalm(fixture)
        const foreign = heard.flatMap((marks, index) => [...marks].filter((mark) => said[index]?.has(mark) !== true))
        expect(foreign).toEqual([])
        await expect.poll(() => fixture.proxy.stats().sessions).toBe(0)
      }
    },
  )
})

async function start(kind: 'stdio' | 'http'): Promise<{ fixture: ProxyFixture; server?: ScriptedHttpServer }> {
  if (kind === 'stdio') {
    const fixture = await startWithServer({ limits })
    open.push(() => fixture.proxy.close(0))
    return { fixture }
  }
  const fixture = await startProxy({ config: { backend: 'http' }, limits })
  open.push(() => fixture.proxy.close(0))
  const server = await startHttpServer()
  open.push(() => server.kill())
  await fixture.proxy.attach({ kind: 'http', origin: server.origin, transport: 'streamable-http' }, never)
  return { fixture, server }
}

async function expectServed({ port }: ProxyFixture, id: string, kind: 'stdio' | 'http'): Promise<void> {
  const call = { id: 'good', method: 'tools/call', params: { arguments: 'mine' } }
  const { json } = await post(port, call, { 'mcp-session-id': id })
  const wanted = kind === 'stdio' ? { content: [], echo: 'mine' } : { session: id, method: 'tools/call' }
  expect([json.id, json.result]).toEqual(['good', wanted])
}

/** What reaches a server has one meaning only. */
function isSound(url: string, headers: Record<string, unknown>): boolean {
  const hasBoth = headers['content-length'] !== undefined && headers['transfer-encoding'] !== undefined
  return /^\/(?![/\\])/.test(url) && !hasBoth && headers['upgrade'] === undefined && headers['host'] !== 'evil'
}

async function openSse(port: number): Promise<{ path: string; events: EventReader }> {
  const events = await openEvents(port, '/sse')
  const endpoint = new URL((await events.next())?.data ?? '')
  return { path: endpoint.pathname + endpoint.search, events }
}

async function note(events: EventReader, into: Set<string>): Promise<void> {
  for (let event = await events.next(); event !== undefined; event = await events.next()) {
    for (const mark of marksIn(event.data)) into.add(mark)
  }
}
