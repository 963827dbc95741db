import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import {
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { fixture, isAlive, openWorld, type World } from './harness.ts'

const patience = { timeout: 10_000 }

let world: World
const urls = new Map<string, string>()
let open: { close(): Promise<void> }[] = []

beforeAll(async () => {
  world = await openWorld()
  await world.ok('run', '--name', 'legacy', 'npx://@modelcontextprotocol/server-everything', '--', 'stdio')
  await world.ok('run', '--name', 'modern', '--', ...fixture('era-server.mjs', '--modern-only'))
  // It tells its pid, and in a sandbox that is another one.
  await world.ok('run', '--name', 'dual', '--isolation', 'none', '--', ...fixture('era-server.mjs'))
  await world.ok('run', '--name', 'pinned', '--era', 'legacy', '--', ...fixture('era-server.mjs'))
  await world.ok('run', '--name', 'shared', '--shared-server', '--', ...fixture('era-server.mjs'))
  for (const { name, url } of await world.list()) urls.set(name, url)
})

afterEach(async () => {
  await Promise.all(open.splice(0).map(async (client) => await client.close()))
  open = []
})

afterAll(async () => {
  await world.close()
})

function urlOf(name: string): URL {
  return new URL(urls.get(name) ?? '')
}

async function connectModern(name: string, capabilities: Record<string, unknown> = {}): Promise<Client> {
  const options = { capabilities, versionNegotiation: { mode: { pin: '2026-07-28' } } }
  const client = new Client({ name: 'modern-client', version: '0' }, options)
  await client.connect(new StreamableHTTPClientTransport(urlOf(name)))
  open.push(client)
  return client
}

async function connectLegacy(name: string): Promise<Client> {
  const client = new Client({ name: 'legacy-client', version: '0' })
  await client.connect(new StreamableHTTPClientTransport(urlOf(name)))
  open.push(client)
  return client
}

async function connectOld(name: string, capabilities: Record<string, unknown> = {}): Promise<ClientV1> {
  const client = new ClientV1({ name: 'old-client', version: '0' }, { capabilities })
  await client.connect(new TransportV1(urlOf(name)))
  open.push(client)
  return client
}

/** The text of a tool's result. */
async function textOf(
  client: { callTool(params: { name: string; arguments?: Record<string, unknown> }): Promise<unknown> },
  name: string,
  given: Record<string, unknown> = {},
): Promise<string> {
  return JSON.stringify(await client.callTool({ name, arguments: given }))
}

describe('a Modern client of server-everything', () => {
  it('speaks to it without a session: tools, resources, prompts, completion', async () => {
    const client = await connectModern('legacy')
    expect(client.getServerVersion()?.name).toMatch(/everything/)
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('get-sum')
    expect(await textOf(client, 'get-sum', { a: 2, b: 3 })).toContain('The sum of 2 and 3 is 5.')
    const { resources } = await client.listResources()
    expect((await client.readResource({ uri: resources[0]?.uri ?? '' })).contents).toHaveLength(1)
    expect((await client.listResourceTemplates()).resourceTemplates.length).toBeGreaterThan(0)
    const filled = await client.getPrompt({ name: 'args-prompt', arguments: { city: 'Oslo' } })
    expect(JSON.stringify(filled)).toContain('Oslo')
    const ref = { type: 'ref/prompt', name: 'completable-prompt' } as const
    const { completion } = await client.complete({ ref, argument: { name: 'department', value: 'Eng' } })
    expect(completion.values).toEqual(['Engineering'])
  })

  it('gets progress, and may ask the same at once many times', async () => {
    const clients = await Promise.all([1, 2, 3].map(async () => await connectModern('legacy')))
    const sums = clients.flatMap((client, at) =>
      [...Array(20).keys()].map(async (n) => [await textOf(client, 'get-sum', { a: at, b: n }), at + n] as const),
    )
    for (const [text, sum] of await Promise.all(sums)) expect(text).toContain(`is ${sum}.`)
    const steps: number[] = []
    const call = { name: 'trigger-long-running-operation', arguments: { duration: 1, steps: 4 } }
    await clients[0]?.callTool(call, { onprogress: ({ progress }) => void steps.push(progress) })
    expect(steps.slice(0, 3)).toEqual([1, 2, 3])
  })
})

describe('a server that speaks only Modern', () => {
  it.each([
    ['an SDK v1 client', connectOld],
    ['an SDK v2 client of a Legacy version', connectLegacy],
  ])('serves %s', async (_title, connect) => {
    const client = await connect('modern')
    expect(client.getServerVersion()?.name).toBe('era-server')
    expect(client.getInstructions()).toBe('be kind')
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('numbers')
    expect(await textOf(client, 'who')).toContain('modern')
    expect(await client.callTool({ name: 'numbers' })).toMatchObject({ structuredContent: { result: [1, 2] } })
    const { contents } = await client.readResource({ uri: 'era:text' })
    expect(contents[0]).toMatchObject({ uri: 'era:text' })
  })

  it('gives a Legacy client progress, and refuses what it would have to ask for', async () => {
    const client = await connectOld('modern', { elicitation: {} })
    const steps: number[] = []
    await client.callTool({ name: 'steps' }, undefined, { onprogress: ({ progress }) => void steps.push(progress) })
    expect(steps.slice(0, 2)).toEqual([1, 2])
    await expect(client.callTool({ name: 'ask' })).rejects.toThrow(/capabilit/i)
  })

  it('tells Legacy and Modern clients of changes', async () => {
    const old = await connectOld('modern')
    const heard: string[] = []
    old.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => void heard.push(params.uri))
    old.setNotificationHandler(ToolListChangedNotificationSchema, () => void heard.push('tools'))
    await old.subscribeResource({ uri: 'era:text' })
    const modern = await connectModern('modern')
    const told: string[] = []
    modern.setNotificationHandler('notifications/resources/updated', ({ params }) => void told.push(params.uri))
    modern.setNotificationHandler('notifications/tools/list_changed', () => void told.push('tools'))
    const subscription = await modern.listen({ toolsListChanged: true, resourceSubscriptions: ['era:text'] })
    await textOf(modern, 'write', { text: 'second' })
    await expect.poll(() => heard.toSorted(), patience).toEqual(['era:text', 'tools'])
    await expect.poll(() => told.toSorted(), patience).toEqual(['era:text', 'tools'])
    expect(JSON.stringify(await old.readResource({ uri: 'era:text' }))).toContain('second')
    await subscription.close()
  })

  it('asks a Modern client, which answers with its next request', async () => {
    const client = await connectModern('modern', { elicitation: { form: {} } })
    client.setRequestHandler('elicitation/create', () => ({ action: 'accept', content: { name: 'Ada' } }))
    expect(await textOf(client, 'ask')).toContain('hello Ada')
  })

  it('hears that a Modern client has closed its request', async () => {
    const client = await connectModern('modern')
    const abort = new AbortController()
    const waiting = client.callTool({ name: 'wait' }, { signal: abort.signal, onprogress: () => undefined })
    setTimeout(() => abort.abort(), 200)
    await expect(waiting).rejects.toThrow(/abort/i)
    await expect.poll(async () => await world.ok('logs', 'modern'), patience).toContain('the wait was cancelled')
  })
})

describe('a server that speaks both eras', () => {
  it('serves Legacy clients from one process and Modern clients from another', async () => {
    const [a, b] = [await connectModern('dual'), await connectModern('dual')]
    const [old, legacy] = [await connectOld('dual'), await connectLegacy('dual')]
    const modern = await Promise.all([textOf(a, 'who'), textOf(b, 'who')])
    const others = await Promise.all([textOf(old, 'who'), textOf(legacy, 'who')])
    expect(modern[0]).toContain('modern')
    expect(others[0]).toContain('legacy')
    expect(processOf(modern[0])).toBe(processOf(modern[1]))
    expect(processOf(others[0])).toBe(processOf(others[1]))
    expect(processOf(modern[0])).not.toBe(processOf(others[0]))
  })

  it.each(['pinned', 'shared'])('serves Modern clients of the workload "%s" by translation', async (name) => {
    expect(await textOf(await connectModern(name), 'who')).toContain('legacy')
  })

  it('serves Modern clients again after its second process was killed', async () => {
    const client = await connectModern('dual')
    const before = processOf(await textOf(client, 'who'))
    process.kill(before, 'SIGKILL')
    await expect.poll(() => isAlive(before), patience).toBe(false)
    await expect.poll(async () => await textOf(client, 'who').catch(String), patience).toContain('modern')
    expect(processOf(await textOf(client, 'who'))).not.toBe(before)
  })
})

function processOf(text: string): number {
  return Number(/(?:modern|legacy) (\d+)/.exec(text)?.[1])
}
