import type { IncomingMessage } from 'node:http'
import { describe, expect, test } from 'vitest'
import { apiPath, createApiCaller } from './call-api.ts'
import { deadUrl, serveSocket, serveTcp } from './fixtures/serve.ts'

const { signal } = new AbortController()
const get = { method: 'GET', path: '/api/v1beta/version' } as const

describe.each([
  ['TCP', serveTcp],
  ['a unix socket', serveSocket],
])('a call over %s', (_how, serve) => {
  test('carries method, path, query, headers and JSON, and brings back the answer', async () => {
    let seen: unknown
    const url = await serve((request, response) => {
      whenRead(request, (body) => {
        const { method, url, headers } = request
        seen = [method, url, headers['content-type'], headers['content-length'], headers.authorization, body]
        response.writeHead(201).end('{"ok":true}')
      })
    })
    const call = createApiCaller({ url, headers: { Authorization: 'Bearer x' } })
    const query = { a: 'b c&d', none: undefined }
    expect(await call({ method: 'POST', path: '/x', query, body: { ü: 1 } }, signal)).toMatchObject({
      status: 201,
      text: '{"ok":true}',
    })
    expect(seen).toEqual(['POST', '/x?a=b+c%26d', 'application/json', '8', 'Bearer x', '{"ü":1}'])
  })

  test('takes an answer of 1 MiB and not one byte more', async () => {
    let size = 1024 * 1024
    const url = await serve((_request, response) => response.end('x'.repeat(size)))
    const call = createApiCaller({ url })
    expect((await call(get, signal)).text).toHaveLength(size)
    size += 1
    await expect(call(get, signal)).rejects.toMatchObject({ code: 'api-answer-invalid' })
  })

  test('gives an answer without end up at the limit', async () => {
    const url = await serve((_request, response) => {
      const go = (): void => {
        while (response.write('x'.repeat(64 * 1024))) if (response.destroyed) return
        response.once('drain', go)
      }
      go()
    })
    await expect(createApiCaller({ url, timeoutMs: 5_000 })(get, signal)).rejects.toMatchObject({
      code: 'api-answer-invalid',
    })
  })

  test('that is interrupted ends at once, also in the middle of the answer', async () => {
    const stop = new AbortController()
    const url = await serve((_request, response) => {
      response.write('x')
      setImmediate(() => stop.abort(new Error('interrupted')))
    })
    await expect(createApiCaller({ url })(get, stop.signal)).rejects.toThrow('interrupted')
  })

  test.each(['before', 'in the middle of'])('that gets silence %s the answer names the variable', async (when) => {
    const url = await serve((_request, response) => {
      if (when !== 'before') response.write('x')
    })
    await expect(createApiCaller({ url, timeoutMs: 50 })(get, signal)).rejects.toMatchObject({
      code: 'api-server-timeout',
      message: `the ToolHive API server at ${url} did not answer within 0.05 s`,
      hint: expect.stringContaining('TOOLHIVE_API_TIMEOUT'),
    })
  })

  test('whose answer wants another protocol fails, and does not wait for ever', async () => {
    const url = await serve((request) =>
      request.socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'),
    )
    await expect(createApiCaller({ url })(get, signal)).rejects.toMatchObject({ code: 'api-server-unreachable' })
  })

  test('whose connection breaks in the middle of the answer has not worked', async () => {
    const url = await serve((_request, response) => {
      response.writeHead(200, { 'Content-Length': '10' })
      response.write('x', () => response.destroy())
    })
    await expect(createApiCaller({ url })(get, signal)).rejects.toMatchObject({ code: 'api-server-unreachable' })
  })
})

test('nobody listens: the words that tools look for, and what to do', async () => {
  const url = await deadUrl()
  await expect(createApiCaller({ url })(get, signal)).rejects.toMatchObject({
    code: 'api-server-unreachable',
    message: `could not reach ToolHive API server at ${url}: nobody listens there`,
    hint: expect.stringContaining('thv serve'),
  })
})

test('a socket that is not there is told in the same words', async () => {
  await expect(createApiCaller({ url: 'unix:///nowhere/x.sock' })(get, signal)).rejects.toMatchObject({
    code: 'api-server-unreachable',
    message: expect.stringContaining('could not reach ToolHive API server at unix:///nowhere/x.sock'),
  })
})

describe('an error of the server', () => {
  test('of thv keeps its code, words and hint', async () => {
    const headers = {
      'X-Thv-Error-Code': 'workload-not-found',
      'X-Thv-Error-Hint': encodeURIComponent("see 'thv list' – ü"),
    }
    expect(await errorOf(404, headers, "workload 'x' not found\n")).toMatchObject({
      code: 'workload-not-found',
      kind: 'not-found',
      message: "workload 'x' not found",
      hint: "see 'thv list' – ü",
    })
  })

  test('without a code says status and words', async () => {
    expect(await errorOf(409, {}, 'already there')).toMatchObject({
      code: 'api-error',
      message: 'the ToolHive API server answered 409: already there',
    })
  })

  test('in JSON gives its message', async () => {
    expect(await errorOf(503, {}, '{"code":"registry_unavailable","message":"later"}')).toMatchObject({
      message: 'the ToolHive API server answered 503: later',
    })
  })

  test.each([
    ['a code nobody knows', { 'X-Thv-Error-Code': 'made-up' }, 'api-error'],
    ['a name that every object has', { 'X-Thv-Error-Code': 'constructor' }, 'api-error'],
    ['a hint that cannot be decoded', { 'X-Thv-Error-Code': 'internal', 'X-Thv-Error-Hint': '%zz' }, 'internal'],
  ])('with %s is still an error', async (_what, headers, code) => {
    expect(await errorOf(500, headers, '')).toMatchObject({ code, hint: undefined })
  })

  test('that is long is cut', async () => {
    const error = await errorOf(500, {}, 'x'.repeat(1024 * 1024))
    expect(String(error)).toHaveLength(String(await errorOf(500, {}, 'x')).length + 64 * 1024 - 1)
  })

  test('is what a redirect is', async () => {
    expect(await errorOf(302, { Location: 'http://127.0.0.1:1/' }, '')).toMatchObject({
      message: 'the ToolHive API server answered 302',
    })
  })
})

describe('the URL of a server', () => {
  test('may have a path', async () => {
    const url = await serveTcp((request, response) => response.end(request.url))
    expect((await createApiCaller({ url: `${url}/thv/` })(get, signal)).text).toBe('/thv/api/v1beta/version')
  })

  test.each([
    ['nonsense', 'is no URL of a server'],
    ['ftp://x', 'is no URL of a server'],
    ['http://me:hunter2@127.0.0.1', 'has a user name or a password'],
    ['http://127.0.0.1?x', 'has a query or a fragment'],
  ])('%s is refused, and a password is not repeated', (url, why) => {
    const create = () => createApiCaller({ url })
    expect(create).toThrow(expect.objectContaining({ code: 'invalid-argument', message: expect.stringContaining(why) }))
    expect(create).not.toThrow('hunter2')
  })
})

test('a name in a path is one part of it, whatever is in it', () => {
  expect(apiPath`/workloads/${'../a b?c#d'}/stop`).toBe('/workloads/..%2Fa%20b%3Fc%23d/stop')
})

async function errorOf(status: number, headers: Record<string, string>, body: string): Promise<unknown> {
  const url = await serveTcp((_request, response) => response.writeHead(status, headers).end(body))
  return await createApiCaller({ url })(get, signal).catch((error: unknown) => error)
}

function whenRead(request: IncomingMessage, act: (body: string) => void): void {
  const pieces: Buffer[] = []
  request.on('data', (piece: Buffer) => pieces.push(piece))
  request.on('end', () => act(Buffer.concat(pieces).toString()))
}
