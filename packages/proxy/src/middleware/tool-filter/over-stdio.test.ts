import { afterEach, describe, expect, it } from 'vitest'
import { createToolFilter } from './tool-filter.ts'
import type { FrontMode } from '../../proxy-config.ts'
import { initialize, openEvents, post } from '../../testing/http-client.ts'
import { modernRequest, postModern } from '../../testing/modern-client.ts'
import { startWithServer, type ProxyFixture } from '../../testing/proxy-fixture.ts'
import type { ScriptedServer, Wire } from '../../testing/scripted-server.ts'

const rules = { filter: ['shout', 'b'], overrides: { echo: { name: 'shout' } } }
const hidden: Wire = { jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'hidden' } }
const shout: Wire = { jsonrpc: '2.0', id: 3, method: 'tools/call', params: { name: 'shout', _meta: { name: 'shout' } } }
const list: Wire = { jsonrpc: '2.0', id: 1, method: 'tools/list', params: { cursor: 'c' } }

let fixture: ProxyFixture & { server: ScriptedServer }

afterEach(async () => {
  await fixture.proxy.close()
})

describe('a tool filter before a stdio server', () => {
  it('changes lists and calls, and keeps the rest of both to the character', async () => {
    const { port, server } = await serve()
    const headers = { 'mcp-session-id': await initialize(port) }
    const listed = await post(port, list, headers)
    expect(listed.text).toBe(
      '{"jsonrpc":"2.0","id":1,"result":{"x":1.0,"tools":[{"name":"shout","n":12345678901234567890}],"nextCursor":"d"}}',
    )
    expect(server.received.find(({ method }) => method === 'tools/list')?.params).toEqual({ cursor: 'c' })
    await post(port, shout, headers)
    const called = server.received.find(({ method }) => method === 'tools/call')
    expect(called?.params).toEqual({ name: 'echo', _meta: { name: 'shout' } })
  })

  it.each(['application/json', 'text/event-stream', 'application/json, text/event-stream'])(
    'refuses a hidden tool in-band to a client that reads %s',
    async (accept) => {
      const { port, server } = await serve()
      const { status, json, headers } = await post(port, hidden, { accept, 'mcp-session-id': await initialize(port) })
      expect(status).toBe(200)
      expect(json).toEqual({ jsonrpc: '2.0', id: 2, error: { code: -32602, message: 'tool not found' } })
      expect(headers['content-type']).toBe(accept === 'text/event-stream' ? accept : 'application/json')
      expect(server.received.map(({ method }) => method)).not.toContain('tools/call')
    },
  )

  it('looks at every member of a batch', async () => {
    const { port } = await serve()
    const headers = { 'mcp-session-id': await initialize(port, '2025-03-26') }
    const { text } = await post(port, [list, hidden, shout], headers)
    const answers: Wire[] = JSON.parse(text)
    expect(answers.find(({ id }) => id === 1)?.result?.['tools']).toMatchObject([{ name: 'shout' }])
    expect(answers.find(({ id }) => id === 2)?.error).toEqual({ code: -32602, message: 'tool not found' })
    expect(answers.find(({ id }) => id === 3)?.result).toBeDefined()
  })

  it('does the same over the old SSE transport, and leaves notifications alone', async () => {
    const { port, server } = await serve('sse')
    const events = await openEvents(port, '/sse')
    const endpoint = new URL((await events.next())?.data ?? '')
    const send = async (message: Wire): Promise<void> => {
      await fetch(endpoint, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(message),
      })
    }
    await send(list)
    expect((await events.message()).result?.['tools']).toMatchObject([{ name: 'shout' }])
    await send(hidden)
    expect((await events.message()).error?.message).toBe('tool not found')
    server.send({ method: 'notifications/tools/list_changed' })
    expect(await events.message()).toEqual({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' })
    events.close()
  })

  it('has headers checked by the name that the server gives the tool, and tells nothing of hidden tools by them', async () => {
    const { port, server } = await serve()
    const inputSchema = { properties: { region: { type: 'string', 'x-mcp-header': 'Region' } } }
    server.on('tools/list', () => ({ tools: ['echo', 'hidden'].map((name) => ({ name, inputSchema })) }))
    const call = (name: string) => postModern(port, modernRequest('tools/call', { name, arguments: { region: 'eu' } }))
    expect(await call('shout')).toMatchObject({ status: 400, json: { error: { code: -32020 } } })
    expect((await call('hidden')).json.error).toEqual({ code: -32602, message: 'tool not found' })
    expect(server.received.map(({ method }) => method)).not.toContain('tools/call')
  })
})

async function serve(mode: FrontMode = 'streamable-http'): Promise<typeof fixture> {
  fixture = await startWithServer({ mode, config: { middleware: [createToolFilter(rules)] } })
  const tools = '[{"name":"echo","n":12345678901234567890},{"name":"hidden"}]'
  fixture.server.on('tools/list', ({ id }, server) => {
    server.write(`{"jsonrpc":"2.0","id":${id},"result":{"x":1.0,"tools":${tools},"nextCursor":"d"}}`)
    return undefined
  })
  return fixture
}
