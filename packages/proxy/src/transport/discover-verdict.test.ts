import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { judgeDiscover, readDiscover } from './discover-verdict.ts'

const modern = '2026-07-28'

function error(code: number, data?: unknown): string {
  return JSON.stringify({ jsonrpc: '2.0', id: 0, error: { code, message: 'no', data } })
}

function result(value: unknown): string {
  return JSON.stringify({ jsonrpc: '2.0', id: 0, result: value })
}

describe('the answer to server/discover', () => {
  it.each<[string, number, string, string]>([
    ['lists our version', 200, result({ supportedVersions: ['2025-11-25', modern] }), 'modern'],
    ['lists only other versions', 200, result({ supportedVersions: ['2025-11-25'] }), 'legacy'],
    ['is a result of something else', 200, result({ tools: [] }), 'legacy'],
    ['is an error in band', 200, error(-32601), 'legacy'],
    ['is no JSON', 200, '<html>', 'unclear'],
    ['is nothing', 202, '', 'unclear'],
    ['offers our version', 400, error(-32022, { supported: [modern], requested: '2099-01-01' }), 'modern'],
    ['offers Legacy versions', 400, error(-32022, { supported: ['2025-11-25'] }), 'legacy'],
    ['offers a version that we do not speak', 400, error(-32022, { supported: ['2099-01-01'] }), 'legacy'],
    ['offers nothing', 400, error(-32022), 'legacy'],
    ['complains about headers', 400, error(-32020), 'suspect'],
    ['wants a capability', 400, error(-32021, { requiredCapabilities: { sampling: {} } }), 'suspect'],
    ['is empty', 400, '', 'legacy'],
    ['wants to be initialized', 400, error(-32000), 'legacy'],
    ['is a page of text', 404, 'Invalid session ID', 'legacy'],
    ['knows no such method', 404, error(-32601), 'legacy'],
    ['knows no such HTTP method', 405, '', 'legacy'],
    ['wants another Accept', 406, error(-32000), 'legacy'],
    ['wants another type', 415, '', 'legacy'],
    ['is a login', 401, '', 'unclear'],
    ['is a wall', 403, error(-32000), 'unclear'],
    ['is a proxy', 407, '', 'unclear'],
    ['is late', 408, '', 'unclear'],
    ['is too busy', 429, '', 'unclear'],
    ['is broken', 500, error(-32022, { supported: [modern] }), 'unclear'],
    ['is down', 503, '', 'unclear'],
    ['is elsewhere', 307, '', 'unclear'],
  ])('that %s (%i)', (_what, status, text, verdict) => {
    expect(judgeDiscover(status, text)).toBe(verdict)
  })

  it('never makes the judge throw', () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 599 }), fc.oneof(fc.string(), fc.json()), (status, text) => {
        expect(['modern', 'legacy', 'suspect', 'unclear']).toContain(judgeDiscover(status, text))
        expect(readDiscover(text).protocolVersion).toBe(modern)
      }),
    )
  })

  it('tells who the server is', () => {
    const serverInfo = { name: 'n', version: 'v' }
    const text = result({ _meta: { 'io.modelcontextprotocol/serverInfo': serverInfo } })
    expect(readDiscover(text)).toEqual({ serverName: 'n', serverVersion: 'v', protocolVersion: modern })
  })
})
