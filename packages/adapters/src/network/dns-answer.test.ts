import fc from 'fast-check'
import { expect, it } from 'vitest'
import { answerDns } from './dns-answer.ts'

function query(name: string, type = 1): Buffer {
  const labels = name.split('.').map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]))
  const head = Buffer.from([0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0])
  return Buffer.concat([head, ...labels, Buffer.from([0, 0, type, 0, 1])])
}

const addressOf = (name: string): number[] | undefined => (name === 'api.example.com' ? [127, 77, 0, 1] : undefined)

it('a name gets its address, with the id and the question of the query', () => {
  const asked = query('API.example.com')
  const answer = answerDns(asked, addressOf)!
  expect(answer.subarray(0, 12)).toEqual(Buffer.from([0xab, 0xcd, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]))
  expect(answer.subarray(12, asked.length)).toEqual(asked.subarray(12))
  expect([...answer.subarray(-4)]).toEqual([127, 77, 0, 1])
})

it.each([
  ['an IPv6 address, of which there is none', query('api.example.com', 28), 0],
  ['a name when there are no addresses left', query('other.example'), 2],
  ['the name of an address', query('1.0.0.127.in-addr.arpa', 12), 3],
])('answers without an address: %s', (_what, asked, code) => {
  const answer = answerDns(asked, addressOf)!
  expect(answer.readUInt8(3) & 15).toBe(code)
  expect(answer.readUInt16BE(6)).toBe(0)
})

it('no packet breaks it, and an answer is never answered', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      const packet = Buffer.from(bytes)
      const answer = answerDns(packet, () => [127, 77, 0, 1])
      const isQuery = packet.length >= 12 && (packet[2]! & 0x80) === 0
      expect(answer !== undefined).toBe(isQuery)
      if (answer !== undefined) expect(answerDns(answer, () => [127, 77, 0, 1])).toBeUndefined()
    }),
  )
})
