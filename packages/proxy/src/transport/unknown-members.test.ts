import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EventReader, initialize, openEvents, openResponse, bothTypes } from '../testing/http-client.ts'
import { callModern, envelopeOf, modernRequest, modernVersion } from '../testing/modern-client.ts'
import { createModernServer } from '../testing/modern-server.ts'
import { never, startProxy, type ProxyFixture } from '../testing/proxy-fixture.ts'
import { createScriptedServer, type ScriptedServer, type Wire } from '../testing/scripted-server.ts'

/** What no specification knows, in a spelling that every rebuilding of the message would change. */
const odd = '"x-odd":{"z":12345678901234567890, "a":1.50,"e":1e400,"t":"\\u0061\\/","n":null,"l":[ {} ]}'

/** Each method with a result of its own kind, in which strange members stand at every depth. */
const results: Record<string, string> = {
  'tools/list': `"tools":[{"name":"t","inputSchema":{"type":"object",${odd}},"outputSchema":{"type":"object",${odd}},${odd}}],"nextCursor":"c"`,
  'tools/call': `"content":[{"type":"text","text":"a",${odd}}],"structuredContent":{${odd}}`,
  'resources/list': `"resources":[{"uri":"a:b","name":"r",${odd}}]`,
  'resources/templates/list': `"resourceTemplates":[{"uriTemplate":"a:{b}","name":"r",${odd}}]`,
  'resources/read': `"contents":[{"uri":"a:b","text":"a",${odd}}]`,
  'prompts/list': `"prompts":[{"name":"p",${odd}}]`,
  'prompts/get': `"messages":[{"role":"user","content":{"type":"text","text":"a",${odd}}}]`,
  'completion/complete': `"completion":{"values":[],${odd}}`,
  'acme/own': `"anything":{${odd}}`,
}
const methods = Object.keys(results)

describe.each([
  ['Legacy', 'Legacy'],
  ['Legacy', 'Modern'],
  ['Modern', 'Legacy'],
  ['Modern', 'Modern'],
] as const)('members that nobody knows, between a %s client and a %s server', (client, serverEra) => {
  let fixture: ProxyFixture
  let server: ScriptedServer
  let headers: Record<string, string> = {}

  beforeAll(async () => {
    fixture = await startProxy()
    server = serverEra === 'Modern' ? createModernServer() : createScriptedServer()
    const type = serverEra === 'Modern' ? '"resultType":"complete",' : ''
    for (const [method, members] of Object.entries(results)) {
      server.on(method, (request, self) => {
        const token = JSON.stringify(tokenOf(request))
        const progress = `{"progressToken":${token},"progress":1,${odd}}`
        self.write(`{"jsonrpc":"2.0","method":"notifications/progress","params":${progress}}`)
        self.write(`{"jsonrpc":"2.0","id":${request.id},"result":{${odd},${type}${members},"_meta":{${odd}}}}`)
        return undefined
      })
    }
    server.on('acme/fail', (request, self) => {
      self.write(`{"jsonrpc":"2.0","id":${request.id},"error":{"code":-31000,"message":"m","data":{${odd}},${odd}}}`)
      return undefined
    })
    await fixture.proxy.attach(server.connection, never)
    if (client === 'Legacy') headers = { 'mcp-session-id': await initialize(fixture.port) }
  })

  afterAll(async () => {
    await fixture.proxy.close()
  })

  /** The texts of all messages that answer one request. */
  async function ask(method: string): Promise<string[]> {
    const name = method === 'tools/call' || method === 'prompts/get' ? { 'mcp-name': 't' } : {}
    const uri = method === 'resources/read' ? { 'mcp-name': 'a:b' } : {}
    const modern = { 'mcp-protocol-version': modernVersion, 'mcp-method': method, ...name, ...uri }
    const envelope = client === 'Modern' ? `,${JSON.stringify(envelopeOf()).slice(1, -1)}` : ''
    const params = `{"name":"t","uri":"a:b",${odd},"arguments":{${odd}},"_meta":{"progressToken":"p",${odd}${envelope}}}`
    const response = await openResponse({
      port: fixture.port,
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: bothTypes,
        ...(client === 'Modern' ? modern : headers),
      },
      body: `{"jsonrpc":"2.0","id":"i","method":"${method}","params":${params}}`,
    })
    if (response.headers['content-type'] === 'application/json') {
      let text = ''
      for await (const piece of response) text += String(piece)
      return [text]
    }
    const reader = new EventReader(response)
    const texts: string[] = []
    for (let event = await reader.next(); event !== undefined; event = await reader.next()) texts.push(event.data)
    return texts
  }

  it.each(methods)('survive %s, letter by letter, in the request, its progress and its result', async (method) => {
    const texts = await ask(method)
    const line = server.lines.findLast((text) => text.includes(`"${method}"`)) ?? ''
    expect(count(line)).toBe(3)
    expect(texts.map(count)).toEqual([1, count(results[method] ?? '') + 2])
    const answer: Wire = JSON.parse(texts[1] ?? '')
    expect(answer.id).toBe('i')
    expect(answer.result?.['resultType']).toBe(client === 'Modern' ? 'complete' : undefined)
  })

  it('survive an error', async () => {
    expect((await ask('acme/fail')).map(count)).toEqual([2])
  })

  it('survive a notification', async () => {
    const listen = modernRequest('subscriptions/listen', { notifications: { toolsListChanged: true } }, 'l')
    const reader =
      client === 'Modern' ? await callModern(fixture.port, listen) : await openEvents(fixture.port, '/mcp', headers)
    if (client === 'Modern') await reader.next()
    const own = server.received.findLast(({ method }) => method === 'subscriptions/listen')
    const id = own === undefined ? '' : `,"io.modelcontextprotocol/subscriptionId":${own.id}`
    const params = `{${odd},"_meta":{${odd}${id}}}`
    server.write(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":${params}}`)
    expect(count((await reader.next())?.data ?? '')).toBe(2)
    reader.close()
  })
})

/** How often the odd members stand in a text, in their own spelling. */
function count(text: string): number {
  return text.split(odd).length - 1
}

function tokenOf({ params }: Wire): unknown {
  const meta: unknown = params?.['_meta']
  return typeof meta === 'object' && meta !== null && 'progressToken' in meta ? meta.progressToken : undefined
}
