import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { errorKinds, ThvError, type ErrorKind } from '@thv/core'
import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { ApiDeps } from './api-deps.ts'
import { createTestDeps } from './fixtures/api-deps.ts'
import { kindStatuses, problemAnswer } from './problem.ts'
import { defineRoute, type ApiRoute } from './route.ts'
import { createApiServer, type ApiServer, type ApiServerOptions } from './server.ts'

const servers: ApiServer[] = []
let logged: { level: string; fields: Record<string, unknown> | undefined }[] = []

afterEach(async () => {
  await Promise.all(servers.splice(0).map(async (server) => await server.close()))
  logged = []
})

function depsOf(): ApiDeps {
  return createTestDeps({ log: (level, _message, fields) => void logged.push({ level, fields }) })
}

function routeTo(handle: ApiRoute['handle'], more: Partial<ApiRoute> = {}): ApiRoute {
  const spec = { method: 'GET' as const, path: '/a/{name}', tag: 't', summary: 's', answers: {}, errors: [] }
  return { ...spec, ...more, handle }
}

async function serve(routes: ApiRoute[], more: Partial<ApiServerOptions> = {}): Promise<string> {
  const server = createApiServer({ targets: [{ host: '127.0.0.1', port: 0 }], routes, deps: depsOf(), ...more })
  servers.push(server)
  const [url = ''] = await server.start()
  return url
}

describe('the table of errors', () => {
  it('gives each kind its status', () => {
    const expected: Record<ErrorKind, number> = {
      invalid: 400,
      'not-found': 404,
      conflict: 409,
      denied: 403,
      unavailable: 503,
      timeout: 504,
      internal: 500,
    }
    expect(kindStatuses).toEqual(expected)
    expect(new Set(Object.values(errorKinds))).toEqual(new Set(Object.keys(expected)))
  })

  it('gives some codes a status of their own, here or everywhere', () => {
    const remote = new ThvError('runtime-unsupported', 'no')
    expect([problemAnswer(remote).status, problemAnswer(remote, { 'runtime-unsupported': 418 }).status]).toEqual([
      501, 418,
    ])
  })
})

describe('a request', () => {
  it('that breaks the server is answered in general, and told in the log with its number', async () => {
    const url = await serve([routeTo(async () => await Promise.reject(new Error('secret')))])
    const answer = await fetch(`${url}/a/b`)
    expect([answer.status, await answer.text()]).toEqual([500, 'Internal Server Error\n'])
    const [entry] = logged.filter(({ level }) => level === 'error')
    expect(entry?.fields).toMatchObject({ error: 'secret', request: answer.headers.get('x-request-id') })
  })

  it('of a method that its path does not have is refused before it is handled, HEAD too', async () => {
    let handled = 0
    const url = await serve([
      routeTo(async () => {
        handled += 1
        return { status: 200, stream: new ReadableStream() }
      }),
    ])
    for (const method of ['HEAD', 'PUT', 'OPTIONS']) {
      const answer = await fetch(`${url}/a/b`, { method })
      expect([method, answer.status, answer.headers.get('allow')]).toEqual([method, 405, 'GET'])
    }
    expect(handled).toBe(0)
  })

  it('that takes too long is answered, and its signal aborts', async () => {
    let aborted = false
    const slow = routeTo(async (_deps, { signal }) => {
      await once(signal, 'abort')
      aborted = true
      return { status: 204 }
    })
    const url = await serve([slow, { ...slow, path: '/stuck', handle: async () => await new Promise(() => {}) }], {
      routeMs: { usual: 50, long: 60_000 },
    })
    for (const path of ['/a/b', '/stuck']) {
      const answer = await fetch(`${url}${path}`)
      expect([answer.status, answer.headers.get('x-thv-error-code')]).toEqual([504, 'request-timeout'])
    }
    expect(aborted).toBe(true)
  })

  it('whose client goes is told so', async () => {
    let gone: () => void = () => {}
    const left = new Promise<void>((resolve) => {
      gone = resolve
    })
    let began: () => void = () => {}
    const begun = new Promise<void>((resolve) => {
      began = resolve
    })
    const url = await serve([
      routeTo(async (_deps, { signal }) => {
        signal.addEventListener('abort', gone, { once: true })
        began()
        await left
        return { status: 204 }
      }),
    ])
    const client = new AbortController()
    const answer = fetch(`${url}/a/b`, { signal: client.signal })
    await begun
    client.abort()
    await expect(answer).rejects.toThrow('aborted')
    await left
  })

  it('gets what its schemas make of it, decoded, and null for nothing', async () => {
    const route = defineRoute({
      method: 'POST',
      path: '/a/{name}',
      tag: 't',
      summary: 's',
      body: z.strictObject({ text: z.string().optional() }),
      answers: {},
      errors: [],
      handle: async (_deps, { params, body }) => ({ status: 200, json: [params, body] }),
    })
    const url = await serve([route])
    const answer = await fetch(`${url}/a/%C3%A9%20b/`, { method: 'POST', body: '{"text":null}' })
    expect([answer.headers.get('content-type'), await answer.text()]).toEqual([
      'application/json',
      '[{"name":"é b"},{}]\n',
    ])
  })

  it('asks who is there, except where anybody may know', async () => {
    const refuse = async (): Promise<Response> => await Promise.resolve(new Response('who?', { status: 401 }))
    const ok: ApiRoute['handle'] = async () => ({ status: 204 })
    const url = await serve([routeTo(ok), routeTo(ok, { path: '/open', isOpen: true })], { authenticate: refuse })
    expect([(await fetch(`${url}/a/b`)).status, (await fetch(`${url}/open`)).status]).toEqual([401, 204])
  })

  it('may be answered by a stream, which outlives the time of its route', async () => {
    const stream = (): ReadableStream<Uint8Array> => {
      let beat = 0
      return new ReadableStream({
        pull: async (controller) => {
          await new Promise((resolve) => {
            setTimeout(resolve, 60)
          })
          beat += 1
          controller.enqueue(Buffer.from(`${beat}`))
          if (beat === 3) controller.close()
        },
      })
    }
    const url = await serve([routeTo(async () => ({ status: 200, stream: stream() }))], {
      routeMs: { usual: 50, long: 50 },
    })
    expect(await (await fetch(`${url}/a/b`)).text()).toBe('123')
  })
})

describe('the server', () => {
  it('answers nobody before the hook is done, and does not start when it throws', async () => {
    let asked = 0
    const route = routeTo(async () => {
      asked += 1
      return { status: 204 }
    })
    let early: Promise<Response> | undefined
    const beforeServing = async ([url = '']: readonly string[]): Promise<void> => {
      const { port } = new URL(url)
      const socket = connect(Number(port), '127.0.0.1')
      await once(socket, 'connect')
      socket.destroy()
      early = fetch(`${url}/a/b`)
      expect(asked).toBe(0)
    }
    await serve([route], { beforeServing })
    expect((await early)?.status).toBe(204)
    const refuse = async (): Promise<void> =>
      await Promise.reject(new ThvError('server-busy', 'another one is running'))
    await expect(serve([route], { beforeServing: refuse })).rejects.toThrow('another one is running')
  })

  it('tells a stream that it is closing', async () => {
    const endless = routeTo(async (_deps, { closing }) => {
      const start = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
        controller.enqueue(Buffer.from('first '))
        closing.addEventListener('abort', () => {
          controller.enqueue(Buffer.from('last'))
          controller.close()
        })
      }
      return { status: 200, stream: new ReadableStream({ start }) }
    })
    const url = await serve([endless])
    const answer = await fetch(`${url}/a/b`)
    const closed = servers[0]?.close()
    expect(await answer.text()).toBe('first last')
    await closed
  })

  it('lets what is under way end when it closes, and cuts what does not', async () => {
    let release: () => void = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const routes = [
      routeTo(async () => {
        await held
        return { status: 204 }
      }),
      routeTo(async () => await new Promise<never>(() => {}), { path: '/stuck' }),
    ]
    const server = createApiServer({
      targets: [{ host: '127.0.0.1', port: 0 }],
      routes,
      deps: depsOf(),
      closeMs: { grace: 300, abort: 50 },
    })
    const [url = ''] = await server.start()
    const polite = fetch(`${url}/a/b`)
    const stuck = fetch(`${url}/stuck`)
    stuck.catch(() => {})
    await fetch(`${url}/none`)
    const closing = server.close()
    release()
    expect((await polite).status).toBe(204)
    await expect(stuck).rejects.toThrow('fetch failed')
    await closing
    await expect(fetch(url)).rejects.toThrow('fetch failed')
  })
})

it('a socket path that systems would cut is refused, and nothing is bound', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'thv-socket-'))
  const socket = join(directory, `${'a'.repeat(110)}.sock`)
  const server = createApiServer({ targets: [{ socket }], routes: [], deps: depsOf() })
  await expect(server.start()).rejects.toMatchObject({ code: 'invalid-argument' })
  expect(await readdir(directory)).toEqual([])
  await rm(directory, { recursive: true })
})
