import { limits, type ServerRecord } from '@thv/core'
import { describe, expect, test } from 'vitest'
import { deadUrl, serveSocket, serveTcp } from './fixtures/serve.ts'
import { probeServer } from './probe-server.ts'

const { signal } = new AbortController()
const nonce = 'a1'.repeat(16)
const at = (url: string, wanted = nonce): ServerRecord => ({
  url,
  pid: 1,
  nonce: wanted,
  started_at: '2026-08-21T10:26:05Z',
})

describe.each([
  ['TCP', serveTcp],
  ['a unix socket', serveSocket],
])('over %s', (_how, serve) => {
  test('204 with the nonce of the record is the server', async () => {
    let asked = ''
    const url = await serve((request, response) => {
      asked = `${request.method} ${request.url}`
      response.writeHead(204, { 'X-Toolhive-Nonce': nonce }).end()
    })
    expect(await probeServer(at(url), signal)).toEqual({ verified: true })
    expect(asked).toBe('GET /health')
  })

  test.each([
    ['another nonce', 204, { 'X-Toolhive-Nonce': 'b2'.repeat(16) }, 'another server answers there'],
    ['a nonce of another length', 204, { 'X-Toolhive-Nonce': 'a1' }, 'another server answers there'],
    ['two nonces', 204, { 'X-Toolhive-Nonce': [nonce, nonce] }, 'another server answers there'],
    ['no nonce', 204, {}, 'another server answers there'],
    ['200', 200, { 'X-Toolhive-Nonce': nonce }, 'it answers 200'],
    ['401', 401, {}, 'it answers 401'],
    ['a redirect', 302, { Location: '/' }, 'it answers 302'],
    ['503', 503, { 'X-Toolhive-Nonce': nonce }, 'it answers 503'],
  ])('%s is not', async (_what, status, headers, reason) => {
    const url = await serve((_request, response) => response.writeHead(status, headers).end())
    expect(await probeServer(at(url), signal)).toEqual({ verified: false, reason, timedOut: false })
  })

  test('an answer with a body without end is not waited for', async () => {
    const url = await serve((_request, response) => {
      response.writeHead(200)
      response.write('x')
    })
    expect(await probeServer(at(url), signal)).toMatchObject({ verified: false, reason: 'it answers 200' })
  })

  test('a connection that breaks is no answer', async () => {
    const url = await serve((request) => request.socket.destroy())
    expect(await probeServer(at(url), signal)).toMatchObject({ verified: false, timedOut: false })
  })

  test('who interrupts gets the reason at once', async () => {
    const stop = new AbortController()
    const url = await serve(() => stop.abort(new Error('interrupted')))
    await expect(probeServer(at(url), stop.signal)).rejects.toThrow('interrupted')
  })
})

test('a record without a nonce takes whoever says 204', async () => {
  const url = await serveTcp((_request, response) => response.writeHead(204).end())
  expect(await probeServer(at(url, ''), signal)).toEqual({ verified: true })
})

test('nobody listens', async () => {
  const reason = 'nobody listens there'
  expect(await probeServer(at(await deadUrl()), signal)).toEqual({ verified: false, reason, timedOut: false })
})

test('silence is given up after 5 s', async () => {
  const url = await serveTcp(() => {})
  const start = performance.now()
  expect(await probeServer(at(url), signal)).toEqual({
    verified: false,
    reason: 'no answer within 5 s',
    timedOut: true,
  })
  expect(performance.now() - start).toBeGreaterThan(limits.serverHealthMs - 100)
})

test('a URL that leads elsewhere is not followed', async () => {
  expect(await probeServer(at('http://localhost:1'), signal)).toMatchObject({
    verified: false,
    reason: 'the host is not a loopback address',
  })
})
