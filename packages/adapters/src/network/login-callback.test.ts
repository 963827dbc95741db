import { once } from 'node:events'
import { request } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import type { LoginAnswer, LoginCallback } from '@thv/core'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openLoginCallback } from './login-callback.ts'

interface Page {
  status: number
  body: string
  headers: Record<string, string | string[] | undefined>
}

let callback: LoginCallback
let ending: AbortController
let answer: Promise<LoginAnswer>

beforeEach(async () => {
  callback = await openLoginCallback({ port: await freePort(), orElse: 'fail' })
  ending = new AbortController()
  answer = callback.wait('right', ending.signal)
  answer.catch(() => {})
})

afterEach(async () => {
  await callback.close()
})

async function ask(path: string, more: { method?: string; host?: string; address?: string } = {}): Promise<Page> {
  const { method = 'GET', host = `localhost:${callback.port}`, address = '127.0.0.1' } = more
  const sent = request({ host: address, port: callback.port, path, method, headers: { host }, agent: false })
  sent.end()
  const [response] = await once(sent, 'response')
  let body = ''
  for await (const chunk of response) body += String(chunk)
  return { status: response.statusCode, body, headers: response.headers }
}

test('the right answer is held until it is known how the login ended, and its page leaks nothing', async () => {
  const page = ask('/callback?code=secret-code&state=right&iss=x')
  const { url, reply } = await answer
  expect(url.href).toBe(`http://localhost:${callback.port}/callback?code=secret-code&state=right&iss=x`)
  await reply('done')
  const { status, body, headers } = await page
  expect(status).toBe(200)
  expect(body).toContain('You are logged in')
  expect(body).not.toMatch(/secret-code|right|<script|https?:/)
  expect(headers).toMatchObject({
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'content-security-policy': expect.stringContaining("default-src 'none'"),
    connection: 'close',
  })
})

test.each([
  ['/callback?code=c&state=wrong', {}, 400],
  ['/callback?code=c', {}, 400],
  ['/callback?code=c&state=right&state=right', {}, 400],
  ['/callback?code=c&state=right', { method: 'POST' }, 405],
  ['/callback?code=c&state=right', { method: 'HEAD' }, 405],
  ['/callback?code=c&state=right', { method: 'OPTIONS' }, 405],
  ['/other?code=c&state=right', {}, 404],
  ['//callback?code=c&state=right', {}, 404],
  ['http://elsewhere.test/callback?code=c&state=right', {}, 404],
  ['/callback?code=c&state=right', { host: 'rebound.test' }, 403],
  ['/callback?code=c&state=right', { host: 'localhost:1' }, 403],
  ['/?error=access_denied', {}, 400],
])('%s with %o is refused, and the wait goes on', async (path, more, status) => {
  expect((await ask(path, more)).status).toBe(status)
  const page = ask('/?code=c&state=right')
  await (await answer).reply('failed')
  expect((await page).body).toContain('The login has failed')
})

test('only the first answer counts', async () => {
  const page = ask('/callback?code=first&state=right')
  const { url, reply } = await answer
  const second = await ask('/callback?code=second&state=right')
  expect([second.status, second.body]).toEqual([400, expect.stringContaining('answered already')])
  await reply('done')
  await page
  expect(url.searchParams.get('code')).toBe('first')
})

test('it listens on loopback only, for either kind of address', async () => {
  expect((await ask('/callback?state=x', { address: '::1', host: `[::1]:${callback.port}` })).status).toBe(400)
})

test('an end of the wait, and of the listener, is bounded whatever browsers do', async () => {
  ending.abort(new Error('enough'))
  await expect(answer).rejects.toThrow('enough')
  const idle = request({ port: callback.port, host: '127.0.0.1', path: '/', headers: { host: 'x' } })
  idle.on('error', () => {})
  idle.flushHeaders()
  await once(idle, 'socket')
  const waiting = callback.wait('right', new AbortController().signal)
  await Promise.all([expect(waiting).rejects.toThrow('closed'), callback.close(), callback.close()])
  await expect(ask('/')).rejects.toThrow('ECONNREFUSED')
})

test('a browser that waits is told when the login is given up', async () => {
  const page = ask('/callback?code=c&state=right')
  await answer
  await callback.close()
  expect((await page).body).toContain('The login has failed')
})

test.each(['127.0.0.1', '::1'])('a port that somebody else has at %s is not shared', async (host) => {
  const other = createServer()
  other.listen(0, host)
  await once(other, 'listening')
  const { port } = other.address() as AddressInfo
  await expect(openLoginCallback({ port, orElse: 'fail' })).rejects.toMatchObject({ code: 'port-in-use' })
  const elsewhere = await openLoginCallback({ port, orElse: 'any' })
  expect(elsewhere.port).not.toBe(port)
  await elsewhere.close()
  other.close()
})

async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
