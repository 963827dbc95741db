import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connectV1, connectV2 } from './clients.ts'
import { eventually, fixture, openWorld, type World } from './harness.ts'
import { exchange, openSession, postHeaders } from './http.ts'

const server = ['--', ...fixture('stdio-server.mjs')]
const list = { jsonrpc: '2.0', id: 1, method: 'tools/list' }

let world: World

beforeAll(async () => {
  world = await openWorld()
})

afterAll(async () => {
  await world.close()
})

async function run(name: string, ...flags: string[]): Promise<string> {
  await world.ok('run', '--name', name, ...flags, ...server)
  return await urlOf(name)
}

async function urlOf(name: string): Promise<string> {
  return (await world.list()).find((workload) => workload.name === name)!.url
}

async function exportOf(name: string): Promise<Record<string, unknown>> {
  const file = join(world.directory, `${name}.json`)
  await world.ok('export', name, file)
  return JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>
}

async function expectStateless(url: string): Promise<void> {
  for (const method of ['GET', 'DELETE']) {
    const { status, headers } = await exchange(url, { method, headers: { accept: 'text/event-stream' } })
    expect([status, headers.allow]).toEqual([405, 'POST, OPTIONS'])
  }
  expect((await exchange(url, { headers: { ...postHeaders, 'mcp-session-id': 'x' }, body: list })).status).toBe(200)
}

describe('--stateless', () => {
  it('serves clients of both SDKs without a session', async () => {
    const url = await run('stateless', '--stateless')
    await expectStateless(url)
    for (const connect of [connectV1, connectV2]) {
      const peer = await connect(url)
      expect((await peer.sdk.listTools()).tools.length).toBeGreaterThan(0)
      await peer.close()
    }
  })

  it('is exported, and honoured in what ToolHive wrote', async () => {
    const config = await exportOf('stateless')
    expect(config).toMatchObject({ stateless: true })
    const file = join(world.directory, 'given.json')
    await writeFile(file, JSON.stringify({ ...config, name: 'given', base_name: 'given', port: 0 }))
    await world.ok('run', '--from-config', file)
    await expectStateless(await urlOf('given'))
  })
})

it('--session-ttl ends a session that was unused for so long', async () => {
  const url = await run('short', '--session-ttl', '500ms', '--otel-enable-prometheus-metrics-path')
  expect(await exportOf('short')).toMatchObject({ session_ttl: '500ms' })
  const headers = await openSession(url)
  expect((await exchange(url, { headers, body: list })).status).toBe(200)
  const metrics = new URL('/metrics', url).href
  await eventually('the session has ended', 10_000, async () => {
    const { text } = await exchange(metrics, { method: 'GET', headers: {} })
    return /^thv_sessions\{.*\} 0$/m.test(text) ? true : undefined
  })
  expect((await exchange(url, { headers, body: list })).status).toBe(404)
})

it('--strict-protocol-validation refuses a version that is not in the list', async () => {
  const version = { 'mcp-protocol-version': '2024-10-07' }
  const statuses = []
  for (const flags of [[], ['--strict-protocol-validation']]) {
    const url = await run(`v${flags.length}`, ...flags)
    statuses.push((await exchange(url, { headers: { ...postHeaders, ...version }, body: list })).status)
  }
  expect(statuses).toEqual([200, 400])
  expect(await exportOf('v1')).toMatchObject({ strict_protocol_validation: true })
})

it.each([
  [['--stateless', '--proxy-mode', 'sse'], 'invalid-flag-combination'],
  [['--stateless', '--session-ttl', '1m'], 'invalid-flag-combination'],
  [['--session-ttl', '5'], 'invalid-argument'],
])('%j is refused', async (flags, code) => {
  const { code: exit, stderr } = await world.thv('run', '--name', 'x', ...flags, ...server)
  expect([exit, stderr]).toEqual([1, expect.stringContaining(`[${code}]`)])
})
