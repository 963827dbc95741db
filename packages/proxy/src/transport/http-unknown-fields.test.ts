import { createServer, type Server } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { parseText } from '../mcp/message.ts'
import { fetchText, initialize } from '../testing/http-client.ts'
import { never, startProxy } from '../testing/proxy-fixture.ts'

const open: { close(): unknown }[] = []

afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close()
})

/** What no parser of ours has heard of, in a form that a rewritten number or string would not keep. */
const unknown = String.raw`"x-number":12345678901234567890.10,"x-text":"\u00e9\u2028","x-deep":{"a":[{"b":null,"c":1e400}]}`
const vendorMeta = '"_meta":{"com.example/own":{"n":9007199254740993},"traceparent":"00-1-2-03"}'

const members: Record<string, string> = {
  'tools/list': `"tools":[{"name":"t","inputSchema":{"type":"object",${unknown}},${unknown}}]`,
  'tools/call': `"content":[{"type":"unheard","value":1,${unknown}}],"structuredContent":{${unknown}}`,
  'resources/list': `"resources":[{"uri":"test://a","name":"a",${unknown}}]`,
  'resources/templates/list': `"resourceTemplates":[{"uriTemplate":"test://{a}","name":"a",${unknown}}]`,
  'resources/read': `"contents":[{"uri":"test://a","text":"",${unknown}}]`,
  'prompts/list': `"prompts":[{"name":"p",${unknown}}]`,
  'prompts/get': `"messages":[{"role":"user","content":{"type":"unheard",${unknown}}}]`,
  'completion/complete': `"completion":{"values":[],${unknown}}`,
  'com.example/own': `"own":true`,
}

/** A server of one era that repeats the text of each request's params inside its answer. */
async function startRaw(era: 'legacy' | 'modern'): Promise<{ origin: string; requests: string[] }> {
  const requests: string[] = []
  const server: Server = createServer((req, res) => {
    let text = ''
    req.setEncoding('utf8')
    req.on('data', (piece: string) => (text += piece))
    req.on('end', () => {
      const parsed = parseText(text)
      if (parsed.kind !== 'message') return void res.writeHead(405).end()
      const { method, idText } = parsed.message
      const say = (status: number, rest: string): void => {
        res.writeHead(status, { 'content-type': 'application/json' }).end(`{"jsonrpc":"2.0","id":${idText},${rest}}`)
      }
      if (idText === '') return void res.writeHead(202).end()
      if (method === 'initialize' || method === 'server/discover') {
        if ((method === 'initialize') !== (era === 'legacy')) return say(404, '"error":{"code":-32601,"message":"no"}')
        const said = '"capabilities":{"tools":{},"resources":{},"prompts":{},"completions":{}}'
        if (era === 'legacy') return say(200, `"result":{"protocolVersion":"2025-11-25",${said}}`)
        return say(200, `"result":{"resultType":"complete","supportedVersions":["2026-07-28"],${said}}`)
      }
      requests.push(text)
      const type = era === 'modern' ? '"resultType":"complete","ttlMs":0,"cacheScope":"private",' : ''
      say(200, `"result":{${type}${members[method] ?? ''},${unknown},${vendorMeta}}`)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push({ close: () => (server.closeAllConnections(), server.close()) })
  const address = server.address()
  return { origin: `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`, requests }
}

const names: Record<string, string> = { 'tools/call': 't', 'prompts/get': 'p', 'resources/read': 'test://a' }

describe.each(['legacy', 'modern'] as const)('a %s client', (client) => {
  it.each(['legacy', 'modern'] as const)('and a %s server keep what the proxy does not know', async (era) => {
    const { origin, requests } = await startRaw(era)
    const { proxy, port } = await startProxy({ config: { backend: 'http' } })
    open.push(proxy)
    await proxy.attach({ kind: 'http', origin, transport: 'streamable-http' }, never)
    const session: Record<string, string> =
      client === 'legacy' ? { 'mcp-session-id': await initialize(port), 'mcp-protocol-version': '2025-11-25' } : {}
    // A server without sessions gives none.
    if (session['mcp-session-id'] === 'undefined') delete session['mcp-session-id']
    for (const [method, kept] of Object.entries(members)) {
      const name = names[method]
      const key = method === 'resources/read' ? 'uri' : 'name'
      const modern: Record<string, string> = {
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': method,
        ...(name === undefined ? {} : { 'mcp-name': name }),
      }
      const claim =
        '"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}'
      const meta = `"_meta":{"com.example/own":[1.50],${client === 'modern' ? `${claim},` : ''}"tracestate":"a=b"}`
      const named = name === undefined ? '' : `"${key}":"${name}",`
      const answer = await fetchText({
        port,
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          ...(client === 'modern' ? modern : session),
        },
        body: `{"jsonrpc":"2.0","id":"mine","method":"${method}","params":{${named}"arguments":{${unknown}},${unknown},${meta}}}`,
      })
      expect([method, answer.status]).toEqual([method, 200])
      for (const piece of [kept, unknown, '"com.example/own":{"n":9007199254740993}', '"traceparent":"00-1-2-03"']) {
        expect(answer.text).toContain(piece)
      }
      expect(answer.text.includes('"resultType"')).toBe(client === 'modern')
      const request = requests.at(-1) ?? ''
      for (const piece of [`"arguments":{${unknown}},${unknown}`, '"com.example/own":[1.50]', '"tracestate":"a=b"']) {
        expect(request).toContain(piece)
      }
      expect(request.includes('io.modelcontextprotocol/protocolVersion')).toBe(era === 'modern')
    }
  })
})
