import { describe, expect, it } from 'vitest'
import { idKey, parseClientText, parseText, type Message } from './message.ts'

function message(text: string): Message {
  const parsed = parseText(text)
  if (parsed.kind !== 'message') throw new Error(`not a message: ${text}`)
  return parsed.message
}

describe('parseText', () => {
  it.each([
    ['{"jsonrpc":"2.0","id":0,"method":"a"}', 'request', '0'],
    ['{"jsonrpc":"2.0","id":"","method":"a"}', 'request', '""'],
    ['{"method":"a","id": 12345678901234567890 ,"jsonrpc":"2.0"}', 'request', '12345678901234567890'],
    ['{"jsonrpc":"2.0","method":"a"}', 'notification', ''],
    ['{"jsonrpc":"2.0","id":1,"result":null}', 'response', '1'],
    ['{"jsonrpc":"2.0","id":null,"error":{}}', 'response', ''],
    ['\uFEFF{"jsonrpc":"2.0","method":"a"}', 'notification', ''],
  ])('reads %s as a %s', (text, kind, idText) => {
    expect(message(text)).toMatchObject({ kind, idText })
  })

  it.each([
    ['{', 'parse-error'],
    ['', 'parse-error'],
    ['{"jsonrpc":"2.0","method":"a\nb"}', 'parse-error'],
    ['1', 'invalid-request'],
    ['null', 'invalid-request'],
    ['{"id":1,"method":"a"}', 'invalid-request'],
    ['{"jsonrpc":"2.0","id":null,"method":"a"}', 'invalid-request'],
    ['{"jsonrpc":"2.0","id":{},"method":"a"}', 'invalid-request'],
    ['{"jsonrpc":"2.0","id":1}', 'invalid-request'],
    ['{"jsonrpc":"2.0","id":1,"id":2,"method":"a"}', 'invalid-request'],
    ['{"jsonrpc":"2.0","id":1,"\\u0069d":2,"method":"a"}', 'invalid-request'],
    ['{"jsonrpc":"2.0","id":1,"method":7}', 'invalid-request'],
  ])('refuses %j as %s', (text, name) => {
    expect(parseText(text)).toMatchObject({ kind: 'invalid', name })
  })

  it('cuts a batch into its messages', () => {
    expect(parseText(' [ {"a":1} , 2 ] ')).toEqual({ kind: 'batch', items: ['{"a":1}', '2'] })
  })

  it('puts a message over several lines on one line', () => {
    const { text } = message('{\r\n "jsonrpc": "2.0",\n "method": "a\\n" }')
    expect(text).not.toMatch(/[\r\n]/)
    expect(JSON.parse(text)).toEqual({ jsonrpc: '2.0', method: 'a\n' })
  })
})

describe('idKey', () => {
  it('tells ids of different type apart, and spellings of one text not', () => {
    expect(idKey(1, '1')).not.toBe(idKey('1', '"1"'))
    expect(idKey('a', '"\\u0061"')).toBe(idKey('a', '"a"'))
    expect(idKey(1e20, '12345678901234567890')).not.toBe(idKey(1e20, '12345678901234567891'))
  })
})

describe('a message that two parsers would read differently', () => {
  it.each([
    'ID',
    'Id',
    'iD',
    '\\u0049D',
    'Method',
    'PARAMS',
    'param\u017f',
    'Result',
    'erroR',
    'jsonRPC',
    'J\u017fonrpc',
  ])('is refused for its member %s', (key) => {
    const text = `{"jsonrpc":"2.0","id":1,"${key}":2,"method":"tools/call"}`
    expect(parseText(text)).toMatchObject({ kind: 'invalid', name: 'invalid-request', idText: '' })
  })

  it('is refused as a response too', () => {
    expect(parseText('{"jsonrpc":"2.0","id":1,"ID":2,"result":{}}').kind).toBe('invalid')
  })

  it('may have members of any other name', () => {
    expect(message('{"jsonrpc":"2.0","id":1,"ids":2,"_ID":3,"method":"a"}').idText).toBe('1')
  })
})

describe('parseClientText', () => {
  it('takes what has no id only for a notification by name', () => {
    expect(parseClientText('{"jsonrpc":"2.0","method":"notifications/x"}').kind).toBe('message')
    expect(parseClientText('{"jsonrpc":"2.0","method":"tools/call"}')).toMatchObject({
      kind: 'invalid',
      name: 'invalid-request',
    })
    expect(parseClientText('{"jsonrpc":"2.0","id":1,"method":"tools/call"}').kind).toBe('message')
  })

  it('survives a hundred thousand levels of nesting', () => {
    const depth = 100_000
    const deep = `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`
    expect(message(`{"jsonrpc":"2.0","id":1,"params":${deep},"method":"m"}`).idText).toBe('1')
    expect(parseClientText(deep)).toMatchObject({ kind: 'invalid', name: 'invalid-request' })
    expect(parseClientText('{"a":'.repeat(depth))).toMatchObject({ kind: 'invalid', name: 'parse-error' })
    expect(parseClientText(`${'['.repeat(depth)}${']'.repeat(depth)}`).kind).toBe('batch')
  })
})
