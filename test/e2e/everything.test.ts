import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { generations, isProgressTo, type Connect, type Peer } from './clients.ts'
import { eventually, openWorld, type World } from './harness.ts'

let world: World
let url: string
let peers: Peer[] = []

beforeAll(async () => {
  world = await openWorld()
  await world.ok('run', '--name', 'everything', 'npx://@modelcontextprotocol/server-everything', '--', 'stdio')
  url = (await world.list())[0]!.url
})

afterEach(async () => {
  await Promise.all(peers.map(async (peer) => await peer.close()))
  peers = []
})

afterAll(async () => {
  await world.close()
})

describe.each(generations)('server-everything, through the proxy, for %s', (_name, connect) => {
  it('says who it is and answers ping', async () => {
    const peer = await open(connect)
    expect(peer.sdk.getServerVersion()?.name).toMatch(/everything/)
    expect(await peer.sdk.ping()).toBeDefined()
  })

  it('lists resources and templates, and reads both kinds', async () => {
    const { sdk } = await open(connect)
    const { resources } = await sdk.listResources()
    const uri = 'demo://resource/static/document/features.md'
    expect(resources.map((resource) => resource.uri)).toContain(uri)
    expect((await sdk.readResource({ uri })).contents[0]?.text).toMatch(/features/i)
    const templates = (await sdk.listResourceTemplates()).resourceTemplates.map(({ uriTemplate }) => uriTemplate)
    expect(templates.toSorted()).toEqual([
      'demo://resource/dynamic/blob/{resourceId}',
      'demo://resource/dynamic/text/{resourceId}',
    ])
    const dynamic = await sdk.readResource({ uri: 'demo://resource/dynamic/text/7' })
    expect(dynamic.contents[0]?.text).toMatch(/^Resource 7:/)
  })

  it('lists prompts, fills one in, and completes an argument', async () => {
    const { sdk } = await open(connect)
    const names = (await sdk.listPrompts()).prompts.map(({ name }) => name)
    expect(names).toEqual(expect.arrayContaining(['simple-prompt', 'args-prompt', 'completable-prompt']))
    const filled = await sdk.getPrompt({ name: 'args-prompt', arguments: { city: 'Oslo' } })
    expect(filled.messages[0]?.content).toMatchObject({ type: 'text', text: expect.stringContaining('Oslo') })
    const ref = { type: 'ref/prompt', name: 'completable-prompt' } as const
    const { completion } = await sdk.complete({ ref, argument: { name: 'department', value: 'Eng' } })
    expect(completion.values).toEqual(['Engineering'])
  })

  it('reports progress to the call it belongs to', async () => {
    const peer = await open(connect)
    const steps: number[] = []
    const text = await peer.text(
      'trigger-long-running-operation',
      { duration: 0.2, steps: 4 },
      { onprogress: ({ progress }) => void steps.push(progress) },
    )
    expect(text).toMatch(/completed/)
    expect(steps).toSatisfy((heard: number[]) => isProgressTo(4, heard))
    expect(peer.notifications.filter(({ method }) => method === 'notifications/progress')).toEqual([])
  })

  it('can be told to forget a call, and goes on serving', async () => {
    const peer = await open(connect)
    const abort = new AbortController()
    const call = peer.call(
      'trigger-long-running-operation',
      { duration: 60, steps: 600 },
      { signal: abort.signal, onprogress: () => abort.abort('not wanted any more') },
    )
    await expect(call).rejects.toThrow('not wanted any more')
    expect(await peer.text('echo', { message: 'still here' })).toBe('Echo: still here')
  })

  it('sends log messages to the client that asked for them, and to no other', async () => {
    const [talkative, quiet] = [await open(connect), await open(connect)]
    await talkative.sdk.setLoggingLevel('debug')
    await talkative.call('toggle-simulated-logging')
    try {
      expect(await talkative.seen('notifications/message')).toMatchObject({ level: expect.any(String) })
    } finally {
      await talkative.call('toggle-simulated-logging')
    }
    expect(await quiet.sdk.ping()).toBeDefined()
    expect(quiet.notifications).toEqual([])
  })

  it('tells every client that the list of resources changed', async () => {
    const [acting, other] = [await open(connect), await open(connect)]
    const name = `note-${Math.random()}.gz`
    const result = await acting.call('gzip-file-as-resource', { name, data: 'data:text/plain,hello' })
    expect(result.content[0]?.type).toBe('resource_link')
    await acting.seen('notifications/resources/list_changed')
    await other.seen('notifications/resources/list_changed')
    const uris = (await other.sdk.listResources()).resources.map(({ uri }) => uri)
    expect(uris).toContain(`demo://resource/session/${name}`)
  })

  it('tells subscribers of a resource, until they unsubscribe, and nobody else', async () => {
    const [subscriber, other] = [await open(connect), await open(connect)]
    const uri = 'demo://resource/dynamic/text/3'
    await subscriber.sdk.subscribeResource({ uri })
    await subscriber.call('toggle-subscriber-updates')
    expect(await subscriber.seen('notifications/resources/updated')).toEqual({ uri })
    await subscriber.call('toggle-subscriber-updates')
    await subscriber.sdk.unsubscribeResource({ uri })
    const count = updates(subscriber)
    await other.sdk.subscribeResource({ uri: 'demo://resource/dynamic/text/4' })
    await other.call('toggle-subscriber-updates')
    await eventually('the other subscriber is told', 10_000, async () => {
      return await Promise.resolve(updates(other) > 0 ? true : undefined)
    })
    await other.call('toggle-subscriber-updates')
    expect([updates(subscriber), updates(other)]).toEqual([count, 1])
  })
})

async function open(connect: Connect): Promise<Peer> {
  const peer = await connect(url)
  peers.push(peer)
  return peer
}

function updates(peer: Peer): number {
  return peer.notifications.filter(({ method }) => method === 'notifications/resources/updated').length
}
