import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  Client as ModernSdkClient,
  StreamableHTTPClientTransport as ModernSdkTransport,
} from '@modelcontextprotocol/client'
import { Client as LegacySdkClient } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as LegacySdkTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
} from '@modelcontextprotocol/sdk/types.js'
import { eventually, fixture, isAlive, openWorld, type World } from './harness.ts'

/** What a test needs of a client, whichever SDK it is made with. */
interface TestClient {
  tools(): Promise<number>
  /** Texts of a tool's result, as one. */
  call(name: string, args?: Record<string, unknown>): Promise<string>
  /** How often it was asked what. */
  asked: string[]
  close(): Promise<void>
}

/** What a client answers; every answer carries its name. */
interface Behaviour {
  name: string
  /** Called before an elicitation is answered. */
  onElicit?: () => Promise<void>
  /** Whether it opens the stream for what belongs to no call. Default true. */
  opensStream?: boolean
}

const everything = { elicitation: { form: {}, url: {} }, sampling: {}, roots: { listChanged: true } }
const requestOptions = { timeout: 30_000 }

/** Refuses the GET stream, as servers without one do. */
const withoutStream: typeof fetch = async (input, init) =>
  init?.method === 'GET' ? new Response(null, { status: 405 }) : await fetch(input, init)

function answers(behaviour: Behaviour, asked: string[]) {
  const { name } = behaviour
  return {
    elicit: async () => {
      asked.push('elicitation')
      await behaviour.onElicit?.()
      return { action: 'accept' as const, content: { name } }
    },
    sample: async () => {
      asked.push('sampling')
      return {
        role: 'assistant' as const,
        model: 'test',
        content: { type: 'text' as const, text: `sampled by ${name}` },
      }
    },
    roots: async () => {
      asked.push('roots')
      return { roots: [{ uri: `file:///${name}`, name }] }
    },
  }
}

async function connectV1(url: string, behaviour: Behaviour): Promise<TestClient> {
  const asked: string[] = []
  const { elicit, sample, roots } = answers(behaviour, asked)
  const client = new LegacySdkClient({ name: behaviour.name, version: '1' }, { capabilities: everything })
  client.setRequestHandler(ElicitRequestSchema, elicit)
  client.setRequestHandler(CreateMessageRequestSchema, sample)
  client.setRequestHandler(ListRootsRequestSchema, roots)
  const transport = new LegacySdkTransport(
    new URL(url),
    behaviour.opensStream === false ? { fetch: withoutStream } : {},
  )
  await client.connect(transport)
  return {
    asked,
    tools: async () => (await client.listTools()).tools.length,
    call: async (name, args = {}) =>
      textOf(await client.callTool({ name, arguments: args }, undefined, requestOptions)),
    close: async () => {
      await transport.terminateSession()
      await client.close()
    },
  }
}

async function connectV2(url: string, behaviour: Behaviour, capabilities: object = everything): Promise<TestClient> {
  const asked: string[] = []
  const { elicit, sample, roots } = answers(behaviour, asked)
  const client = new ModernSdkClient({ name: behaviour.name, version: '1' }, { capabilities })
  if (capabilities === everything) {
    client.setRequestHandler('elicitation/create', elicit)
    client.setRequestHandler('sampling/createMessage', sample)
    client.setRequestHandler('roots/list', roots)
  }
  const transport = new ModernSdkTransport(
    new URL(url),
    behaviour.opensStream === false ? { fetch: withoutStream } : {},
  )
  await client.connect(transport)
  return {
    asked,
    tools: async () => (await client.listTools()).tools.length,
    call: async (name, args = {}) => textOf(await client.callTool({ name, arguments: args }, requestOptions)),
    close: async () => {
      await transport.terminateSession()
      await client.close()
    },
  }
}

function textOf(result: unknown): string {
  const { content } = result as { content: { text?: string }[] }
  return content.map(({ text }) => text ?? '').join('\n')
}

let world: World

beforeAll(async () => {
  world = await openWorld()
  // Short, so that a test can wait for it; clients with an open stream are not idle.
  world.environment['THV_LANE_IDLE_TIMEOUT'] = '3s'
  await world.ok('run', '--name', 'all', 'npx://@modelcontextprotocol/server-everything')
})

afterAll(async () => {
  await world.close()
})

async function url(name: string): Promise<string> {
  return (await world.list()).find((workload) => workload.name === name)!.url
}

async function lanes(name: string): Promise<number[]> {
  return ((await world.status(name)).thv?.lanes ?? []).map(({ pid }) => pid)
}

/** The server asks for the roots a moment after the handshake and lists its tools anew then. */
async function allTools(client: TestClient): Promise<number> {
  return await eventually('the tools for this client', 10_000, async () => {
    const count = await client.tools()
    return count === 17 ? count : undefined
  })
}

describe.each([
  ['SDK v1', connectV1],
  ['SDK v2', connectV2],
])('two clients of %s that answer questions', (_title, connect) => {
  it('are asked at the same time and never crossed', async () => {
    const address = await url('all')
    const [one, two, plain] = await Promise.all([
      connect(address, { name: 'one' }),
      connect(address, { name: 'two' }),
      connectV2(address, { name: 'plain' }, {}),
    ])
    expect(await Promise.all([allTools(one), allTools(two), plain.tools()])).toEqual([17, 17, 13])
    const rounds = Array.from({ length: 5 }, (_, round) => round)
    await Promise.all(
      [one, two].flatMap((client, index) => {
        const name = index === 0 ? 'one' : 'two'
        const other = index === 0 ? 'two' : 'one'
        return rounds.map(async (round) => {
          const texts = await Promise.all([
            client.call('trigger-elicitation-request'),
            client.call('trigger-sampling-request', { prompt: `p${round}`, maxTokens: 10 }),
            client.call('get-roots-list'),
          ])
          expect(texts[0]).toContain(`Name: ${name}`)
          expect(texts[1]).toContain(`sampled by ${name}`)
          expect(texts[2]).toContain(`file:///${name}`)
          expect(texts.join('\n')).not.toContain(other)
          expect(await plain.call('echo', { message: `${name} ${round}` })).toBe(`Echo: ${name} ${round}`)
        })
      }),
    )
    for (const { asked } of [one, two]) {
      expect(asked.filter((what) => what === 'elicitation')).toHaveLength(5)
      expect(asked.filter((what) => what === 'sampling')).toHaveLength(5)
      expect(asked).toContain('roots')
    }
    expect(plain.asked).toEqual([])
    expect(await lanes('all')).toHaveLength(2)
    await Promise.all([one, two, plain].map((client) => client.close()))
    await eventually('the lanes are gone', 10_000, async () => ((await lanes('all')).length === 0 ? true : undefined))
  })
})

describe('a lane', () => {
  it('ends when its client is idle, and comes back for the next call of the same session', async () => {
    const client = await connectV1(await url('all'), { name: 'sleepy', opensStream: false })
    expect(await client.call('echo', { message: 'a' })).toBe('Echo: a')
    const [first] = await lanes('all')
    expect(await isAlive(first!)).toBe(true)
    await eventually('the idle lane ends', 15_000, async () => ((await lanes('all')).length === 0 ? true : undefined))
    expect(await isAlive(first!)).toBe(false)
    // Without a stream, the question comes with the call.
    expect(await client.call('trigger-elicitation-request')).toContain('Name: sleepy')
    const [second] = await lanes('all')
    expect(second).not.toBe(first)
    await client.close()
  })

  it('that is killed with a question open fails its call honestly and serves the next one', async () => {
    const address = await url('all')
    const others = await lanes('all')
    const own = async (): Promise<number[]> => (await lanes('all')).filter((pid) => !others.includes(pid))
    let killed: () => void = () => undefined
    const isKilled = new Promise<void>((resolve) => {
      killed = resolve
    })
    let isFirst = true
    const client = await connectV2(address, {
      name: 'unlucky',
      onElicit: async () => {
        if (!isFirst) return
        isFirst = false
        const [pid] = await own()
        process.kill(pid!, 'SIGKILL')
        await isKilled
      },
    })
    await allTools(client)
    const [before] = await own()
    await expect(client.call('trigger-elicitation-request')).rejects.toThrow(/stopped while the call was running/)
    killed()
    expect(await client.call('trigger-elicitation-request')).toContain('Name: unlucky')
    const [after, ...more] = await own()
    expect([after === before, more]).toEqual([false, []])
    // The server of all other clients was not touched.
    expect((await world.status('all')).thv?.restarts ?? 0).toBe(0)
    await client.close()
  })

  it('dies with a supervisor that is killed, and a start leaves nothing of it', async () => {
    const client = await connectV1(await url('all'), { name: 'orphan' })
    const [lane] = await lanes('all')
    const { supervisor_pid: supervisor } = (await world.list()).find(({ name }) => name === 'all')!
    process.kill(supervisor!, 'SIGKILL')
    await eventually('the lane is gone', 5_000, async () => ((await isAlive(lane!)) ? undefined : true))
    await client.close().catch(() => undefined)
    await world.ok('start', 'all')
    expect(await lanes('all')).toEqual([])
  })

  it('ends with its workload, however many there are, and leaves no process', async () => {
    const address = await url('all')
    const clients = await Promise.all(['a', 'b', 'c', 'd'].map(async (name) => await connectV2(address, { name })))
    const pids = await lanes('all')
    expect(pids).toHaveLength(4)
    const began = performance.now()
    await world.ok('stop', 'all')
    expect(performance.now() - began).toBeLessThan(15_000)
    expect(await Promise.all(pids.map(isAlive))).toEqual([false, false, false, false])
    expect(await world.processes()).toEqual([])
    await Promise.all(clients.map((client) => client.close().catch(() => undefined)))
  })
})

it('a workload pinned to one shared server refuses the questions of it', async () => {
  await world.ok('run', '--name', 'pinned', '--shared-server', 'npx://@modelcontextprotocol/server-everything')
  const client = await connectV2(await url('pinned'), { name: 'ignored' })
  expect(await client.tools()).toBe(13)
  expect(await lanes('pinned')).toEqual([])
  expect(client.asked).toEqual([])
  await client.close()
})

it('a local command gets lanes too', async () => {
  await world.ok('run', '--name', 'local', '--', ...fixture('stdio-server.mjs'))
  const [asking, plain] = [
    await connectV1(await url('local'), { name: 'asking' }),
    await connectV2(await url('local'), { name: 'plain' }, {}),
  ]
  expect(await asking.tools()).toBe(await plain.tools())
  expect(await lanes('local')).toHaveLength(1)
  await Promise.all([asking.close(), plain.close()])
})
