import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { idKey, parseText, readdressRequest, readdressResponse, replaceParam, type Message } from './message.ts'

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

describe('readdressing', () => {
  it('changes only the id and the progress token of a request', () => {
    const before =
      '{"x":1.50, "jsonrpc":"2.0","params":{"n":12345678901234567890,"_meta":{"progressToken":"p","k":[]}},"id":"a","method":"m"}'
    const { line, tokenText } = readdressRequest(message(before), 42)
    expect(tokenText).toBe('"p"')
    expect(line).toBe(before.replace('"id":"a"', '"id":42').replace('"progressToken":"p"', '"progressToken":42'))
  })

  it('leaves a progress token alone that is neither text nor number', () => {
    const { line, tokenText } = readdressRequest(
      message('{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"progressToken":null}}}'),
      2,
    )
    expect(tokenText).toBe('')
    expect(line).toContain('"progressToken":null')
  })

  it('gives a response back under any id, every other character as it was', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.oneof(fc.string(), fc.integer()), (result, id) => {
        const before = JSON.stringify({ result, jsonrpc: '2.0', id: 5 })
        expect(readdressResponse(message(before), JSON.stringify(id))).toBe(
          `${before.slice(0, -2)}${JSON.stringify(id)}}`,
        )
      }),
    )
  })

  it('replaces one parameter of a notification', () => {
    const note = message('{"jsonrpc":"2.0","method":"n","params":{"requestId":"x","reason":"r"}}')
    expect(replaceParam(note, 'requestId', '9')).toBe(
      '{"jsonrpc":"2.0","method":"n","params":{"requestId":9,"reason":"r"}}',
    )
    expect(replaceParam(note, 'absent', '9')).toBeUndefined()
  })

  it('tells ids of different type apart, and spellings of one text not', () => {
    expect(idKey(1, '1')).not.toBe(idKey('1', '"1"'))
    expect(idKey('a', '"\\u0061"')).toBe(idKey('a', '"a"'))
    expect(idKey(1e20, '12345678901234567890')).not.toBe(idKey(1e20, '12345678901234567891'))
  })
})
