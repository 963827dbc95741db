import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connectV1, connectV2, realProblems, type Peer } from './clients.ts'
import { fixture, openWorld, type World } from './harness.ts'
import { openEvents, openStreamable, type RawClient } from './raw-client.ts'

/** JSON text of every kind of id that the protocol allows; each is also a progress token. */
const ids = [
  '0',
  '"0"',
  '""',
  '1',
  '-1',
  '9007199254740991',
  '-9007199254740991',
  '"9007199254740993"',
  '"\\u0061\\"\\\\\\n\\u2028"',
  '"a"',
  '"\\ud83d\\ude00"',
  '"null"',
  '"__proto__"',
  `"${'long '.repeat(400)}"`,
]

const titled = ids.map((id) => [id.slice(0, 24), id] as const)

const clientCount = 100
const sdkClientCount = 20

let world: World
const urls: Record<string, string> = {}
const clients: Record<string, RawClient[]> = {}
let peers: Peer[] = []

beforeAll(async () => {
  world = await openWorld()
  await Promise.all([
    world.ok('run', '--name', 'streamable', '--', ...fixture('stdio-server.mjs')),
    world.ok('run', '--name', 'events', '--proxy-mode', 'sse', '--', ...fixture('stdio-server.mjs')),
  ])
  for (const { name, url } of await world.list()) {
    urls[name] = url
    const opened = Array.from({ length: clientCount }, async () => await open(url))
    clients[name] = await Promise.all(opened)
  }
})

afterAll(async () => {
  await Promise.all(peers.map(async (peer) => await peer.close()))
  for (const client of Object.values(clients).flat()) client.close()
  await world.close()
})

describe.each(['streamable', 'events'])(`${clientCount} clients of one server (%s)`, (name) => {
  it.each(titled)('that use the id and progress token %s at once get their own progress and answers', async (_, id) => {
    const heard = await Promise.all(clients[name]!.map(async (client, who) => await client.exchange(count(id, who))))
    expect(heard.map((messages) => messages.map(parsed))).toEqual(clients[name]!.map((_client, who) => story(id, who)))
  })

  it('and of SDK clients of both generations get their own', async () => {
    const connects = Array.from({ length: sdkClientCount }, (_unused, who) => (who % 2 === 0 ? connectV1 : connectV2))
    peers = await Promise.all(connects.map(async (connect) => await connect(urls[name]!)))
    const raw = Promise.all(clients[name]!.map(async (client, who) => await client.exchange(count('1', who))))
    const labels = await Promise.all(
      peers.map(async (peer, who) => {
        const steps: number[] = []
        const onprogress = ({ progress, message }: { progress: number; message?: string | undefined }): void => {
          steps.push(message === `sdk ${who}` ? progress : NaN)
        }
        const label = await peer.text('count', { steps: 3, label: `sdk ${who}` }, { onprogress })
        // Both SDKs lose what comes in the same read as the answer; the raw clients look at every step.
        expect(steps).toEqual([1, 2, 3].slice(0, steps.length))
        return label
      }),
    )
    expect(labels).toEqual(peers.map((_peer, who) => `sdk ${who}`))
    expect(peers.flatMap(realProblems)).toEqual([])
    expect((await raw).map((messages) => messages.map(parsed))).toEqual(
      clients[name]!.map((_client, who) => story('1', who)),
    )
  })
})

it('one session may use all of them at the same time', async () => {
  const [client] = clients['streamable']!
  const heard = await Promise.all(ids.map(async (id, which) => await client!.exchange(count(id, which))))
  expect(heard.map((messages) => messages.map(parsed))).toEqual(ids.map((id, which) => story(id, which)))
})

it('clients without a session may use the same ones', async () => {
  const callers = Array.from({ length: clientCount }, () => openStreamable(urls['streamable']!))
  const heard = await Promise.all(callers.map(async (client, who) => await client.exchange(count('0', who))))
  expect(heard.map((messages) => messages.map(parsed))).toEqual(callers.map((_client, who) => story('0', who)))
})

async function open(url: string): Promise<RawClient> {
  const client = new URL(url).pathname === '/sse' ? await openEvents(url) : openStreamable(url)
  const params = '{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}'
  await client.exchange(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":${params}}`)
  await client.exchange('{"jsonrpc":"2.0","method":"notifications/initialized"}')
  return client
}

/** Calls take a different number of steps, so that they end in another order than they began. */
function stepsOf(who: number): number {
  return 1 + (who % 4)
}

function count(id: string, who: number): string {
  const given = `{"steps":${stepsOf(who)},"label":"client ${who}"}`
  const params = `{"name":"count","arguments":${given},"_meta":{"progressToken":${id}}}`
  return `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":${params}}`
}

/** All that one client may hear of its call: each step once and in order, the answer last. */
function story(id: string, who: number): unknown[] {
  const total = stepsOf(who)
  const progress = Array.from({ length: total }, (_unused, index) => ({
    jsonrpc: '2.0',
    method: 'notifications/progress',
    params: { progressToken: parsed(id), progress: index + 1, total, message: `client ${who}` },
  }))
  const result = { content: [{ type: 'text', text: `client ${who}` }] }
  return [...progress, { jsonrpc: '2.0', id: parsed(id), result }]
}

function parsed(text: string): unknown {
  return JSON.parse(text)
}
