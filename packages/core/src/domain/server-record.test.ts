import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isThvError } from '../errors.ts'
import { formatServerRecord, formatStartedAt, parseServerRecord, type ServerRecord } from './server-record.ts'

const good: ServerRecord = {
  url: 'http://127.0.0.1:52341',
  pid: 12_345,
  nonce: '9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c',
  started_at: '2026-08-21T10:26:05.123456789Z',
}

test('a record is written as ToolHive writes it', () => {
  expect(formatServerRecord(good)).toBe(`{
  "url": "http://127.0.0.1:52341",
  "pid": 12345,
  "nonce": "9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c",
  "started_at": "2026-08-21T10:26:05.123456789Z"
}
`)
})

test('every record survives writing and reading, nanoseconds included', () => {
  const digits = fc.integer({ min: 0, max: 999_999_999 }).map((number) => String(number).padStart(9, '0'))
  const record = fc.record<ServerRecord>(
    {
      url: fc.constantFrom('http://127.0.0.1:1', 'http://[::1]:65535', 'unix:///run/thv.sock', 'npipe://thv'),
      pid: fc.integer(),
      nonce: fc.oneof(fc.constant(''), fc.stringMatching(/^[0-9a-f]{32}$/)),
      started_at: digits.map((fraction) => `2026-08-21T10:26:05.${fraction}Z`),
      thv: fc.record({ started: fc.string(), version: fc.string(), data: fc.string() }),
    },
    { requiredKeys: ['url', 'pid', 'nonce', 'started_at'] },
  )
  fc.assert(
    fc.property(record, (written) => {
      expect(parseServerRecord(formatServerRecord(written))).toEqual(written)
    }),
  )
})

test('a record without a nonce has an empty one, and unknown keys are dropped', () => {
  const { nonce: _, ...rest } = good
  expect(parseServerRecord(JSON.stringify({ ...rest, version: 2, thv: 'x' }))).toEqual({ ...good, nonce: '' })
})

test.each([
  ['nothing', '', /^it is not JSON/],
  ['a torn record', formatServerRecord(good).slice(0, 60), /^it is not JSON/],
  ['a list', '[]', /^it is not a JSON object$/],
  ['null', 'null', /^it is not a JSON object$/],
  ['no url', JSON.stringify({ ...good, url: undefined }), /^it has no 'url'$/],
  ['a foreign url', JSON.stringify({ ...good, url: 'http://evil.example' }), /^the host is not a loopback address$/],
  ['a pid as text', JSON.stringify({ ...good, pid: '12' }), /^its 'pid' is no process id$/],
  ['half a pid', JSON.stringify({ ...good, pid: 1.5 }), /^its 'pid' is no process id$/],
  ['a nonce with a line end', JSON.stringify({ ...good, nonce: 'a\r\nb' }), /^its 'nonce' is none$/],
  ['a long nonce', JSON.stringify({ ...good, nonce: 'a'.repeat(129) }), /^its 'nonce' is none$/],
  ['no time', JSON.stringify({ ...good, started_at: 'now' }), /^its 'started_at' is no time$/],
])('%s is refused with the reason', (_what, text, reason) => {
  expect(() => parseServerRecord(text)).toThrow(
    expect.objectContaining({ code: 'server-record-refused', message: expect.stringMatching(reason) }),
  )
})

test('no text makes the parser fail in another way', () => {
  const value = fc.record({ url: fc.anything(), pid: fc.anything(), nonce: fc.anything(), started_at: fc.anything() })
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        value.map((some) => JSON.stringify(some)),
      ),
      (text) => {
        try {
          parseServerRecord(text)
        } catch (error) {
          expect(isThvError(error) && error.code).toBe('server-record-refused')
        }
      },
    ),
  )
})

test('a time is written with nanoseconds', () => {
  expect(formatStartedAt(new Date('2026-08-21T10:26:05.123Z'))).toBe('2026-08-21T10:26:05.123000000Z')
})
