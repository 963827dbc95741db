import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createEngineHttp, type EngineHttp, type EngineRequest } from './engine-http.ts'

const never = new AbortController().signal
const wanted: EngineRequest = { what: 'do it', method: 'POST', path: '/do', timeoutMs: 300 }

let directory: string
let server: Server
let http: EngineHttp
let respond: RequestListener

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'thv-http-'))
  server = createServer((request, response) => respond(request, response))
  server.listen(join(directory, 'engine.sock'))
  await once(server, 'listening')
  http = createEngineHttp(join(directory, 'engine.sock'))
})
afterEach(async () => {
  server.closeAllConnections()
  server.close()
  await rm(directory, { recursive: true, force: true })
})

describe('an engine that stops in the middle', () => {
  const calls = {
    send: async () => await http.send(wanted, never),
    stream: async () => await http.stream(wanted, never),
    upgrade: async () => await http.upgrade(wanted, never),
  }

  it.each(Object.entries(calls))('of an error is given up by %s when its time is over', async (_name, call) => {
    respond = (_request, response) => void response.writeHead(500, { 'content-length': '100' }).write('{"mess')
    await expect(call()).rejects.toMatchObject({ code: 'engine-unreachable' })
  })

  it.each(Object.entries(calls))(
    'before its answer is given up by %s, also after a collection',
    async (_name, call) => {
      respond = () => {}
      setFlagsFromString('--expose-gc')
      const collect = setInterval(() => void runInNewContext('gc')(), 20)
      try {
        await expect(call()).rejects.toMatchObject({ code: 'engine-unreachable' })
      } finally {
        clearInterval(collect)
      }
    },
  )

  it('of a stream that has a time is cut off when that is over, also after a collection', async () => {
    respond = (_request, response) => void response.writeHead(200).write('begun')
    const { body } = await http.stream(wanted, never)
    setFlagsFromString('--expose-gc')
    const collect = setInterval(() => void runInNewContext('gc')(), 20)
    try {
      await expect(once(body.resume(), 'close')).rejects.toThrow('aborted')
    } finally {
      clearInterval(collect)
    }
  })
})

it('a connection that is not handed out is closed', async () => {
  let seen: Socket | undefined
  respond = (request, response) => {
    seen = request.socket
    response.writeHead(200).write('a stream of another kind')
  }
  await expect(http.upgrade(wanted, never)).rejects.toMatchObject({ code: 'engine-failed' })
  await expect.poll(() => seen?.destroyed).toBe(true)
})

it('a signal that outlives its requests keeps no listener of them', async () => {
  respond = (_request, response) => void response.end('done')
  const life = new AbortController()
  let listeners = 0
  const add = life.signal.addEventListener.bind(life.signal)
  const remove = life.signal.removeEventListener.bind(life.signal)
  life.signal.addEventListener = (...args: Parameters<typeof add>) => ((listeners += 1), add(...args))
  life.signal.removeEventListener = (...args: Parameters<typeof remove>) => ((listeners -= 1), remove(...args))
  await http.send(wanted, life.signal)
  const { body } = await http.stream({ ...wanted, path: '/stream' }, life.signal)
  await once(body.resume(), 'close')
  expect(listeners).toBe(0)
})
