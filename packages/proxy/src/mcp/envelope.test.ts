import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { withEnvelope, withoutEnvelope, withSubscriptionId } from './envelope.ts'
import { parseText, type Message } from './message.ts'
import { metaKeys } from './meta-keys.ts'

const envelope = { version: '2026-07-28', capabilitiesText: '{"roots":{}}', clientInfo: { name: 'thv', version: '1' } }
const ours =
  '"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"thv","version":"1"},"io.modelcontextprotocol/clientCapabilities":{"roots":{}}'

describe('the envelope of a hop', () => {
  it('is replaced, and nothing else is touched', () => {
    const text = `{"x":1.50, "jsonrpc":"2.0","params":{"n":12345678901234567890,"_meta":{"a/b": [1, 2],"${metaKeys.version}":"2026-07-28","${metaKeys.logLevel}":"debug","progressToken":"p","${metaKeys.capabilities}":{}},"z":"\\u0061"},"id":"a","method":"m"}`
    expect(withEnvelope(message(text), envelope)).toBe(
      `{"x":1.50, "jsonrpc":"2.0","params":{"n":12345678901234567890,"_meta":{"a/b":[1, 2],"progressToken":"p",${ours}},"z":"\\u0061"},"id":"a","method":"m"}`,
    )
  })

  it('is made where there are no params and where there is no _meta', () => {
    expect(withEnvelope(message('{"jsonrpc":"2.0","id":1,"method":"m" }'), envelope)).toBe(
      `{"jsonrpc":"2.0","id":1,"method":"m" ,"params":{"_meta":{${ours}}}}`,
    )
    expect(withEnvelope(message('{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":1}}'), envelope)).toBe(
      `{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":1,"_meta":{${ours}}}}`,
    )
  })

  it('replaces a _meta that is no object', () => {
    expect(withEnvelope(message('{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":null}}'), envelope)).toContain(
      `"_meta":{${ours}}`,
    )
  })

  it('is taken away in every spelling that a parser may read as it', () => {
    const text = `{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"k":1,"${metaKeys.version}":"1","${metaKeys.version}":"2","IO.modelcontextprotocol/clientinfo":{},"io.modelcontextprotocol\\/logLevel":"debug"}}}`
    expect(withoutEnvelope(message(text))).toBe('{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"k":1}}}')
  })

  it('leaves the text of a message without one as it is', () => {
    const text = '{"jsonrpc":"2.0", "id":1,"method":"m","params":{ "_meta": {"io.modelcontextprotocol/other":1} }}'
    expect(withoutEnvelope(message(text))).toBe(text)
  })

  it('keeps every value of any params, and the order of their names', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (params) => {
        const text = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'm', params })
        const parsed = parseText(text)
        if (parsed.kind !== 'message') return
        const after = JSON.parse(withEnvelope(parsed.message, envelope)) as { params: Record<string, unknown> }
        const { _meta, ...rest } = after.params
        const { _meta: before, ...expected } = JSON.parse(text).params as Record<string, unknown>
        expect(rest).toEqual(expected)
        expect(_meta).toMatchObject({ [metaKeys.version]: '2026-07-28' })
        void before
      }),
    )
  })

  it('names the subscription of a notification, whatever the server said', () => {
    const text = `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:b","_meta":{"${metaKeys.subscriptionId}":9}}}`
    expect(withSubscriptionId(message(text), '"x"')).toBe(
      `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:b","_meta":{"${metaKeys.subscriptionId}":"x"}}}`,
    )
  })
})

function message(text: string): Message {
  const parsed = parseText(text)
  if (parsed.kind !== 'message') throw new Error(`not a message: ${text}`)
  return parsed.message
}
