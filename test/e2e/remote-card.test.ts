import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startScriptedRemote, type ScriptedRemote } from '../../packages/runner/src/fixtures/scripted-remote.ts'
import { startApi } from './api-server.ts'
import { eventually, openWorld, type World } from './harness.ts'

let world: World
let remote: ScriptedRemote

const card = { name: 'io.example/notes', title: 'Notes', version: '1.2', description: 'Keeps notes' }

beforeAll(async () => {
  world = await openWorld()
})

afterEach(async () => {
  await world.thv('rm', '--all')
  await remote.down()
})

afterAll(async () => {
  await world.close()
})

/** A remote server with this card, as it is sent. */
async function withCard(text: string | undefined): Promise<void> {
  remote = await startScriptedRemote()
  remote.behave = (req, res) => {
    if (req.url !== '/mcp/server-card') return false
    // Without a text nothing is ever said.
    if (text !== undefined) res.writeHead(200, { 'content-type': 'application/mcp-server-card+json' }).end(text)
    return true
  }
}

describe('the server card of a remote server', () => {
  it('is read once, and shown by status, explain and the API', async () => {
    const $schema = 'https://static.modelcontextprotocol.io/schemas/v2/server-card.schema.json'
    await withCard(JSON.stringify({ $schema, ...card, description: 'Keeps\u001b[31m notes' }))
    world.environment['TOOLHIVE_HEALTH_CHECK_INTERVAL'] = '100ms'
    await world.ok('run', '--name', 'notes', remote.url)
    const shown = { ...card, description: 'Keeps [31m notes' }
    await eventually('the card', 10_000, async () =>
      (await world.ok('status', 'notes')).includes('Notes (io.example/notes) 1.2: Keeps [31m notes') ? true : undefined,
    )
    expect(JSON.parse(await world.ok('status', 'notes', '--format', 'json'))).toMatchObject({ server_card: shown })
    expect(JSON.parse(await world.ok('explain', 'notes', '--format', 'json'))).toMatchObject({ server_card: shown })
    expect(await world.ok('explain', 'notes')).toContain('The server says it is Notes (io.example/notes) 1.2: Keeps')
    const api = await startApi(world)
    // With a server the command shows what that answers.
    const { server_card: told } = (await api.call('GET', '/workloads/notes/explain')).json<{ server_card: unknown }>()
    expect(told).toEqual(shown)
    const { workloads } = (await api.call('GET', '/workloads')).json<{ workloads: unknown[] }>()
    expect(workloads).toMatchObject([{ server_card: shown }])
    expect(JSON.parse(await world.ok('status', 'notes', '--format', 'json'))).toMatchObject({ server_card: shown })
    await api.end()
    const asked = remote.seen.length
    await eventually('more probes', 10_000, async () => (remote.seen.length > asked + 5 ? true : undefined))
    expect(remote.seen.filter(({ url }) => url === '/mcp/server-card')).toHaveLength(1)
  })

  it.each(['no card', undefined])('that is none (%s) keeps nothing waiting and is not shown', async (text) => {
    await withCard(text)
    await world.ok('run', '--name', 'notes', remote.url)
    expect(await world.status('notes')).toMatchObject({ status: 'running' })
    await eventually('the question', 10_000, async () =>
      remote.seen.some(({ url }) => url === '/mcp/server-card') ? true : undefined,
    )
    expect(await world.ok('status', 'notes', '--format', 'json')).not.toContain('server_card')
    const began = performance.now()
    await world.ok('stop', 'notes')
    expect(performance.now() - began).toBeLessThan(4_000)
  })
})
