import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  discoverResult,
  execution,
  extras,
  initializeResult,
  logParams,
  methods,
  progressParams,
  questionParams,
  resultPieces,
  rich,
} from '../fixtures/mcp-servers/rich-answers.mjs'
import { eventually, fixture, openWorld, type World } from './harness.ts'
import { fieldsOf, openEvents, openStreamable, type RawClient } from './raw-client.ts'

/** One way from a client to a server. */
interface Way {
  name: string
  client: 'legacy' | 'modern'
  /** Arguments of the fixture, and of `thv run`. */
  server: ['stdio' | 'http', 'legacy' | 'modern' | 'dual']
  flags: string[]
  /** Whether the client says that it can be asked: then it has a server, or a session, of its own. */
  canBeAsked: boolean
  /** Whether the proxy writes members of its own: then the rest is compared in pieces, in order. */
  isTranslated: boolean
}

const overHttp = ['--transport', 'streamable-http']
const same = { isTranslated: false, canBeAsked: true }
const silent = { isTranslated: false, canBeAsked: false }
const translated = { isTranslated: true, canBeAsked: false }
const ways: Way[] = [
  { name: 'bridge', client: 'legacy', server: ['stdio', 'legacy'], flags: [], ...silent },
  { name: 'bridge-lane', client: 'legacy', server: ['stdio', 'legacy'], flags: [], ...same },
  { name: 'bridge-sse', client: 'legacy', server: ['stdio', 'legacy'], flags: ['--proxy-mode', 'sse'], ...same },
  { name: 'transparent', client: 'legacy', server: ['http', 'legacy'], flags: overHttp, ...same },
  { name: 'transparent-sse', client: 'legacy', server: ['http', 'legacy'], flags: ['--transport', 'sse'], ...same },
  { name: 'transparent-modern', client: 'modern', server: ['http', 'dual'], flags: overHttp, ...silent },
  { name: 'modern-stdio-legacy', client: 'modern', server: ['stdio', 'legacy'], flags: [], ...translated },
  { name: 'modern-stdio-modern', client: 'modern', server: ['stdio', 'modern'], flags: [], ...translated },
  { name: 'legacy-stdio-modern', client: 'legacy', server: ['stdio', 'modern'], flags: [], ...translated },
  { name: 'modern-http-legacy', client: 'modern', server: ['http', 'legacy'], flags: overHttp, ...translated },
  { name: 'legacy-http-modern', client: 'legacy', server: ['http', 'modern'], flags: overHttp, ...translated },
]

let world: World
const conversations = new Map<Way, Promise<{ client: RawClient; opening: string }>>()

beforeAll(async () => {
  world = await openWorld()
  for (const way of ways) conversations.set(way, open(way))
  // A server that does not start fails the tests of its way only.
  await Promise.allSettled(conversations.values())
})

afterAll(async () => {
  for (const conversation of await Promise.allSettled(conversations.values())) {
    if (conversation.status === 'fulfilled') conversation.value.client.close()
  }
  await world.close()
})

describe.each(ways)('every character, on the way $name', (way) => {
  it('of what a server says of itself arrives', async () => {
    const { opening } = await conversations.get(way)!
    const whole = way.client === 'legacy' ? initializeResult('2025-11-25') : discoverResult
    expect(opening).toContain(way.isTranslated ? rich : whole)
  })

  it.each(methods)('of a %s and its answer arrives', async (method) => {
    const { client } = await conversations.get(way)!
    const text = requestPieces(way, method, { id: '7', token: '"t\\u0061"' }).join('')
    const messages = await client.exchange(text, { headers: headersFor(way, method) })
    const answer = messages.at(-1)!
    const received = fieldsOf(answer).result!.received!
    expectSame(way, received, receivedPieces(way, method, received))
    expectSame(way, answer, answerPieces(way, '7', resultPieces(method, received)!))
  })

  it('of the progress of a call arrives, under the token that the client chose', async () => {
    const { client } = await conversations.get(way)!
    const text = requestPieces(way, 'tools/call', { id: '"p"', token: '"\\u0070"' }).join('')
    const messages = await client.exchange(text, { headers: headersFor(way, 'tools/call') })
    expect(messages).toHaveLength(2)
    const progress = messages[0]!
    expect(fieldsOf(progress).params?.progressToken).toBe('p')
    expectSame(way, progress, [
      `{"params":{"progressToken":${tokenIn(progress)},`,
      `${progressParams}},"method":"notifications/progress","jsonrpc":"2.0"}`,
    ])
  })
})

describe.each(ways.filter(({ isTranslated }) => isTranslated))('what belongs to one hop, on the way $name', (way) => {
  it('goes no further', async () => {
    const { client } = await conversations.get(way)!
    const text = requestPieces(way, 'resources/read', { id: '12', token: '12' }).join('')
    const messages = await client.exchange(text, { headers: headersFor(way, 'resources/read') })
    const answer = messages.at(-1)!
    const isEnveloped = fieldsOf(answer).result!.received!.includes('"io.modelcontextprotocol/protocolVersion"')
    expect(isEnveloped).toBe(way.server[1] === 'modern')
    expect(answer.includes('"resultType"')).toBe(way.client === 'modern')
  })
})

describe.each(ways.filter(({ canBeAsked }) => canBeAsked))('every character, on the way $name', (way) => {
  it('of a question to the client and of its answer arrives', async () => {
    const { client } = await conversations.get(way)!
    const text = requestPieces(way, 'tools/call', { id: '8', token: '8' }, '"ask":true').join('')
    const asked: string[] = []
    const answerTo = (id: Id): string =>
      `{"vendor":${rich},"result":{"action":"accept","content":${rich},${extras}},"id":${id},"jsonrpc":"2.0"}`
    const messages = await client.exchange(text, {
      answer: (question) => {
        asked.push(question)
        return answerTo(JSON.stringify(fieldsOf(question).id))
      },
    })
    expect(asked).toHaveLength(1)
    const id = JSON.stringify(fieldsOf(asked[0]!).id)
    expect(asked[0]).toBe(`{"params":{${questionParams}},"id":${id},"jsonrpc":"2.0","method":"elicitation/create"}`)
    const { answered } = fieldsOf(messages.at(-1)!).result!
    expect(answered).toBe(answerTo(JSON.stringify(fieldsOf(answered!).id)))
  })

  it('of a notification of the client arrives', async () => {
    const { client } = await conversations.get(way)!
    const told = `{"params":{"vendor":${rich},${extras}},"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`
    await client.exchange(told)
    const text = requestPieces(way, 'tools/call', { id: '11', token: '11' }, '"tell":true').join('')
    expect(fieldsOf((await client.exchange(text)).at(-1)!).result!.told).toBe(told)
  })
})

describe.each(ways.filter(({ client }) => client === 'legacy'))('every character, on the way $name', (way) => {
  it('of a log message arrives', async () => {
    const { client } = await conversations.get(way)!
    await client.exchange('{"jsonrpc":"2.0","id":10,"method":"logging/setLevel","params":{"level":"debug"}}')
    const messages = await client.exchange(
      requestPieces(way, 'tools/call', { id: '9', token: '9' }, '"log":true').join(''),
    )
    const logged = await eventually('the log message', 10_000, async () => {
      const all = [...messages, ...client.unasked]
      return await Promise.resolve(all.find((message) => fieldsOf(message).method === 'notifications/message'))
    })
    expect(logged).toBe(`{"params":{${logParams}},"method":"notifications/message","jsonrpc":"2.0"}`)
  })
})

it('every character of a batch and its answers arrives', async () => {
  const way = ways.find(({ name }) => name === 'bridge')!
  const client = openStreamable(await urlOf(way))
  await introduce(client, way, '2025-03-26')
  const build = (id: Id, token: Id): string => requestPieces(way, 'resources/read', { id, token }).join('')
  const messages = await client.exchange(`[${build('21', '1')} ,\n${build('"22"', '1')}]`)
  client.close()
  const answers: { id: string | number; result: { received: string } }[] = JSON.parse(messages.join(''))
  expect(new Set(answers.map(({ id }) => id))).toEqual(new Set([21, '22']))
  for (const { id, result } of answers) {
    const { received } = result
    expect(received).toBe(build(JSON.stringify(fieldsOf(received).id), tokenIn(received)))
    const members = resultPieces('resources/read', received)!
    expect(messages.join('')).toContain(answerPieces(way, JSON.stringify(id), members).join(''))
  }
})

/** JSON text of an id or of a progress token. */
type Id = string

async function open(way: Way): Promise<{ client: RawClient; opening: string }> {
  await world.ok('run', '--name', way.name, ...way.flags, '--', ...fixture('rich-server.mjs', ...way.server))
  const url = await urlOf(way)
  const streamable = new URL(url).pathname === '/sse' ? undefined : openStreamable(url)
  const client = streamable ?? (await openEvents(url))
  const opening = await introduce(client, way)
  // What belongs to no call comes on the stream of the session.
  if (way.server[0] === 'stdio' && way.client === 'legacy') await streamable?.openStream()
  return { client, opening }
}

async function urlOf(way: Way): Promise<string> {
  return (await world.list()).find(({ name }) => name === way.name)!.url
}

/** Opens the conversation the way of the client's family; resolves to what the server says of itself. */
async function introduce(client: RawClient, way: Way, revision = '2025-11-25'): Promise<string> {
  if (way.client === 'modern') {
    const text = requestPieces(way, 'server/discover', { id: '0', token: '0' }).join('')
    return (await client.exchange(text, { headers: headersFor(way, 'server/discover') })).at(-1)!
  }
  const info = `{"name":"raw","version":"1","vendor":${rich}}`
  const capabilities = `{${way.canBeAsked ? '"elicitation":{},' : ''}"vendor":${rich}}`
  const params = `{"protocolVersion":"${revision}","capabilities":${capabilities},"clientInfo":${info},${extras}}`
  const [answer] = await client.exchange(`{"params":${params},"id":0,"jsonrpc":"2.0","method":"initialize"}`)
  await client.exchange('{"jsonrpc":"2.0","method":"notifications/initialized"}')
  return answer!
}

/** The text of a request in pieces: the proxy may write between them, and nowhere else. */
function requestPieces(way: Way, method: string, own: { id: Id; token: Id }, ...flags: string[]): string[] {
  const envelope = [
    '"io.modelcontextprotocol/protocolVersion":"2026-07-28"',
    '"io.modelcontextprotocol/clientCapabilities":{}',
  ]
  const hop = way.client === 'modern' ? `${envelope.join(',')},` : ''
  const named = '"name":"p","uri":"rich://a","ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":"v"}'
  return [
    `{"params":{${named},"arguments":{${[...flags, `"vendor":${rich}`].join(',')}},"vendor":${rich},"_meta":{`,
    hop,
    `"example.com/trace":${rich},"progressToken":${own.token}`,
    `}},"id":${own.id},`,
    `"vendor":${rich},"method":"${method}","jsonrpc":"2.0"}`,
  ]
}

/** The same with the id and token that it arrived with, and without what a hop says of itself. */
function receivedPieces(way: Way, method: string, received: string): string[] {
  const own = { id: JSON.stringify(fieldsOf(received).id), token: tokenIn(received) }
  const [before = '', hop = '', ...rest] = requestPieces(way, method, own)
  return way.isTranslated ? [before, ...rest] : [before, hop, ...rest]
}

/** The text of an answer in pieces. A hop may write around `_meta`, and takes from a tool what Modern has not. */
function answerPieces(way: Way, id: Id, members: string[]): string[] {
  const hop = way.client === 'modern' ? ',"resultType":"complete","ttlMs":0,"cacheScope":"private"' : ''
  const end = `},"jsonrpc":"2.0","id":${id}}`
  if (!way.isTranslated) return ['{"result":{', members.join(','), hop, end]
  const text = members.join(',')
  const meta = '"_meta":{'
  const at = text.lastIndexOf(meta)
  return ['{"result":{', ...text.slice(0, at).split(execution), meta, text.slice(at + meta.length, -1), '}', end]
}

/** As it is written; escapes included. */
function tokenIn(text: string): Id {
  return /"progressToken":("(?:[^"\\]|\\.)*"|\d+)/.exec(text)?.[1] ?? ''
}

function headersFor(way: Way, method: string): Record<string, string> {
  if (way.client === 'legacy') return {}
  const name = { 'tools/call': 'p', 'prompts/get': 'p', 'resources/read': 'rich://a' }[method]
  return {
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': method,
    ...(name !== undefined && { 'mcp-name': name }),
  }
}

function expectSame(way: Way, text: string, pieces: readonly string[]): void {
  if (!way.isTranslated) return expect(text).toBe(pieces.join(''))
  let from = 0
  for (const piece of pieces) {
    const at = text.indexOf(piece, from)
    expect(at, `${piece} is missing in ${text}`).toBeGreaterThanOrEqual(0)
    from = at + piece.length
  }
}
