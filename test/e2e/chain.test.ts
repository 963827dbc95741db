import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { generations } from './clients.ts'
import { fixture, openWorld, type World } from './harness.ts'
import { exchange, messagesOf, openSession, postHeaders } from './http.ts'

const everything = 'npx://@modelcontextprotocol/server-everything@2026.8.31'
const flags = ['--tools', 'shout,get-sum', '--tools', 'trigger-long-running-operation']

let world: World
let overrides: string
let urls: Record<string, string>

beforeAll(async () => {
  world = await openWorld()
  overrides = join(world.directory, 'overrides.json')
  const toolsOverride = { echo: { name: 'shout', description: 'Says it again, as "shout"' } }
  await writeFile(overrides, JSON.stringify({ toolsOverride }))
  const filter = [...flags, '--tools-override', overrides]
  const metrics = '--otel-enable-prometheus-metrics-path'
  await world.ok('run', '--name', 'stdio', metrics, ...filter, everything, '--', 'stdio')
  await world.ok('run', '--name', 'old', '--proxy-mode', 'sse', ...filter, everything, '--', 'stdio')
  const http = ['--transport', 'streamable-http', metrics, ...filter]
  await world.ok('run', '--name', 'http', ...http, everything, '--', 'streamableHttp')
  await world.ok('run', '--name', 'sse', '--transport', 'sse', ...filter, everything, '--', 'sse')
  urls = Object.fromEntries((await world.list()).map(({ name, url }) => [name, url.replace(/#.*/, '')]))
})

afterAll(async () => {
  await world.close()
})

describe.each(['stdio', 'old', 'http', 'sse'])('server-everything behind a tool filter, %s', (name) => {
  it.each(generations)('shows %s its tools, and lets it call them', async (_generation, connect) => {
    const peer = await connect(urls[name] ?? '')
    const { tools } = await peer.sdk.listTools()
    expect(tools.map((tool) => tool.name).toSorted()).toEqual(['get-sum', 'shout', 'trigger-long-running-operation'])
    const shout = tools.find((tool) => tool.name === 'shout')
    expect(shout).toMatchObject({
      description: 'Says it again, as "shout"',
      inputSchema: { properties: { message: {} } },
    })
    expect(await peer.text('shout', { message: 'hello' })).toBe('Echo: hello')
    expect(await peer.text('get-sum', { a: 2, b: 3 })).toContain('5')
    const steps: number[] = []
    const onprogress = ({ progress }: { progress: number }): void => void steps.push(progress)
    await peer.text('trigger-long-running-operation', { duration: 1.5, steps: 3 }, { onprogress })
    expect(steps.slice(0, 2)).toEqual([1, 2])
    await expect(peer.call('echo', { message: 'x' })).rejects.toThrow('tool not found')
    await expect(peer.call('get-env')).rejects.toThrow('tool not found')
    expect((await peer.sdk.listResources()).resources.length).toBeGreaterThan(0)
    await peer.close()
  })
})

describe('a server of 2026-07-28 behind a tool filter', () => {
  let url: string

  beforeAll(async () => {
    const file = join(world.directory, 'modern.json')
    await writeFile(file, JSON.stringify({ toolsOverride: { größe: { name: 'size' }, echo: { name: 'écho' } } }))
    const filter = ['--tools', 'size,écho', '--tools-override', file]
    const http = ['--name', 'modern', '--transport', 'streamable-http', ...filter]
    await world.ok('run', ...http, '--', ...fixture('modern-http-server.mjs'))
    url = (await world.list()).find(({ name }) => name === 'modern')?.url ?? ''
  })

  it.each(['2026-07-28', 'legacy'] as const)(
    'has its names in body and header agree, for a client of %s',
    async (era) => {
      const mode = era === 'legacy' ? era : { pin: era }
      const client = new Client({ name: 'modern', version: '1' }, { versionNegotiation: { mode } })
      await client.connect(new StreamableHTTPClientTransport(new URL(url)))
      expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['écho', 'size'])
      for (const [visible, original] of [
        ['size', 'größe'],
        ['écho', 'echo'],
      ] as const) {
        const result = await client.callTool({ name: visible, arguments: { message: 'x' } })
        expect(result.content).toEqual([{ type: 'text', text: `${original}: x` }])
      }
      for (const name of ['hidden', 'echo', 'größe']) {
        await expect(client.callTool({ name, arguments: {} })).rejects.toThrow('tool not found')
      }
      await client.close()
    },
  )
})

describe('/metrics', () => {
  it.each(['stdio', 'http'])('of %s counts the calls that its clients made', async (name) => {
    const base = new URL(urls[name] ?? '')
    const headers = await openSession(base.href)
    const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'shout', arguments: { message: 'x' } } }
    const count = async (): Promise<number> => {
      const { status, text } = await exchange(new URL('/metrics', base).href, { method: 'GET', headers: {} })
      expect(status).toBe(200)
      return Number(/^thv_tool_calls_total\{.*tool="echo"\} (\d+)$/m.exec(text)?.[1] ?? 0)
    }
    const before = await count()
    expect(messagesOf(await exchange(base.href, { headers, body: call }))).toMatchObject([{ id: 1 }])
    await exchange(base.href, { headers, body: { ...call, params: { name: 'get-env' } } })
    expect((await count()) - before).toBe(1)
  })

  it('of a workload without is 404', async () => {
    const answer = await exchange(new URL('/metrics', urls['sse']).href, { method: 'GET', headers: {} })
    expect(answer.status).toBe(404)
  })
})

it("the run config has it in ToolHive's shape, and runs again from there", async () => {
  const file = join(world.directory, 'stdio.json')
  await world.ok('export', 'stdio', file)
  const config = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>
  expect(config).toMatchObject({
    tools_filter: ['shout', 'get-sum', 'trigger-long-running-operation'],
    tools_override: { echo: { name: 'shout', description: 'Says it again, as "shout"' } },
    telemetry_config: { enablePrometheusMetricsPath: true },
  })
  const rules = { filter_tools: config['tools_filter'], tools_override: config['tools_override'] }
  const stored = {
    ...config,
    name: 'stored',
    base_name: 'stored',
    port: 0,
    tools_filter: undefined,
    tools_override: undefined,
    middleware_configs: [
      { type: 'bodylimit', parameters: { max_bytes: 2000 } },
      { type: 'tool-filter', parameters: rules },
      { type: 'tool-call-filter', parameters: rules },
      { type: 'auth', parameters: {} },
      { type: 'mcp-parser', parameters: {} },
      { type: 'usagemetrics', parameters: {} },
      { type: 'recovery', parameters: null },
    ],
    thv: { ...(config['thv'] as object), limits: { batchItems: 2 } },
  }
  await writeFile(file, JSON.stringify(stored))
  await world.ok('run', '--from-config', file)
  const url = (await world.list()).find(({ name }) => name === 'stored')?.url ?? ''
  const headers = await openSession(url)
  const listed = messagesOf<{ result: { tools: { name: string }[] } }>(
    await exchange(url, { headers, body: { jsonrpc: '2.0', id: 1, method: 'tools/list' } }),
  )
  expect(listed[0]?.result.tools.map(({ name }) => name)).toContain('shout')
  const large = { jsonrpc: '2.0', id: 2, method: 'ping', params: { text: 'x'.repeat(2000) } }
  expect((await exchange(url, { headers, body: large })).status).toBe(413)
  await writeFile(file, JSON.stringify({ ...stored, name: 'refused', middleware_configs: [{ type: 'authorization' }] }))
  const refused = await world.thv('run', '--from-config', file)
  expect(refused.stderr).toContain("the middleware 'authorization'")
  expect(refused.code).not.toBe(0)
})

describe('a mistake in a limit is told, with what there is', () => {
  it('in a run config', async () => {
    const file = join(world.directory, 'limits.json')
    await world.ok('export', 'stdio', file)
    const config = JSON.parse(await readFile(file, 'utf8')) as { thv: object }
    const changed = { ...config, name: 'limits', base_name: 'limits', port: 0 }
    await writeFile(file, JSON.stringify({ ...changed, thv: { ...config.thv, limits: { bodyByte: 1 } } }))
    const { code, stderr } = await world.thv('run', '--from-config', file)
    expect(code).not.toBe(0)
    expect(stderr).toContain('there is no limit "bodyByte"; there are bodyBytes, ')
  })

  it.each([
    ['THV_LIMIT_BODY_BYTE', '1', 'there is no limit for THV_LIMIT_BODY_BYTE'],
    ['THV_LIMIT_BODY_BYTES', '1e3', 'THV_LIMIT_BODY_BYTES is not a whole number'],
    ['THV_LIMIT_BODY_BYTES', '0', 'THV_LIMIT_BODY_BYTES is not a whole number'],
  ])('in the environment: %s=%s', async (variable, text, message) => {
    const options = { environment: { [variable]: text } }
    const { code, stderr } = await world.run(['run', '--name', 'never', '--', ...fixture('stdio-server.mjs')], options)
    expect(code).not.toBe(0)
    expect(stderr).toContain(message)
    expect((await world.list()).map(({ name }) => name)).not.toContain('never')
  })

  it('while a good one is obeyed', async () => {
    const options = { environment: { THV_LIMIT_BODY_BYTES: '300' } }
    const args = ['run', '--name', 'small', '--allowed-origins', 'http://localhost:6274']
    expect((await world.run([...args, '--', ...fixture('stdio-server.mjs')], options)).code).toBe(0)
    const url = (await world.list()).find(({ name }) => name === 'small')?.url ?? ''
    const body = { jsonrpc: '2.0', id: 1, method: 'ping', params: { text: 'x'.repeat(300) } }
    expect((await exchange(url, { headers: postHeaders, body })).status).toBe(413)
  })
})

it('a page of an allowed origin can use a workload, and no other page can', async () => {
  const url = (await world.list()).find(({ name }) => name === 'small')?.url ?? ''
  const origin = 'http://localhost:6274'
  const asking = { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'mcp-session-id' }
  const preflight = await exchange(url, { method: 'OPTIONS', headers: asking })
  expect(preflight).toMatchObject({ status: 204, headers: { 'access-control-allow-origin': origin } })
  const body = { jsonrpc: '2.0', id: 1, method: 'ping' }
  expect(await exchange(url, { headers: { ...postHeaders, origin }, body })).toMatchObject({
    status: 200,
    headers: {
      'access-control-allow-origin': origin,
      'access-control-expose-headers': expect.stringContaining('Mcp-S'),
    },
  })
  for (const headers of [
    { ...postHeaders, origin: 'http://evil.test' },
    { ...postHeaders, origin, host: 'evil.test' },
  ]) {
    expect((await exchange(url, { headers, body })).status).toBe(403)
  }
  expect((await world.thv('run', '--name', 'any', '--allowed-origins', '*', '--', 'true')).stderr).toContain(
    "'*' is not an origin",
  )
})
