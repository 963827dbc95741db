import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileChain } from '../../chain.ts'
import { isRecord, parseText, type Message } from '../../mcp/message.ts'
import { createToolFilter } from './tool-filter.ts'
import type { ToolRules } from './tool-names.ts'

const context = { method: 'tools/list', idText: '1' }

describe('the list', () => {
  it('keeps everything but the tools that are hidden, character by character', () => {
    const before =
      '{ "jsonrpc":"2.0","id":1, "result" : {"nextCursor":"c\\u0061", "x-big": 12345678901234567890, "tools": '
    const after = ', "_meta": {"name":"a", "tools":["b"]}, "ttlMs": 1.0}}'
    const a = '{"name":"a","inputSchema":{"properties":{"name":{"type":"string"}}},"n":1e400,"_meta":{"name":"a"}}'
    const b = '{"name": "b"}'
    const c = '{"title":"C","name":"\\u0063"}'
    expect(list({ filter: ['c', 'a'] }, `${before}[ ${a} , ${b},${c} ]${after}`)).toBe(`${before}[${a},${c}]${after}`)
  })

  it('shows other names and descriptions, and leaves _meta and schemas alone', () => {
    const overrides = { a: { name: 'z', description: 'new "one"' }, b: { description: 'only words' } }
    const a = '{"name":"a","description":"old","inputSchema":{"description":"stays"},"_meta":{"name":"a"}}'
    const b = '{"name":"b"}'
    expect(list({ overrides }, result(`${a},${b}`))).toBe(
      result(
        '{"name":"z","description":"new \\"one\\"","inputSchema":{"description":"stays"},"_meta":{"name":"a"}},' +
          '{"description":"only words","name":"b"}',
      ),
    )
  })

  it('filters by the names that clients see', () => {
    const rules = { filter: ['z'], overrides: { a: { name: 'z' } } }
    expect(list(rules, result('{"name":"a"},{"name":"z"},{"name":"b"}'))).toBe(result('{"name":"z"}'))
  })

  it.each([
    '{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"tools"}}',
    '{"jsonrpc":"2.0","id":1,"result":{"tools":"none"}}',
    '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}',
    'no JSON, "tools"',
  ])('leaves %s as it is', (text) => {
    expect(list({ filter: ['a'] }, text)).toBe(text)
  })

  it('keeps what has no name, for clients to judge', () => {
    const odd = '{"name":5},null,{"Name":"b"},"text"'
    expect(list({ filter: ['a'] }, result(`{"name":"b"},${odd},{"name":"a"}`))).toBe(result(`${odd},{"name":"a"}`))
  })

  it('is found among answers to anything', () => {
    const text = result('{"name":"a"},{"name":"b"}')
    expect(list({ filter: ['a'] }, text, '')).toBe(result('{"name":"a"}'))
  })
})

describe('a call', () => {
  const rules = { filter: ['z', 'b'], overrides: { a: { name: 'z' } } }

  it.each([
    ['z', 'a'],
    ['b', 'b'],
  ])('of %s reaches the server as %s, with every other character as it was', (visible, original) => {
    const text = (name: string): string =>
      `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{"name":"z"}, "name": "${name}","arguments":{"name":"z","n":1.0}}}`
    expect(call(rules, text(visible))).toBe(text(original))
  })

  it.each(['a', 'c', '', 'Z', '__proto__', 'constructor'])('of %j is a call of no tool', (name) => {
    const params = { name, arguments: {} }
    expect(call(rules, JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params }))).toEqual({
      name: 'tool-unknown',
      message: 'tool not found',
    })
  })

  it.each(['["z"]', '{"name":["z"]}', '{"name":{"toString":"z"}}', '{"__proto__":{"name":"z"}}', '{}'])(
    'with %s, which names no tool by a text, is a call of none',
    (params) => {
      const text = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${params}}`
      expect(call(rules, text)).toMatchObject({ name: 'tool-unknown' })
    },
  )

  it.each(['"name":"b","name":"c"', '"name":"b","Name":"c"', '"name":"b","n\\u0061me":"c"', '"NAME":"c"'])(
    'with %s, which two parsers would read differently, is refused',
    (members) => {
      const text = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{${members}}}`
      expect(call(rules, text)).toMatchObject({ name: 'invalid-request' })
    },
  )

  it('of a tool whose name another one took does not reach the one that had it', () => {
    const swapped = { overrides: { a: { name: 'b' } } }
    expect(list(swapped, result('{"name":"a"},{"name":"b"}'))).toBe(result('{"name":"b"}'))
    expect(nameOf(call(swapped, callOf('b')))).toBe('a')
    expect(call(swapped, callOf('a'))).toMatchObject({ name: 'tool-unknown' })
  })
})

it('two tools cannot have one name', () => {
  expect(() => createToolFilter({ filter: [], overrides: { a: { name: 'z' }, b: { name: 'z' } } })).toThrow(TypeError)
})

it('for any rules, what is listed can be called, reaches the tool it stands for, and nothing else can', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd', '__proto__', 'é"\\')
  const overrides = fc
    .uniqueArray(fc.tuple(name, name), { selector: ([original]) => original })
    .map((pairs) => pairs.filter(([, to], index) => pairs.findIndex(([, other]) => other === to) === index))
  fc.assert(
    fc.property(fc.uniqueArray(name), overrides, fc.uniqueArray(name), (filter, pairs, tools) => {
      const rules = { filter, overrides: Object.fromEntries(pairs.map(([from, to]) => [from, { name: to }])) }
      const served = tools.map((tool, index) => JSON.stringify({ name: tool, index, big: 0.1 }).replace('0.1', '1e999'))
      const listed = toolsOf(list(rules, result(served.join(','))))
      expect(new Set(listed.map((tool) => tool.name)).size).toBe(listed.length)
      for (const { name: visible, index } of listed) expect(nameOf(call(rules, callOf(visible)))).toBe(tools[index])
      const visible = new Set(listed.map((tool) => tool.name))
      for (const other of ['a', 'b', 'c', 'd', '__proto__']) {
        const reached = call(rules, callOf(other))
        if (!visible.has(other) && typeof reached === 'string') expect(tools).not.toContain(nameOf(reached))
      }
    }),
  )
})

function list(rules: Partial<ToolRules>, text: string, method = 'tools/list'): string {
  const chain = compileChain([createToolFilter({ filter: [], overrides: {}, ...rules })], () => undefined)
  return chain.fromServer?.(text, { ...context, method }) ?? ''
}

function call(rules: Partial<ToolRules>, text: string): unknown {
  const passage = createToolFilter({ filter: [], overrides: {}, ...rules }).fromClient?.(parse(text))
  if (passage === undefined) return undefined
  return 'refused' in passage ? passage.refused : passage.message.text
}

function callOf(name: string): string {
  return JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name } })
}

function nameOf(text: unknown): unknown {
  const { params } = parse(String(text)).value
  return isRecord(params) ? params['name'] : undefined
}

function toolsOf(text: string): { name: string; index: number }[] {
  const value: { result: { tools: { name: string; index: number }[] } } = JSON.parse(text)
  return value.result.tools
}

function result(tools: string): string {
  return `{"jsonrpc":"2.0","id":1,"result":{"tools":[${tools}]}}`
}

function parse(text: string): Message {
  const parsed = parseText(text)
  if (parsed.kind !== 'message') throw new Error(`no message: ${text}`)
  return parsed.message
}
