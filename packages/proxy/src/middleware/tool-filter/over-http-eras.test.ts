import { afterEach, expect, it } from 'vitest'
import { startEraServer } from '../../testing/era-servers.ts'
import { initialize, post } from '../../testing/http-client.ts'
import { never, startProxy } from '../../testing/proxy-fixture.ts'
import { createToolFilter } from './tool-filter.ts'

const open: { close(): Promise<unknown> }[] = []

afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close()
})

const _meta = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
}

async function headersOf(client: string, port: number, method: string, name: string): Promise<Record<string, string>> {
  const types = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
  if (client === 'legacy') return { ...types, 'mcp-session-id': await initialize(port) }
  const named = method === 'tools/call' ? { 'mcp-name': name } : undefined
  return { ...types, 'mcp-protocol-version': '2026-07-28', 'mcp-method': method, ...named }
}

it.each([
  ['legacy', 'modern'],
  ['modern', 'legacy'],
  ['modern', 'modern'],
] as const)('a %s client sees and calls what it may, and nothing else, of a %s server', async (client, era) => {
  const server = await startEraServer(era)
  open.push(server)
  const rules = { filter: ['said'], overrides: { echo: { name: 'said' } } }
  const { proxy, port } = await startProxy({ config: { backend: 'http', middleware: [createToolFilter(rules)] } })
  open.push(proxy)
  await proxy.attach({ kind: 'http', origin: server.origin, transport: 'streamable-http' }, never)
  const ask = async (method: string, name = ''): ReturnType<typeof post> => {
    const params = {
      ...(name === '' ? {} : { name, arguments: { text: name } }),
      ...(client === 'modern' ? { _meta } : {}),
    }
    return await post(port, { id: 1, method, params }, await headersOf(client, port, method, name))
  }
  expect(await ask('tools/list')).toMatchObject({ json: { result: { tools: [{ name: 'said' }] } } })
  expect(await ask('tools/call', 'said')).toMatchObject({
    json: { result: { content: [{ text: '{"text":"said"}' }] } },
  })
  for (const hidden of ['echo', 'slow', 'region']) {
    expect(await ask('tools/call', hidden)).toMatchObject({ json: { error: { code: -32602 } } })
  }
  expect(server.ran).toEqual([{ text: 'said' }])
})
