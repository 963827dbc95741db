import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { ProxyLimits } from '../limits.ts'
import type { FrontMode } from '../proxy-config.ts'
import { startHttpServer, type Script, type ScriptedHttpServer } from '../testing/http-backend.ts'
import { fetchText, initialize, openEvents, openResponse, post } from '../testing/http-client.ts'
import { never, startProxy, startWithServer, type ProxyFixture } from '../testing/proxy-fixture.ts'

const open: (() => unknown)[] = []

afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

async function startHttpProxy(limits: Partial<ProxyLimits>): Promise<ProxyFixture> {
  const fixture = await startProxy({ config: { backend: 'http' }, limits: { backendWaitMs: 300, ...limits } })
  open.push(() => fixture.proxy.close(0))
  return fixture
}

/** A proxy with a server whose behaviour for clients, not for the probe, is the script. */
async function pair(
  script: Script,
  limits: Partial<ProxyLimits>,
  transport: FrontMode = 'streamable-http',
): Promise<ProxyFixture & { server: ScriptedHttpServer }> {
  const fixture = await startHttpProxy(limits)
  const server = await startHttpServer()
  open.push(() => server.kill().catch(() => undefined))
  if (transport === 'sse') server.ownScript = (_req, res) => sendEvents(res, 'event: endpoint\ndata: /m\n\n')
  await fixture.proxy.attach({ kind: 'http', origin: server.origin, transport }, never)
  server.script = script
  return { ...fixture, server }
}

function sendEvents(res: Parameters<Script>[1], text: string): true {
  res.writeHead(200, { 'content-type': 'text/event-stream' }).write(text)
  return true
}

/** A client that sends bytes and reads nothing before it is told to. */
async function sendOnly(port: number, text: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  open.push(() => socket.destroy())
  socket.on('error', () => undefined).pause()
  await new Promise<void>((resolve) => socket.once('connect', resolve))
  socket.write(text)
  return socket
}

async function readToEnd(socket: Socket): Promise<string> {
  let text = ''
  socket
    .setEncoding('latin1')
    .on('data', (piece: string) => (text += piece))
    .resume()
  await new Promise((resolve) => socket.once('close', resolve))
  return text
}

describe('an HTTP server', () => {
  it('that takes a call and says nothing costs its client a 504 that tells the call may have run', async () => {
    const { port, proxy, server } = await pair(() => true, { answerHeadMs: 100 })
    const answer = await post(port, { id: 'q', method: 'tools/call' })
    expect([answer.status, answer.json.id, answer.json.error?.code]).toEqual([504, 'q', -32000])
    expect(answer.json.error?.data).toEqual({ outcome: 'unknown', backend: 'demo' })
    expect(server.seen).toHaveLength(1)
    await expect.poll(() => proxy.stats().inFlight).toBe(0)
  })

  it('that cuts a call before it has all of it has not run it', async () => {
    const { port, server } = await pair(() => false, { collectBytes: 1_000 })
    server.began = (req) => void req.once('data', () => req.destroy())
    const answer = await post(port, { id: 1, method: 'tools/call', params: { text: 'x'.repeat(7_000_000) } })
    expect([answer.status, answer.json.error?.data]).toEqual([502, { outcome: 'not-sent', backend: 'demo' }])
  })

  it('that does not come keeps a client without a session waiting once', async () => {
    const { port } = await startHttpProxy({ backendWaitMs: 400 })
    const began = performance.now()
    const answer = await post(port, { id: 'q', method: 'initialize' })
    expect(performance.now() - began).toBeLessThan(700)
    expect([answer.status, answer.json.id, answer.json.error?.data]).toMatchObject([503, 'q', { outcome: 'not-sent' }])
  })

  it('may send the head of an event stream as late as it likes', async () => {
    let begin = (): void => undefined
    const { port } = await pair(
      (_req, res) => {
        begin = () => void sendEvents(res, 'data: 1\n\n')
        return true
      },
      { answerHeadMs: 50 },
    )
    const stream = openEvents(port, '/mcp')
    await new Promise((resolve) => setTimeout(resolve, 300))
    begin()
    const events = await stream
    expect(await events.next()).toEqual({ data: '1' })
    events.close()
  })

  it('of the SSE kind that never names its endpoint is given up, with a status that says so', async () => {
    const silent = await pair(() => true, { endpointMs: 100 }, 'sse')
    expect((await fetchText({ port: silent.port, path: '/sse' })).status).toBe(504)
    silent.server.script = (_req, res) => sendEvents(res, ': hello')
    const answer = await fetchText({ port: silent.port, path: '/sse' })
    expect([answer.status, answer.text]).toEqual([502, expect.stringContaining('no endpoint within 0.1 s')])
    // Comments keep a connection alive, but they are no endpoint.
    silent.server.script = (_req, res) => sendEvents(res, ': hello\n\n: hello\n\n')
    await expect(fetchText({ port: silent.port, path: '/sse' })).rejects.toThrow(/aborted|reset|hang up/)
    await expect.poll(() => silent.proxy.stats()).toMatchObject({ inFlight: 0, streams: 0 })
  })

  it('of the SSE kind keeps a stream whose endpoint came in time', async () => {
    const { port, server } = await pair(() => true, { endpointMs: 100 }, 'sse')
    let later = (): void => undefined
    server.script = (_req, res) => {
      later = () => void res.write('data: later\n\n')
      return sendEvents(res, 'event: endpoint\ndata: /m\n\n')
    }
    const events = await openEvents(port, '/sse')
    await events.next()
    await new Promise((resolve) => setTimeout(resolve, 300))
    later()
    expect(await events.next()).toEqual({ data: 'later' })
    events.close()
  })

  it('may send one event of ten megabytes, of which the proxy keeps no more than its limit', async () => {
    const data = 'x'.repeat(10 * 1024 * 1024)
    const { port, server } = await pair(() => false, { eventBytes: 200_000, heldBytes: 300_000 })
    const id = await initialize(port)
    const events = await openEvents(port, '/mcp', { 'mcp-session-id': id })
    server.sessions.get(id)?.write(`data: ${data}\n\n`)
    expect((await events.next())?.data).toHaveLength(data.length)
    // What was kept was given back: there is room for a body again.
    const params = { text: 'x'.repeat(50_000) }
    expect((await post(port, { id: 1, method: 'a', params }, { 'mcp-session-id': id })).status).toBe(200)
    events.close()
  })
})

describe('a client of an HTTP server', () => {
  it('whose call waits takes room, and the one too many is refused as not sent', async () => {
    const { port, proxy } = await pair(() => false, { heldBytes: 100_000 })
    proxy.detach('test')
    const call = { id: 1, method: 'tools/call', params: { text: 'x'.repeat(60_000) } }
    const first = post(port, call)
    await expect.poll(() => proxy.stats().inFlight).toBe(1)
    const second = await post(port, call)
    expect([second.status, second.json.error?.data]).toEqual([503, { outcome: 'not-sent' }])
    expect((await first).json.error?.message).toContain('is not running')
    expect((await post(port, call)).json.error?.message).toContain('is not running')
  })

  it('that stops reading its answer is cut, and gives its connection to the server back', async () => {
    let isLeft = false
    const { port, proxy } = await pair(
      (_req, res) => {
        res.on('close', () => (isLeft = true))
        res.writeHead(200, { 'content-type': 'application/json' })
        const pump = (): void => {
          if (!res.destroyed && res.write('x'.repeat(60_000))) setImmediate(pump)
        }
        res.on('drain', pump)
        pump()
        return true
      },
      { answerUnreadMs: 150 },
    )
    await sendOnly(port, 'POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}')
    await expect.poll(() => isLeft, { timeout: 5_000 }).toBe(true)
    await expect.poll(() => proxy.stats().inFlight).toBe(0)
  })

  it('that stops reading the stream of its session is cut as well', async () => {
    const { port, proxy, server } = await pair(() => false, { answerUnreadMs: 150 })
    const id = await initialize(port)
    await sendOnly(
      port,
      `GET /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nMcp-Session-Id: ${id}\r\n\r\n`,
    )
    await expect.poll(() => server.sessions.get(id)).toBeDefined()
    const stream = server.sessions.get(id)
    const pump = (): void => {
      if (stream?.destroyed === false && stream.write(`data: ${'x'.repeat(60_000)}\n\n`)) setImmediate(pump)
    }
    stream?.on('drain', pump)
    pump()
    await expect.poll(() => proxy.stats().streams, { timeout: 5_000 }).toBe(0)
    await expect.poll(() => stream?.destroyed).toBe(true)
  })

  it('that reads slowly gets its whole answer', async () => {
    const text = 'x'.repeat(8_000_000)
    const { port } = await pair((_req, res) => (res.writeHead(200).end(text), true), { answerUnreadMs: 500 })
    const response = await openResponse({ port, method: 'POST', body: '{}' })
    let bytes = 0
    for await (const chunk of response) {
      bytes += (chunk as Buffer).length
      if (bytes % 7 === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    }
    expect(bytes).toBe(text.length)
  })
})

describe.each(['stdio', 'http'] as const)('a client in front of a server that speaks %s', (kind) => {
  async function start(limits: Partial<ProxyLimits>): Promise<ProxyFixture> {
    if (kind === 'http') return await pair(() => false, limits)
    const fixture = await startWithServer({ limits })
    open.push(() => fixture.proxy.close(0))
    return fixture
  }

  it.each([
    ['head', 'headersTimeoutMs', 'POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-Slow: '],
    [
      'body',
      'receiveTimeoutMs',
      'POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{',
    ],
  ])('that never ends its %s is let go', async (_what, limit, text) => {
    const { port, proxy } = await start({ headersTimeoutMs: 200, [limit]: 200, connectionCheckMs: 50 })
    const socket = await sendOnly(port, text)
    expect(await readToEnd(socket)).toMatch(/^(HTTP\/1\.1 408 |$)/)
    await expect.poll(() => proxy.stats().inFlight).toBe(0)
  })

  it('that sends more than a body may have sees the refusal, though it goes on sending', async () => {
    const { port, proxy } = await start({ bodyBytes: 1_000_000 })
    const head = 'POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n'
    const socket = await sendOnly(port, `${head}Content-Length: 6000000\r\n\r\n`)
    for (let count = 0; count < 60; count += 1) {
      const failed = await new Promise((resolve) => socket.write('x'.repeat(100_000), resolve))
      expect(failed).toBeFalsy()
    }
    expect(await readToEnd(socket)).toContain('HTTP/1.1 413 ')
    await expect.poll(() => proxy.stats().inFlight).toBe(0)
  })

  it('that sends no request at all is let go', async () => {
    const { port } = await start({ headersTimeoutMs: 200, connectionCheckMs: 50 })
    const socket = await sendOnly(port, '')
    expect(await readToEnd(socket)).not.toContain('200 OK')
  })
})
