import { expect, it } from 'vitest'
import { sentenceOf } from './mcp-client.ts'

it('what the library quotes is told as one sentence', () => {
  const body = '{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"the server ended"}}'
  expect(sentenceOf(new Error(`Error POSTing to endpoint (HTTP 502): ${body}`))).toBe('the server ended')
  expect(sentenceOf(new Error('one\ntwo'))).toBe('one')
})
