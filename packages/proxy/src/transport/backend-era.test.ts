import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { buildLimits, type ProxyLimits } from '../limits.ts'
import { parseText } from '../mcp/message.ts'
import type { Era } from '../mcp/revision.ts'
import { never } from '../testing/proxy-fixture.ts'
import { BackendEra } from './backend-era.ts'
import { closeBackend, openBackend, type HttpBackend } from './http-backend.ts'
import { probeBackend } from './http-probe.ts'

type Answer = (res: ServerResponse, body: Readonly<Record<string, unknown>>) => void

const open: (() => void)[] = []

afterEach(() => {
  for (const close of open.splice(0)) close()
})

/** A server that answers each method as told, and everything it was asked. */
async function start(answers: Record<string, Answer>): Promise<{ backend: HttpBackend; asked: string[] }> {
  const asked: string[] = []
  const server = createServer((req: IncomingMessage, res) => {
    let text = ''
    req.on('data', (piece: Buffer) => (text += piece.toString('utf8')))
    req.on('end', () => {
      const parsed = parseText(text)
      const body = parsed.kind === 'message' ? parsed.message.value : {}
      const name = typeof body['method'] === 'string' ? body['method'] : String(req.method)
      asked.push(name)
      const answer = answers[name]
      if (answer === undefined) res.writeHead(404).end()
      else answer(res, body)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const origin = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  const backend = await openBackend({ kind: 'http', origin, transport: 'streamable-http' }, buildLimits())
  open.push(() => {
    closeBackend(backend, new Error('the test is over'))
    server.closeAllConnections()
    server.close()
  })
  return { backend, asked }
}

const initialize: Answer = (res, { id }) =>
  void res.end(JSON.stringify({ jsonrpc: '2.0', id, result: { protocolVersion: '2025-11-25' } }))
const discover: Answer = (res, { id }) =>
  void res.end(JSON.stringify({ jsonrpc: '2.0', id, result: { supportedVersions: ['2026-07-28'] } }))
const refuse =
  (status: number, code: number, data?: object): Answer =>
  (res, { id }) =>
    void res.writeHead(status).end(JSON.stringify({ jsonrpc: '2.0', id, error: { code, message: 'no', data } }))
const notServed = refuse(400, -32022, { supported: ['2026-07-28'] })

function probe(
  backend: HttpBackend,
  era: Era | 'auto' = 'auto',
  limits: Partial<ProxyLimits> = {},
): ReturnType<typeof probeBackend> {
  return probeBackend({
    backend,
    era,
    limits: buildLimits({ attachTimeoutMs: 300, ...limits }),
    signal: never,
  })
}

function eraOf(backend: HttpBackend, knowsLegacy = true, limits: Partial<ProxyLimits> = {}): BackendEra {
  const era = new BackendEra({ backend, knowsLegacy, pin: 'auto', limits: buildLimits(limits), log: () => undefined })
  era.open()
  open.push(() => era.close())
  return era
}

describe('an HTTP server', () => {
  it('is ready when it takes the handshake', async () => {
    const { backend } = await start({ initialize })
    expect(await probe(backend)).toMatchObject({ knowsLegacy: true, info: { protocolVersion: '2025-11-25' } })
  })

  it('that is Modern only is ready without it', async () => {
    const { backend, asked } = await start({ initialize: notServed, 'server/discover': discover })
    expect(await probe(backend)).toMatchObject({ knowsLegacy: false, info: { protocolVersion: '2026-07-28' } })
    expect(asked).toEqual(['initialize', 'server/discover'])
  })

  it.each<[Era | 'auto', string[]]>([
    ['legacy', ['initialize']],
    ['modern', ['server/discover']],
  ])('that is said to be %s is asked nothing else', async (pin, expected) => {
    const { backend, asked } = await start({ initialize, 'server/discover': discover })
    await probe(backend, pin)
    expect(asked).toEqual(expected)
  })

  it.each<[Era | 'auto', Record<string, Answer>]>([
    ['legacy', { initialize: notServed, 'server/discover': discover }],
    ['modern', { initialize }],
    ['auto', {}],
  ])('that is not what it is said to be (%s) is never ready', async (pin, answers) => {
    const { backend } = await start(answers)
    await expect(probe(backend, pin)).rejects.toMatchObject({ code: 'attach-timeout' })
  })

  it('that demands credentials is not asked again', async () => {
    const { backend, asked } = await start({ initialize: (res) => void res.writeHead(401).end() })
    await expect(probe(backend)).rejects.toMatchObject({ code: 'handshake-failed' })
    expect(asked).toEqual(['initialize'])
  })
})

describe('the era of an HTTP server', () => {
  it.each<[string, Answer, boolean]>([
    ['answers server/discover', discover, true],
    ['offers the version', notServed, true],
    ['knows no server/discover', refuse(200, -32601), false],
    ['wants a session', refuse(400, -32000), false],
  ])('of one that takes the handshake and %s', async (_what, answer, isModern) => {
    const { backend, asked } = await start({ 'server/discover': answer })
    expect(await eraOf(backend).known()).toEqual({ legacy: true, modern: isModern })
    expect(asked).toEqual(['server/discover'])
  })

  it.each([-32020, -32021])('is asked for once more after %i, with every capability', async (code) => {
    const said: unknown[] = []
    const answer: Answer = (res, body) => {
      const { params } = body as { params: { _meta: Record<string, unknown> } }
      said.push(params._meta['io.modelcontextprotocol/clientCapabilities'])
      refuse(400, code)(res, body)
    }
    const { backend } = await start({ 'server/discover': answer })
    expect(await eraOf(backend).known()).toEqual({ legacy: true, modern: true })
    expect(said).toEqual([{}, { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} }])
  })

  it('stays open as long as the answer is not clear, and is asked for again by the next who needs it', async () => {
    let answer = refuse(503, -32000)
    const { backend, asked } = await start({ 'server/discover': (res, body) => answer(res, body) })
    const era = eraOf(backend, true, { eraPauseMs: 20 })
    expect(await era.known()).toEqual({ legacy: true, modern: false })
    answer = discover
    await expect.poll(() => era.known()).toEqual({ legacy: true, modern: true })
    expect(asked).toHaveLength(2)
  })

  it('is asked for at the same time only once', async () => {
    const { backend, asked } = await start({ 'server/discover': discover })
    const era = eraOf(backend)
    await Promise.all(Array.from({ length: 20 }, () => era.known()))
    expect(asked).toEqual(['server/discover'])
  })

  it('is asked for again when the verdict "Legacy" is old; nobody waits for that', async () => {
    let answer = refuse(404, -32601)
    const { backend } = await start({ 'server/discover': (res, body) => answer(res, body), initialize })
    const era = eraOf(backend, true, { legacyVerdictMs: 50 })
    expect((await era.known()).modern).toBe(false)
    answer = discover
    await expect.poll(async () => (await era.known()).modern, { interval: 20 }).toBe(true)
  })

  it('is corrected after a contradiction, in both directions', async () => {
    const answers: Record<string, Answer> = { 'server/discover': discover, initialize: notServed }
    const { backend } = await start(answers)
    const era = eraOf(backend, true, { eraPauseMs: 1 })
    await era.known()
    era.contradicted()
    await expect.poll(() => era.verdict).toEqual({ legacy: false, modern: true })
    answers['server/discover'] = refuse(404, -32601)
    answers['initialize'] = initialize
    era.contradicted()
    await expect.poll(() => era.verdict).toEqual({ legacy: true, modern: false })
  })

  it('is not asked for at every contradiction', async () => {
    const { backend, asked } = await start({ 'server/discover': discover })
    const era = eraOf(backend)
    await era.known()
    for (let count = 0; count < 10; count += 1) era.contradicted()
    expect(asked).toEqual(['server/discover'])
  })
})
