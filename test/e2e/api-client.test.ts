import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { startApi, type ApiProcess } from './api-server.ts'
import { connectV1, connectV2 } from './clients.ts'
import { createAnswerCheck, generateClient, readContract, type GeneratedClient } from './generated-client.ts'
import { eventually, openWorld, type ListedWorkload, type World } from './harness.ts'

const everything = 'npx://@modelcontextprotocol/server-everything'
const { document, source } = await readContract()

let world: World
let api: ApiProcess
let directory: string
let client: GeneratedClient
/** One for each answer that is not as the document says. */
const problems: string[] = []
/** `GET /path 200`, for each answer. */
const seen: string[] = []

beforeAll(async () => {
  world = await openWorld()
  api = await startApi(world)
  directory = await mkdtemp(join(tmpdir(), 'thv-generated-'))
  client = await generateClient(document, directory, api.origin)
  const check = createAnswerCheck(document)
  const real = fetch
  // The generated client is as it was made; what it is answered is looked at on its way.
  vi.stubGlobal('fetch', async (...sent: Parameters<typeof fetch>) => {
    const answer = await real(...sent)
    const url = new URL(new Request(...sent).url)
    if (url.origin !== api.origin) return answer
    const text = await answer.clone().text()
    const type = answer.headers.get('content-type') ?? ''
    const method = sent[1]?.method ?? 'GET'
    seen.push(`${method} ${url.pathname} ${answer.status}`)
    const problem = check(method, url.pathname, { status: answer.status, type, text })
    if (problem !== undefined) problems.push(problem)
    return answer
  })
})

afterAll(async () => {
  vi.unstubAllGlobals()
  await api?.end()
  await world.close()
  await rm(directory, { recursive: true, force: true })
})

describe(`a client generated from ${source}`, () => {
  it('creates workloads of real MCP servers in a group, and lists them', async () => {
    expect(await call('postGroups', { requestBody: { name: 'work' } })).toEqual({ name: 'work' })
    expect(await call('getGroups')).toMatchObject({ groups: [{ name: 'default' }, { name: 'work' }] })
    for (const [name, group] of [
      ['one', 'work'],
      ['two', undefined],
    ]) {
      const requestBody = { name, image: everything, group, env_vars: { MARK: name } }
      expect(await call('postWorkloads', { requestBody })).toMatchObject({ name, port: expect.any(Number) })
    }
    await reaches('one', 'running')
    await reaches('two', 'running')
    expect((await list()).map(({ name }) => name)).toEqual(['one', 'two'])
    expect((await list({ group: 'work' })).map(({ name }) => name)).toEqual(['one'])
    await expect(call('postWorkloads', { requestBody: { name: 'one', image: everything } })).rejects.toMatchObject({
      status: 409,
    })
    await expect(call('postGroups', { requestBody: { name: 'work' } })).rejects.toMatchObject({ status: 409 })
    expect(await echo('one')).toBe('Echo: hello')
    expect(await echo('two')).toBe('Echo: hello')
  })

  it('reads how one was asked for, its saved config and its logs', async () => {
    expect(await call('getWorkloadsByName', { name: 'one' })).toMatchObject({
      name: 'one',
      group: 'work',
      env_vars: { MARK: 'one' },
    })
    expect(await call('getWorkloadsByNameExport', { name: 'one' })).toMatchObject({
      schema_version: 'v0.1.0',
      name: 'one',
      group: 'work',
    })
    expect(await call('getWorkloadsByNameLogs', { name: 'one' })).toMatch(/STDIO/)
    expect(await call('getWorkloadsByNameProxyLogs', { name: 'one' })).toMatch(/proxy is listening/)
    expect(await call('getWorkloadsUpgradeCheck', {})).toMatchObject({
      results: [{ workload_name: 'one' }, { workload_name: 'two' }],
    })
    await expect(call('getWorkloadsByName', { name: 'nobody' })).rejects.toMatchObject({ status: 404 })
    await expect(call('getWorkloadsByNameLogs', { name: 'nobody' })).rejects.toMatchObject({ status: 404 })
  })

  it('edits, stops and restarts them, one and several', async () => {
    const [{ port } = { port: 0 }] = await list()
    const requestBody = { image: everything, group: 'work', tools: ['echo'] }
    expect(await call('postWorkloadsByNameEdit', { name: 'one', requestBody })).toEqual({ name: 'one', port })
    await reaches('one', 'running')
    expect(await call('getWorkloadsByName', { name: 'one' })).toMatchObject({ tools: ['echo'] })
    await call('postWorkloadsByNameStop', { name: 'one' })
    await reaches('one', 'stopped')
    expect((await list()).map(({ name }) => name)).toEqual(['two'])
    expect((await list({ all: true })).map(({ name }) => name)).toEqual(['one', 'two'])
    await call('postWorkloadsByNameRestart', { name: 'one' })
    await reaches('one', 'running')
    await call('postWorkloadsStop', { requestBody: { names: ['one', 'two'] } })
    await reaches('one', 'stopped')
    await reaches('two', 'stopped')
    await call('postWorkloadsRestart', { requestBody: { group: 'work' } })
    await reaches('one', 'running')
    expect(await echo('one')).toBe('Echo: hello')
    expect((await list({ all: true })).map(({ status }) => status)).toEqual(['running', 'stopped'])
    await expect(call('postWorkloadsStop', { requestBody: { names: [] } })).rejects.toMatchObject({ status: 400 })
  })

  it('deletes them, and the group', async () => {
    await call('deleteWorkloadsByName', { name: 'two' })
    await call('postWorkloadsDelete', { requestBody: { names: ['one'] } })
    await eventually('both are gone', 60_000, async () => ((await list({ all: true })).length === 0 ? true : undefined))
    await call('deleteGroupsByName', { name: 'work' })
    await expect(call('getGroupsByName', { name: 'work' })).rejects.toMatchObject({ status: 404 })
    expect(await call('getVersion')).toMatchObject({ version: expect.stringMatching(/^(v\d+\.\d+\.\d+|dev)/) })
    await call('getHealth')
  })

  it('was never answered otherwise than the document says', () => {
    const check = createAnswerCheck(document)
    const wrong = { status: 200, type: 'application/json', text: '{"workloads":[{"name":1}]}' }
    expect(check('GET', '/api/v1beta/workloads', wrong)).toMatch(/workloads\/0\/name must be string/)
    expect(check('GET', '/api/v1beta/nowhere', wrong)).toMatch(/is not in the document/)
    expect(seen.length).toBeGreaterThan(40)
    expect(problems).toEqual([])
  })
})

async function call(name: string, options?: Record<string, unknown>): Promise<unknown> {
  const method = client[name]
  if (method === undefined) throw new Error(`the generated client has no ${name}: ${Object.keys(client).join(' ')}`)
  return await method(options)
}

async function list(options: Record<string, unknown> = {}): Promise<ListedWorkload[]> {
  const { workloads } = (await call('getWorkloads', options)) as { workloads: ListedWorkload[] }
  return workloads
}

async function reaches(name: string, wanted: string): Promise<void> {
  await eventually(`'${name}' is ${wanted}`, 60_000, async () => {
    const { status } = (await call('getWorkloadsByNameStatus', { name })) as { status: string }
    return status === wanted ? true : undefined
  })
}

async function echo(name: string): Promise<string> {
  const found = (await list()).find((workload) => workload.name === name)
  const connect = name === 'one' ? connectV1 : connectV2
  const peer = await connect(found?.url ?? '')
  try {
    return await peer.text('echo', { message: 'hello' })
  } finally {
    await peer.close()
  }
}
