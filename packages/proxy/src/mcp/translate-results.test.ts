import type { JsonSchemaType } from '@modelcontextprotocol/sdk/validation/types.js'
import { AjvJsonSchemaValidator } from '@modelcontextprotocol/sdk/validation/ajv'
import { CallToolResultSchema, InitializeResultSchema, ListToolsResultSchema } from '@modelcontextprotocol/sdk/types.js'
import { describe, expect, it } from 'vitest'
import { metaKeys } from './meta-keys.ts'
import { buildInitializeResult, readSupportedVersions, toLegacyResponse } from './to-legacy.ts'
import { buildDiscoverResult, relayModernResponse, toModernResponse } from './to-modern.ts'

const serverInfoText = '{"name":"s", "version":"1","x":12345678901234567890}'
const info = `"_meta":{"${metaKeys.serverInfo}":${serverInfoText}}`

describe('a Legacy response for a Modern client', () => {
  it.each([
    ['tools/call', '{"content":[],"n":12345678901234567890,"x":{"b":1.50, "a":2}}', ''],
    ['prompts/get', '{"messages":[]}', ''],
    ['completion/complete', '{"completion":{"values":[]}}', ''],
    ['tools/list', '{"tools":[]}', ',"ttlMs":0,"cacheScope":"private"'],
    ['prompts/list', '{"prompts":[]}', ',"ttlMs":0,"cacheScope":"private"'],
    ['resources/list', '{"resources":[]}', ',"ttlMs":0,"cacheScope":"private"'],
    ['resources/templates/list', '{"resourceTemplates":[]}', ',"ttlMs":0,"cacheScope":"private"'],
    ['resources/read', '{"contents":[]}', ',"ttlMs":0,"cacheScope":"private"'],
  ])('%s is complete, says from whom it is, and keeps the rest', (method, result, caching) => {
    const text = `{"jsonrpc":"2.0","id":7,"result":${result}}`
    const members = result.slice(1, -1)
    expect(toModernResponse(text, { method, serverInfoText })).toBe(
      `{"jsonrpc":"2.0","id":7,"result":{${members},"resultType":"complete"${caching},${info}}}`,
    )
  })

  it('believes nothing a server says that is ours to say', () => {
    const text = `{"id":1,"jsonrpc":"2.0","result":{"resultType":"input_required","ttlMs":9,"cacheScope":"public","tools":[],"_meta":{"k":1,"${metaKeys.serverInfo}":{"name":"forged"},"${metaKeys.subscriptionId}":3}}}`
    expect(JSON.parse(toModernResponse(text, { method: 'tools/list', serverInfoText })).result).toEqual({
      tools: [],
      resultType: 'complete',
      ttlMs: 0,
      cacheScope: 'private',
      _meta: { k: 1, [metaKeys.serverInfo]: JSON.parse(serverInfoText) },
    })
  })

  it('has tools without execution', () => {
    const text =
      '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a","execution":{"taskSupport":"optional"},"x":1}, 5]}}'
    expect(toModernResponse(text, { method: 'tools/list', serverInfoText: '' })).toContain(
      '"tools":[{"name":"a","x":1},5]',
    )
  })

  it.each([
    [-32002, -32602],
    [-32601, -32601],
    [-32000, -32000],
  ])('has error %i as %i', (before, after) => {
    const error = (code: number): string =>
      `{"jsonrpc":"2.0","id":1,"error":{"code":${code},"message":"m","data":{"code":-32002}}}`
    expect(toModernResponse(error(before), { method: 'resources/read', serverInfoText })).toBe(error(after))
  })

  it('is a discover result made of an initialize result', () => {
    const initialized = `{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":${serverInfoText},"instructions":"do","x-extra":1.50,"_meta":{"k":1}}`
    expect(buildDiscoverResult(initialized)).toBe(
      `{"capabilities":{"tools":{}},"instructions":"do","x-extra":1.50,"resultType":"complete","supportedVersions":["2026-07-28"],"ttlMs":0,"cacheScope":"private","_meta":{"k":1,"${metaKeys.serverInfo}":${serverInfoText}}}`,
    )
  })
})

describe('a Modern response for a Modern client', () => {
  it('keeps everything but who it is from', () => {
    const text = `{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required","requestState":"s","n":1.50,"_meta":{"a":1,"${metaKeys.serverInfo}":{"name":"other"}}}}`
    expect(relayModernResponse(text, '{"name":"s"}')).toBe(
      `{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required","requestState":"s","n":1.50,"_meta":{"a":1,"${metaKeys.serverInfo}":{"name":"s"}}}}`,
    )
  })

  it('is none without a result type', () => {
    expect(relayModernResponse('{"jsonrpc":"2.0","id":1,"result":{}}', '')).toBeUndefined()
  })
})

describe('a Modern response for a Legacy client', () => {
  it('loses what only Modern knows and keeps the rest', () => {
    const text = `{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","ttlMs":5,"cacheScope":"public","contents":[{"n":12345678901234567890}],"_meta":{"${metaKeys.serverInfo}":{},"k": 1}}}`
    expect(toLegacyResponse(text, 'resources/read')).toBe(
      '{"jsonrpc":"2.0","id":1,"result":{"contents":[{"n":12345678901234567890}],"_meta":{"k":1}}}',
    )
  })

  it('has no _meta when only the server was named there', () => {
    const text = `{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","_meta":{"${metaKeys.serverInfo}":{}}}}`
    expect(toLegacyResponse(text, 'prompts/get')).toBe('{"jsonrpc":"2.0","id":1,"result":{}}')
  })

  it.each([
    ['input_required', 'input-not-bridged'],
    ['task', 'result-invalid'],
  ])('with a result of type %s is refused', (type, name) => {
    const text = `{"jsonrpc":"2.0","id":1,"result":{"resultType":"${type}","requestState":"secret"}}`
    const refusal = toLegacyResponse(text, 'tools/call')
    expect(refusal).toMatchObject({ name })
    expect(JSON.stringify(refusal)).not.toContain('secret')
  })

  it('is an initialize result made of a discover result', () => {
    const discovered = `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"extensions":{"io.modelcontextprotocol/tasks":{},"a/b":{}}},"instructions":"do","y":1.50,"ttlMs":5,"cacheScope":"public","_meta":{"${metaKeys.serverInfo}":${serverInfoText}}}`
    const result = buildInitializeResult(discovered, '2025-11-25')
    expect(result).toBe(
      `{"capabilities":{"tools":{},"extensions":{"a/b":{}}},"instructions":"do","y":1.50,"protocolVersion":"2025-11-25","serverInfo":${serverInfoText}}`,
    )
    expect(InitializeResultSchema.safeParse(JSON.parse(result)).success).toBe(true)
    expect(readSupportedVersions(discovered)).toEqual(['2026-07-28'])
  })

  it('lists tools that Legacy clients accept, and keeps good ones letter by letter', () => {
    const good = '{"name":"good", "inputSchema":{"type":"object"},"outputSchema":{"type":"object"},"n":1.50}'
    const bad = [
      '{"name":"no-type","inputSchema":{"properties":{}}}',
      '{"name":"array","inputSchema":{"type":"object"},"outputSchema":{"type":"array"}}',
      '{"name":"text-input","inputSchema":{"type":"string"}}',
      '{"name":"no-input"}',
      '7',
    ]
    const text = `{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","tools":[${[good, ...bad].join(',')}]}}`
    const translated = legacyText(text, 'tools/list')
    expect(translated).toContain(good)
    const { result } = JSON.parse(translated)
    expect(ListToolsResultSchema.safeParse(result).success).toBe(true)
    expect(result.tools.map((tool: { name: string }) => tool.name)).toEqual(['good', 'no-type', 'array'])
  })
})

describe('a tool whose results are no objects, for a Legacy client', () => {
  it.each<[string, unknown, unknown, boolean]>([
    ['a list', { type: 'array', items: { type: 'number' } }, [1, 2], true],
    ['a list that is wrong', { type: 'array', items: { type: 'number' } }, ['a'], false],
    ['a text', { type: 'string' }, 'x', true],
    ['null', { type: 'null' }, null, true],
    [
      'an object where the schema has no type',
      { anyOf: [{ type: 'object', required: ['a'] }, { type: 'array' }] },
      { a: 1 },
      true,
    ],
    ['a wrong object where the schema has no type', { anyOf: [{ type: 'object', required: ['a'] }] }, { b: 1 }, false],
    [
      'a list where the schema has no type',
      { anyOf: [{ type: 'object', required: ['a'] }, { type: 'array' }] },
      [1],
      true,
    ],
    ['one of several types', { type: ['object', 'number'] }, 5, true],
    [
      'what a reference allows',
      { type: 'array', items: { $ref: '#/$defs/n' }, $defs: { n: { type: 'number' } } },
      [1],
      true,
    ],
    [
      'what a reference forbids',
      { type: 'array', items: { $ref: '#/$defs/n' }, $defs: { n: { type: 'number' } } },
      ['a'],
      false,
    ],
    ['what a reference to the root allows', { type: 'array', items: { $ref: '#' } }, [[], [[]]], true],
    ['what a reference to the root forbids', { type: 'array', items: { $ref: '#' } }, [[5]], false],
  ])('%s', (_title, outputSchema, value, isValid) => {
    const tool = JSON.stringify({ name: 't', inputSchema: { type: 'object' }, outputSchema })
    const listed = legacyText(
      `{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","tools":[${tool}]}}`,
      'tools/list',
    )
    const list = ListToolsResultSchema.parse(JSON.parse(listed).result)
    const called = legacyText(
      `{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","structuredContent":${JSON.stringify(value)}}}`,
      'tools/call',
    )
    const result = CallToolResultSchema.parse(JSON.parse(called).result)
    const validate = new AjvJsonSchemaValidator().getValidator(list.tools[0]!.outputSchema as JsonSchemaType)
    expect(validate(result.structuredContent).valid).toBe(isValid)
  })

  it('says the value as text, unless the server has done so', () => {
    const call = (content: string): string =>
      `{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete",${content}"structuredContent":[1.50, 12345678901234567890]}}`
    expect(toLegacyResponse(call(''), 'tools/call')).toBe(
      '{"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"result":[1.50, 12345678901234567890]},"content":[{"type":"text","text":"[1.50, 12345678901234567890]"}]}}',
    )
    expect(toLegacyResponse(call('"content":[{"type":"image"}],'), 'tools/call')).toContain(
      '"content":[{"type":"image"},{"type":"text","text":"[1.50, 12345678901234567890]"}]',
    )
    expect(toLegacyResponse(call('"content":[{"type":"text","text":"x"}],'), 'tools/call')).toContain(
      '"content":[{"type":"text","text":"x"}]',
    )
  })
})

function legacyText(text: string, method: string): string {
  const translated = toLegacyResponse(text, method)
  if (typeof translated !== 'string') throw new Error(translated.message)
  return translated
}
