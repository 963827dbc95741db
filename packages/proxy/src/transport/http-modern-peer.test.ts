import { once } from 'node:events'
import { afterEach, describe, expect, it } from 'vitest'
import { startPeer, type Asked, type PeerFixture } from '../testing/peer-server.ts'
import { HttpModernPeer } from './http-modern-peer.ts'

const fixtures: PeerFixture[] = []
let contradictions = 0

afterEach(async () => {
  contradictions = 0
  for (const fixture of fixtures.splice(0)) await fixture.close()
})

async function start(answer: (asked: Asked) => void, limits: object = {}): Promise<PeerFixture> {
  const contradicted = (): void => void (contradictions += 1)
  const fixture = await startPeer((options, deps) => new HttpModernPeer({ ...options, contradicted }, deps), limits)
  fixture.answer = answer
  fixtures.push(fixture)
  return fixture
}

const _meta = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
}
const done = { resultType: 'complete' }

function toolWith(properties: object): object {
  return { name: 'search', inputSchema: { type: 'object', properties } }
}

const region = { type: 'string', 'x-mcp-header': 'Region' }

/** A server that wants `Mcp-Param-Region` as it is in the body, and lists its tool. */
function strict(asked: Asked): void {
  const { arguments: args } = asked.body['params'] as { arguments?: { region?: string } }
  if (asked.name === 'tools/list') return asked.result({ ...done, tools: [toolWith({ region })] })
  if (asked.headers['mcp-param-region'] === args?.region) return asked.result(done)
  const error = { code: -32020, message: 'mismatch' }
  asked.res.writeHead(400).end(JSON.stringify({ jsonrpc: '2.0', id: asked.body['id'], error }))
}

describe('a Modern server behind HTTP', () => {
  it.each([
    ['tools/call', { name: 'search' }, 'search'],
    ['tools/call', { name: 'größe' }, '=?base64?Z3LDtsOfZQ==?='],
    ['tools/call', { name: ' padded' }, '=?base64?IHBhZGRlZA==?='],
    ['tools/call', { name: 'a\r\nx-evil: 1' }, '=?base64?YQ0KeC1ldmlsOiAx?='],
    ['tools/call', { name: '=?base64?YQ==?=' }, '=?base64?PT9iYXNlNjQ/WVE9PT89?='],
    ['resources/read', { uri: 'test://a b' }, 'test://a b'],
    ['prompts/list', {}, undefined],
  ])('gets %s of %j with headers that repeat the body', async (method, params, name) => {
    const fixture = await start((asked) => asked.result(done))
    expect(await fixture.call(method, { ...params, _meta }).ended).toMatchObject({ id: 1, result: done })
    const { headers } = await fixture.askedFor(method)
    expect([headers['mcp-protocol-version'], headers['mcp-method'], headers['mcp-name']]).toEqual([
      '2026-07-28',
      method,
      name,
    ])
    expect(headers).not.toHaveProperty('x-evil')
  })

  it('gets the annotated arguments of a tool as headers once its list was seen', async () => {
    const limit = { type: 'integer', 'x-mcp-header': 'X-Limit' }
    const deep = { type: 'object', properties: { flag: { type: 'boolean', 'x-mcp-header': 'Flag' } } }
    const fixture = await start((asked) =>
      asked.result(asked.name === 'tools/list' ? { ...done, tools: [toolWith({ region, limit, deep })] } : done),
    )
    await fixture.call('tools/list', { _meta }).ended
    const args = { region: 'Zürich', limit: 5, deep: { flag: false }, other: 'not said' }
    await fixture.call('tools/call', { name: 'search', arguments: args, _meta }).ended
    const { headers } = await fixture.askedFor('tools/call')
    const said = Object.entries(headers).filter(([key]) => key.startsWith('mcp-param-'))
    expect(Object.fromEntries(said)).toEqual({
      'mcp-param-region': '=?base64?WsO8cmljaA==?=',
      'mcp-param-x-limit': '5',
      'mcp-param-flag': 'false',
    })
  })

  it('that misses such a header has its list read, and gets the call once more', async () => {
    const fixture = await start(strict)
    const params = { name: 'search', arguments: { region: 'eu' }, _meta: { ..._meta, progressToken: 'p' } }
    expect(await fixture.call('tools/call', params).ended).toMatchObject({ result: done })
    expect(fixture.asked.map(({ name }) => name)).toEqual(['tools/call', 'tools/list', 'tools/call'])
    expect(fixture.asked[1]?.body['params']).toEqual({ _meta })
    await fixture.call('tools/call', params).ended
    expect(fixture.asked).toHaveLength(4)
  })

  it('that goes on missing it gets the call twice and no more', async () => {
    const fixture = await start((asked) => (asked.name === 'tools/list' ? asked.result(done) : strict(asked)))
    const { ended } = fixture.call('tools/call', { name: 'search', arguments: { region: 'eu' }, _meta })
    expect(await ended).toMatchObject({ error: { code: -32020 } })
    expect(fixture.asked.filter(({ name }) => name === 'tools/call')).toHaveLength(2)
  })

  it('that lists a tool with an annotation against the rules is listed without that tool', async () => {
    const wrong = { name: 'wrong', inputSchema: { type: 'object', items: region } }
    const kept = { name: 'kept', inputSchema: { type: 'object' } }
    const fixture = await start((asked) => asked.result({ ...done, tools: [wrong, kept] }))
    const { result } = await fixture.call('tools/list', { _meta }).ended
    expect(result).toEqual({ ...done, tools: [kept] })
  })

  it('streams what belongs to a call to that call, and the rest of the stream is let go', async () => {
    const fixture = await start((asked) => {
      const { progressToken } = (asked.body['params'] as { _meta: { progressToken: number } })._meta
      asked.event({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken, progress: 1 } })
      asked.event({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 1 } })
      asked.event({ jsonrpc: '2.0', id: asked.body['id'], result: done })
      asked.res.end()
    })
    const { ended, progress, related } = fixture.call('tools/call', { _meta: { ..._meta, progressToken: 7 } }, 'mine')
    expect(await ended).toEqual({ jsonrpc: '2.0', id: 'mine', result: done })
    expect(JSON.parse(progress[0] ?? '')).toMatchObject({ params: { progressToken: 7 } })
    expect(related).toHaveLength(1)
    expect(fixture.notified).toEqual([])
  })

  it('sees its request end when a call is cancelled or expires', async () => {
    const fixture = await start(() => undefined, { requestTimeoutMs: 200 })
    const { call, ended } = fixture.call('tools/call', { _meta })
    const { res } = await fixture.askedFor('tools/call')
    fixture.peer.cancel(call, 'enough')
    expect(await ended).toEqual({ cancelled: true })
    if (!res.closed) await once(res, 'close')
    const slow = fixture.call('prompts/list', { _meta })
    const second = await fixture.askedFor('prompts/list')
    expect(await slow.ended).toMatchObject({ refused: 'timeout' })
    if (!second.res.closed) await once(second.res, 'close')
    expect(fixture.asked).toHaveLength(2)
  })

  it.each([
    ['answers as if there were no era', '{"tools":[]}', 200, 1],
    ['wants to be initialized', undefined, 400, 1],
    ['answers in its era', '{"resultType":"complete"}', 200, 0],
  ])('that %s is noticed', async (_what, result, status, expected) => {
    const fixture = await start(({ res, body }) => {
      const said = result === undefined ? '"error":{"code":-32000,"message":"no session"}' : `"result":${result}`
      res.writeHead(status).end(`{"jsonrpc":"2.0","id":${String(body['id'])},${said}}`)
    })
    await fixture.call('tools/list', { _meta }).ended
    expect(contradictions).toBe(expected)
  })

  it('that dies in the middle of a call leaves it unknown, and gets it once', async () => {
    const fixture = await start(({ res }) => void res.destroy())
    expect(await fixture.call('tools/call', { _meta }).ended).toMatchObject({ outcome: 'unknown' })
    expect(fixture.asked).toHaveLength(1)
  })
})
