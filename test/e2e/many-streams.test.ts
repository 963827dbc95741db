import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { fixture, openWorld, type World } from './harness.ts'
import { exchange, openAnswer, openSession } from './http.ts'

const sessions = 5_000
const listens = 1_000
/** Measured: about 20 KB each with Node 20; most of it is the socket and its parser. */
const allowedKilobytes = 60
const atOnce = 50

let world: World
let url: string

beforeAll(async () => {
  world = await openWorld()
  await world.ok('run', '--name', 'many', '--era', 'legacy', '--', ...fixture('era-server.mjs'))
  url = (await world.list())[0]!.url
})

afterAll(async () => {
  await world.close()
})

it(`${sessions} quiet streams of sessions and ${listens} subscriptions hear one change, and cost bounded memory`, async () => {
  const before = await residentKilobytes()
  const streams = [...(await openAll(sessions, openGet)), ...(await openAll(listens, openListen))]
  const after = await residentKilobytes()
  const each = (after - before) / streams.length
  console.log(`${streams.length} streams: ${Math.round(each)} KB each, ${Math.round(after / 1024)} MB in all`)
  expect(each).toBeLessThan(allowedKilobytes)
  const heard = streams.map(async (stream) => await untilHeard(stream, 'notifications/tools/list_changed'))
  await callTool('write')
  await Promise.all(heard)
  for (const stream of streams) stream.destroy()
}, 120_000)

async function openAll(count: number, open: (index: number) => Promise<IncomingMessage>): Promise<IncomingMessage[]> {
  const opened: IncomingMessage[] = []
  while (opened.length < count) {
    const length = Math.min(atOnce, count - opened.length)
    opened.push(...(await Promise.all(Array.from({ length }, async (_, index) => await open(opened.length + index)))))
  }
  return opened
}

async function openGet(): Promise<IncomingMessage> {
  const headers = await openSession(url)
  const stream = await openAnswer(url, { method: 'GET', headers: { ...headers, accept: 'text/event-stream' } })
  expect(stream.statusCode).toBe(200)
  return stream
}

async function openListen(index: number): Promise<IncomingMessage> {
  const stream = await openAnswer(url, {
    headers: modernHeaders('subscriptions/listen'),
    body: modern(index, 'subscriptions/listen', { notifications: { toolsListChanged: true } }),
  })
  expect(stream.statusCode).toBe(200)
  await untilHeard(stream, 'notifications/subscriptions/acknowledged')
  return stream
}

async function callTool(name: string): Promise<void> {
  const headers = { ...modernHeaders('tools/call'), 'mcp-name': name }
  const answer = await exchange(url, { headers, body: modern('call', 'tools/call', { name, arguments: {} }) })
  expect(answer.status).toBe(200)
}

function modernHeaders(method: string): Record<string, string> {
  return {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': method,
  }
}

function modern(id: string | number, method: string, params: object): object {
  const envelope = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': {},
  }
  return { jsonrpc: '2.0', id, method, params: { ...params, _meta: envelope } }
}

async function untilHeard(stream: IncomingMessage, wanted: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    let text = ''
    const hear = (chunk: Buffer): void => {
      text += chunk.toString('utf8')
      if (!text.includes(wanted)) return
      stream.off('data', hear)
      stream.off('close', end)
      stream.pause()
      resolve()
    }
    const end = (): void => reject(new Error('the stream ended'))
    stream.on('data', hear)
    stream.once('close', end)
    stream.resume()
  })
}

async function residentKilobytes(): Promise<number> {
  const { process_id } = await world.status('many')
  const status = await readFile(`/proc/${process_id}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1])
}
