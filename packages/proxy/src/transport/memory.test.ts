import { connect, type Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, describe, expect, it } from 'vitest'
import { fetchText, initialize, openEvents, post } from '../testing/http-client.ts'
import { connectAsking, startWithLanes } from '../testing/lane-fixture.ts'
import { startProxy, startWithServer, type ProxyFixture } from '../testing/proxy-fixture.ts'

let fixture: ProxyFixture | undefined
const sockets: Socket[] = []

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await fixture?.proxy.close()
  fixture = undefined
})

/** A client that sends a request and reads nothing of its answer. */
async function sendAndIgnore(port: number, text: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  sockets.push(socket)
  socket.pause()
  socket.on('error', () => undefined)
  await new Promise<void>((resolve) => socket.once('connect', resolve))
  await new Promise<void>((resolve) => socket.write(text, () => resolve()))
  return socket
}

/** How much the client finds when it reads after all, and whether the connection was cut. */
async function readAtLast(socket: Socket): Promise<{ bytes: number; isCut: boolean }> {
  let bytes = 0
  let isCut = false
  socket.on('data', (chunk) => (bytes += chunk.length))
  socket.on('close', () => (isCut = true))
  socket.resume()
  await new Promise((resolve) => setTimeout(resolve, 300))
  return { bytes, isCut }
}

function rawPost(body: string): string {
  return `POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}

const bigCall = rawPost('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":"big"}}')

describe('memory', () => {
  it.each([{}, { roots: {} }])(
    'for subscriptions is bounded in bytes and given back, of a client that declares %j',
    async (capabilities) => {
      const started = await startWithLanes({ limits: { heldBytes: 100_000 } })
      fixture = started
      const { port } = started
      const client = await connectAsking(port, capabilities)
      const ask = async (method: string, name: string): Promise<number | undefined> => {
        const uri = name.repeat(30_000)
        return (await client.post({ id: 1, method: `resources/${method}`, params: { uri } })).json.error?.code
      }
      expect(await ask('subscribe', 'a')).toBeUndefined()
      expect(await ask('subscribe', 'a')).toBeUndefined()
      expect(await ask('subscribe', 'b')).toBe(-32600)
      expect(await ask('unsubscribe', 'a')).toBeUndefined()
      expect(await ask('subscribe', 'b')).toBeUndefined()
      await fetchText({ port, method: 'DELETE', headers: client.headers })
      const next = await connectAsking(port, capabilities)
      const params = { uri: 'c'.repeat(30_000) }
      const { json } = await next.post({ id: 1, method: 'resources/subscribe', params })
      expect(json.error).toBeUndefined()
    },
  )

  it('for calls that wait is bounded in bytes, over all of them', async () => {
    const started = await startProxy({ limits: { heldBytes: 100_000, backendWaitMs: 300 } })
    fixture = started
    const { port, proxy } = started
    const params = { arguments: 'x'.repeat(60_000) }
    const first = post(port, { id: 1, method: 'tools/call', params })
    while (proxy.stats().inFlight < 1) await new Promise((resolve) => setImmediate(resolve))
    const second = await post(port, { id: 2, method: 'tools/call', params })
    expect([second.status, second.json.error?.data]).toEqual([503, { outcome: 'not-sent' }])
    expect((await first).json.error?.data?.['outcome']).toBe('not-sent')
    // What was held was given back.
    const third = await post(port, { id: 3, method: 'tools/call', params })
    expect(third.json.error?.message).toContain('is not running')
  })

  it('for an answer that is not read is given back after a time', async () => {
    const started = await startWithServer({ limits: { answerUnreadMs: 100 } })
    fixture = started
    const { port, server, proxy } = started
    let answers = 0
    server.on('tools/call', () => {
      answers += 1
      return { text: 'x'.repeat(9_000_000) }
    })
    const socket = await sendAndIgnore(port, bigCall)
    await expect.poll(() => answers === 1 && proxy.stats().inFlight === 0, { timeout: 10_000 }).toBe(true)
    // Nothing tells from outside that the answer was cut before somebody reads it.
    await new Promise((resolve) => setTimeout(resolve, 700))
    const { bytes, isCut } = await readAtLast(socket)
    expect(isCut).toBe(true)
    expect(bytes).toBeLessThan(9_000_000)
  })

  it('for unread answers is bounded over all of them: the one too many is cut off', async () => {
    const started = await startWithServer({ limits: { heldBytes: 10_000_000 } })
    fixture = started
    const { port, server, proxy } = started
    let answers = 0
    server.on('tools/call', (request) => {
      answers += 1
      return request.params?.['arguments'] === 'big' ? { text: 'x'.repeat(9_500_000) } : { text: 'small' }
    })
    const answered = async (count: number): Promise<void> => {
      await expect.poll(() => answers === count && proxy.stats().inFlight === 0, { timeout: 10_000 }).toBe(true)
    }
    const first = await sendAndIgnore(port, bigCall)
    await answered(1)
    const second = await sendAndIgnore(port, bigCall)
    await answered(2)
    expect((await post(port, { id: 9, method: 'tools/call' })).status).toBe(200)
    expect((await readAtLast(second)).isCut).toBe(true)
    const { bytes, isCut } = await readAtLast(first)
    expect(isCut).toBe(false)
    expect(bytes).toBeGreaterThan(9_500_000)
  })

  it('for a stream that was replaced by another is given back at once', async () => {
    const started = await startWithServer()
    fixture = started
    const { port, server, proxy } = started
    const session = await initialize(port)
    const get = `GET /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nMcp-Session-Id: ${session}\r\n\r\n`
    await sendAndIgnore(port, get)
    while (proxy.stats().streams < 1) await new Promise((resolve) => setImmediate(resolve))
    const data = 'x'.repeat(9_000_000)
    server.send({ method: 'notifications/tools/list_changed', params: { data } })
    await new Promise((resolve) => setTimeout(resolve, 100))
    const next = await openEvents(port, '/mcp', { 'mcp-session-id': session })
    await expect.poll(() => proxy.stats().streams, { timeout: 2_000 }).toBe(1)
    next.close()
  })

  it('for a stream that ended unread is given back after a time', async () => {
    const started = await startWithServer({ limits: { streamEndMs: 50 } })
    fixture = started
    const { port, server, proxy } = started
    const session = await initialize(port)
    const head = `/mcp HTTP/1.1\r\nHost: localhost\r\nMcp-Session-Id: ${session}\r\n`
    await sendAndIgnore(port, `GET ${head}Accept: text/event-stream\r\n\r\n`)
    while (proxy.stats().streams < 1) await new Promise((resolve) => setImmediate(resolve))
    server.send({ method: 'notifications/tools/list_changed', params: { data: 'x'.repeat(9_000_000) } })
    await new Promise((resolve) => setTimeout(resolve, 100))
    await sendAndIgnore(port, `DELETE ${head}\r\n`)
    await expect.poll(() => proxy.stats().streams, { timeout: 2_000 }).toBe(0)
  })

  it('of the text of a call is given back when it was sent', async () => {
    const started = await startWithServer({ limits: { inFlightCalls: 1_000 } })
    fixture = started
    const { port, server, proxy } = started
    server.on('tools/call', () => undefined)
    server.lines.push = () => 0
    server.received.push = () => 0
    const id = 'an id that is long enough to be a slice of the text it came in'
    const body = `{"jsonrpc":"2.0","id":"${id}","method":"tools/call","params":{"a":[${Array(400_000).fill('{}').join(',')}]}}`
    const before = collectedHeap()
    for (let call = 0; call < 12; call += 1) void post(port, body).catch(() => undefined)
    await expect.poll(() => proxy.stats().inFlight, { timeout: 10_000 }).toBe(12)
    // Each parsed tree is more than 10 MB; the texts alone are 14 MB.
    await expect.poll(() => collectedHeap() - before, { timeout: 5_000 }).toBeLessThan(10e6)
  })
})

function collectedHeap(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  return process.memoryUsage().heapUsed
}
