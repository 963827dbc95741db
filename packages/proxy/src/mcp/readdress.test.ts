import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseText, type Message } from './message.ts'
import { prepareRequest, readdressRequest, readdressResponse, replaceParam } from './readdress.ts'

function message(text: string): Message {
  const parsed = parseText(text)
  if (parsed.kind !== 'message') throw new Error(`not a message: ${text}`)
  return parsed.message
}

describe('readdressing', () => {
  it('changes only the id and the progress token of a request', () => {
    const before =
      '{"x":1.50, "jsonrpc":"2.0","params":{"n":12345678901234567890,"_meta":{"progressToken":"p","k":[]}},"id":"a","method":"m"}'
    const prepared = prepareRequest(message(before))!
    expect(prepared.tokenText).toBe('"p"')
    expect(readdressRequest(prepared, 42)).toBe(
      before.replace('"id":"a"', '"id":42').replace('"progressToken":"p"', '"progressToken":42'),
    )
  })

  it('leaves a progress token alone that is neither text nor number', () => {
    const prepared = prepareRequest(
      message('{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"progressToken":null}}}'),
    )!
    expect(prepared.tokenText).toBe('')
    expect(readdressRequest(prepared, 2)).toContain('"progressToken":null')
  })

  it.each([
    '{"_Meta":{"progressToken":5}}',
    '{"_meta":{},"_META":{"progressToken":5}}',
    '{"_meta":{"progressToken":5},"_meta":{"progressToken":6}}',
    '{"_meta":{"progressToken":5,"ProgressToken":6}}',
    '{"_meta":{"progressToken":5,"progre\u017f\u017fTo\u212aen":6}}',
    '{"_meta":{"progresstoken":6}}',
    '{"_meta":{"progressToken":5,"progressToken":6}}',
    '{"_meta":{"progressToken":5,"\\u0070rogressToken":6}}',
    '{"_meta":{"progressToken":5},"_meta":null}',
  ])('refuses a request whose progress token is ambiguous: %s', (params) => {
    expect(prepareRequest(message(`{"jsonrpc":"2.0","id":1,"method":"m","params":${params}}`))).toBeUndefined()
  })

  it.each(['[]', '{}', '{"_meta":null}', '{"_meta":[1]}', '{"meta":{"ProgressToken":1},"_meta":{"progressTokens":1}}'])(
    'takes the params %s as they are',
    (params) => {
      const text = `{"jsonrpc":"2.0","id":1,"method":"m","params":${params}}`
      expect(readdressRequest(prepareRequest(message(text))!, 1)).toBe(text)
    },
  )

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
})
