import { classifyInboundRequest } from '@modelcontextprotocol/server'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { wireErrors } from '../errors.ts'
import { classifyRequest, type Classification } from './classify-request.ts'
import { parseClientText } from './message.ts'
import { modernMethodProblem } from './modern-methods.ts'

const modern = '2026-07-28'
const v = 'io.modelcontextprotocol/protocolVersion'
const c = 'io.modelcontextprotocol/clientCapabilities'
const i = 'io.modelcontextprotocol/clientInfo'
const l = 'io.modelcontextprotocol/logLevel'

interface Case {
  httpMethod?: string
  body?: unknown
  version?: string
  method?: string
  name?: string
  sessionRevision?: string
}

function classify(given: Case): Classification {
  const { httpMethod = 'POST', body, version, method, name, sessionRevision } = given
  return classifyRequest({
    httpMethod,
    headers: {
      ...(version === undefined ? {} : { version }),
      ...(method === undefined ? {} : { method }),
      ...(name === undefined ? {} : { name }),
    },
    ...(httpMethod === 'POST' ? { body: parseClientText(JSON.stringify(body)) } : {}),
    ...(sessionRevision === undefined ? {} : { sessionRevision }),
  })
}

/** The outcome in one word, or in two numbers. */
function outcome(given: Case): string {
  const result = classify(given)
  if (result.kind !== 'refused') return result.kind
  const { status, code } = wireErrors[result.error.name]
  return `${status} ${code}`
}

function request(method: string, meta?: Record<string, unknown>, params: Record<string, unknown> = {}): unknown {
  return { jsonrpc: '2.0', id: 7, method, params: meta === undefined ? params : { ...params, _meta: meta } }
}

const envelope = { [v]: modern, [c]: {} }
const list = { body: request('tools/list', envelope), version: modern, method: 'tools/list' }
const call = { body: request('tools/call', envelope, { name: 'echo' }), version: modern, method: 'tools/call' }

describe('the era of a request', () => {
  it.each<[string, Case, string]>([
    ['a GET', { httpMethod: 'GET' }, 'legacy'],
    ['a DELETE with a Legacy version', { httpMethod: 'DELETE', version: '2025-11-25' }, 'legacy'],
    ['a GET with a Modern version', { httpMethod: 'GET', version: modern }, '405 -32000'],
    ['a body that is no message', { body: 5 }, 'legacy'],
    ['a batch without session', { body: [request('ping')] }, '400 -32600'],
    ['a batch in a session of 2025-03-26', { body: [request('ping')], sessionRevision: '2025-03-26' }, 'legacy'],
    ['a batch in a session of 2025-06-18', { body: [request('ping')], sessionRevision: '2025-06-18' }, '400 -32600'],
    ['a batch with a version and no session', { body: [request('ping')], version: '2025-03-26' }, '400 -32600'],
    [
      'a batch with a Modern member',
      { body: [request('ping'), request('tools/list', envelope)], sessionRevision: '2025-03-26' },
      '400 -32600',
    ],
    ['a response', { body: { jsonrpc: '2.0', id: 1, result: {} }, version: modern }, 'legacy'],
    ['initialize', { body: request('initialize') }, 'legacy'],
    ['initialize with stray keys', { body: request('initialize', { [c]: {}, [i]: {} }) }, 'legacy'],
    ['initialize with a Modern header', { body: request('initialize'), version: modern }, '400 -32020'],
    ['initialize with a claim that is malformed', { body: request('initialize', { [v]: modern }) }, 'legacy'],
    [
      'initialize with a Modern envelope',
      { body: request('initialize', envelope), version: modern, method: 'initialize' },
      '404 -32601',
    ],
    ['a Modern request', list, 'modern'],
    ['a claim without capabilities', { ...list, body: request('tools/list', { [v]: modern }) }, '400 -32602'],
    ['capabilities that are a list', { ...list, body: request('tools/list', { [v]: modern, [c]: [] }) }, '400 -32602'],
    [
      'a client info without a version',
      { ...list, body: request('tools/list', { ...envelope, [i]: { name: 'x' } }) },
      '400 -32602',
    ],
    [
      'a log level that does not exist',
      { ...list, body: request('tools/list', { ...envelope, [l]: 'loud' }) },
      '400 -32602',
    ],
    ['a version in the header that the body denies', { ...list, version: '2025-11-25' }, '400 -32020'],
    [
      'a Modern version that is not served',
      { body: request('tools/list', { [v]: '2027-01-01', [c]: {} }), version: '2027-01-01', method: 'tools/list' },
      '400 -32022',
    ],
    [
      'a claim of a Legacy version',
      { body: request('tools/list', { [v]: '2025-11-25', [c]: {} }), version: '2025-11-25', method: 'tools/list' },
      '400 -32022',
    ],
    ['a Modern header without an envelope', { body: request('tools/list'), version: modern }, '400 -32602'],
    ['a request without claim', { body: request('tools/list') }, 'legacy'],
    [
      'stray keys of a Legacy client',
      { body: request('tools/list', { [c]: {}, [i]: {} }), version: '2025-11-25' },
      'legacy',
    ],
    ['a notification', { body: { jsonrpc: '2.0', method: 'notifications/x' } }, 'legacy'],
    [
      'a notification with a Modern header',
      { body: { jsonrpc: '2.0', method: 'notifications/x' }, version: modern },
      'modern',
    ],
    [
      'a notification with a claim',
      { body: { jsonrpc: '2.0', method: 'notifications/x', params: { _meta: { [v]: modern } } } },
      'modern',
    ],
    ['a Modern request without version header', { body: list.body, method: list.method }, '400 -32020'],
    ['a Modern request without Mcp-Method', { body: list.body, version: modern }, '400 -32020'],
    ['a Modern request with another Mcp-Method', { ...list, method: 'tools/call' }, '400 -32020'],
    ['a removed method', { ...list, body: request('ping', envelope), method: 'ping' }, '404 -32601'],
    [
      'a method that only the server may know',
      { ...list, body: request('acme/x', envelope), method: 'acme/x' },
      'modern',
    ],
  ])('%s', (_title, given, expected) => {
    expect(outcome(given)).toBe(expected)
  })

  it.each<[string, string | undefined, string, string]>([
    ['the same name', 'echo', 'echo', 'modern'],
    ['white space around it', ' \techo ', 'echo', 'modern'],
    ['a wrapped name', '=?base64?ZcOpY2hv?=', 'eécho', 'modern'],
    ['a name that looks wrapped, wrapped', '=?base64?PT9iYXNlNjQ/WD89?=', '=?base64?X?=', 'modern'],
    ['no name', undefined, 'echo', '400 -32020'],
    ['another name', 'eco', 'echo', '400 -32020'],
    ['Base64 with a character too many', '=?base64?ZWNobw=?=', 'echo', '400 -32020'],
    ['Base64 of no UTF-8', '=?base64?/w==?=', 'echo', '400 -32020'],
    ['Base64 markers in upper case', '=?BASE64?ZWNobw==?=', 'echo', '400 -32020'],
  ])('Mcp-Name: %s', (_title, name, named, expected) => {
    const body = request('tools/call', envelope, { name: named })
    const given = { body, version: modern, method: 'tools/call', ...(name === undefined ? {} : { name }) }
    expect(outcome(given)).toBe(expected)
  })

  it('gives the envelope of a Modern request', () => {
    const meta = { ...envelope, [i]: { name: 'a', version: '1' }, [l]: 'info', [c]: { roots: {} }, other: 1 }
    const result = classify({ ...list, body: request('tools/list', meta) })
    expect(result).toMatchObject({
      envelope: {
        version: modern,
        capabilitiesText: '{"roots":{}}',
        clientInfo: { name: 'a', version: '1' },
        logLevel: 'info',
      },
    })
  })

  it.each<[string, Case, string, string]>([
    ['version', { ...list, version: '2025-11-25' }, '2025-11-25', modern],
    ['method', { ...list, method: 'tools/call' }, 'tools/call', 'tools/list'],
    ['missing version', { body: list.body, method: list.method }, '', modern],
    ['missing method', { body: list.body, version: modern }, '', 'tools/list'],
    ['missing name', call, '', 'echo'],
    ['name', { ...call, name: 'eco' }, 'eco', 'echo'],
    ['handshake', { body: request('initialize'), version: modern }, modern, ''],
  ])('names both values of a mismatch, as the SDKs and as ToolHive do: %s', (_title, given, header, body) => {
    const mismatch = { header: header === '' ? '(missing)' : header, body: expect.any(String) }
    expect(classify(given)).toMatchObject({ error: { name: 'header-mismatch', data: { mismatch, header, body } } })
  })

  it('names the versions it serves, and the id of the request it refuses', () => {
    const meta = { [v]: '2030-01-01', [c]: {} }
    const refused = classify({ body: request('tools/list', meta), version: '2030-01-01', method: 'tools/list' })
    expect(refused).toMatchObject({
      idText: '7',
      error: { data: { supported: [modern], requested: '2030-01-01' } },
    })
  })
})

const versions = fc.constantFrom(modern, '2025-11-25', '2025-03-26', '2027-01-01', '', 'x')
const methods = fc.constantFrom('tools/list', 'tools/call', 'initialize', 'ping', 'resources/read', 'acme/x')
const anything = fc.oneof(fc.constantFrom({}, [], null, 5, 'x', true), fc.object({ maxDepth: 1 }))
const meta = fc.record(
  {
    [v]: fc.oneof(versions, fc.constantFrom(5, null)),
    [c]: fc.oneof(
      fc.constant({}),
      fc.record({ roots: fc.constantFrom({}, 5), acme: anything }, { requiredKeys: [] }),
      anything,
    ),
    [i]: fc.oneof(fc.constant({ name: 'a', version: '1' }), anything),
    [l]: fc.constantFrom('debug', 'loud', 5),
    progressToken: fc.constantFrom('p', 1),
    other: anything,
  },
  { requiredKeys: [] },
)
const goodMeta = fc.constant(envelope)
const params = fc.record(
  {
    _meta: fc.oneof(goodMeta, meta, meta, fc.constantFrom({})),
    name: fc.constantFrom('echo', 'é'),
    uri: fc.constant('a:b'),
  },
  { requiredKeys: [] },
)
const messages = fc.oneof(
  fc.record(
    { jsonrpc: fc.constant('2.0'), id: fc.constantFrom(0, 7, 'a', ''), method: methods, params },
    { requiredKeys: ['jsonrpc', 'id', 'method'] },
  ),
  fc.record(
    { jsonrpc: fc.constant('2.0'), method: fc.constantFrom('notifications/cancelled', 'notifications/x'), params },
    { requiredKeys: ['jsonrpc', 'method'] },
  ),
  fc.record({ jsonrpc: fc.constant('2.0'), id: fc.constantFrom(1, 'b'), result: fc.constant({}) }),
)
const cases = fc.record(
  {
    httpMethod: fc.constantFrom('POST', 'POST', 'POST', 'POST', 'GET', 'DELETE'),
    body: fc.oneof({ weight: 6, arbitrary: messages }, { weight: 1, arbitrary: fc.array(messages, { maxLength: 3 }) }),
    version: versions,
    method: fc.oneof(
      methods,
      methods.map((method) => ` ${method}\t`),
    ),
    name: fc.constantFrom('echo', 'é', '=?base64?w6k=?=', '=?base64?w6k?=', '=?base64?=', '=?base64??=', 'a:b'),
  },
  { requiredKeys: ['httpMethod', 'body'] },
)

/** What the SDK says, with the steps its entry adds: the gate of served versions. */
function sdkOutcome(given: Case): string {
  const result = classifyInboundRequest({
    httpMethod: given.httpMethod ?? 'POST',
    ...(given.version === undefined ? {} : { protocolVersionHeader: given.version }),
    ...(given.method === undefined ? {} : { mcpMethodHeader: given.method }),
    ...(given.name === undefined ? {} : { mcpNameHeader: given.name }),
    ...(given.httpMethod === 'POST' ? { body: given.body } : {}),
  })
  if (result.kind === 'reject') return `${result.httpStatus} ${result.code}`
  if (result.kind === 'legacy') return 'legacy'
  return result.classification.revision === modern ? 'modern' : '400 -32022'
}

/** Where we differ from the SDK on purpose. */
function isDeliberate(given: Case, ours: string, theirs: string): boolean {
  // The SDK leaves this to its entry: a Modern client that tries GET or DELETE is told 405 there, too.
  if (given.httpMethod !== 'POST') return ours === '405 -32000' && (given.version ?? '') >= modern
  // Which Legacy revisions have batches, and that an empty one is refused, is the front door's matter with the SDK's.
  if (Array.isArray(given.body)) return given.body.length === 0 || (ours === '400 -32600' && theirs === 'legacy')
  // The SDK checks the presence of headers, Mcp-Name and the method registry in later steps.
  if (theirs !== 'modern') return false
  const { method } = given.body as { method: string }
  return ours === '400 -32020' || (ours === '404 -32601' && modernMethodProblem(method) !== undefined)
}

describe('our classifier and the SDK', () => {
  it('agree, but for the differences written down here', () => {
    let compared = 0
    fc.assert(
      fc.property(cases, (given: Case) => {
        const [ours, theirs] = [outcome(given), sdkOutcome(given)]
        compared += 1
        if (!isDeliberate(given, ours, theirs)) expect({ given, outcome: ours }).toEqual({ given, outcome: theirs })
      }),
      { numRuns: 3_000 },
    )
    expect(compared).toBeGreaterThanOrEqual(3_000)
  })
})
