import { once } from 'node:events'
import { createServer } from 'node:http'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { collect, eventually, fixture, openWorld, type World } from './harness.ts'
import { exchange } from './http.ts'

let world: World

/** A server that never answers. */
const mute = [process.execPath, '-e', 'setInterval(() => {}, 1000)']

beforeEach(async () => {
  world = await openWorld()
})

afterEach(async () => {
  await world.close()
})

describe('Ctrl-C while a workload starts', () => {
  // From before the supervisor exists to after its server has started.
  it.each([150, 250, 350, 500, 1500])('ends run after %d ms with 130 and leaves nothing', async (afterMs) => {
    const child = world.spawn(['run', '--name', 'slow', '--', ...mute])
    const ended = collect(child)
    await new Promise((resolve) => {
      setTimeout(resolve, afterMs)
    })
    child.kill('SIGINT')
    const { code } = await ended
    // A signal that came before it was listened to ends Node itself.
    if (child.signalCode === null) expect(code).toBe(130)
    else expect(child.signalCode).toBe('SIGINT')
    expect(await world.processes()).toEqual([])
    expect(await world.list()).toEqual([])
  })

  it('ends start with 130 and leaves the workload stopped', async () => {
    await world.thv('run', '--name', 'slow', '--', process.execPath, '-e', 'process.exit(1)')
    const child = world.spawn(['start', 'slow'])
    const ended = collect(child)
    await eventually('the start is claimed', 10_000, async () => {
      return (await world.status('slow')).status === 'starting' ? true : undefined
    })
    child.kill('SIGINT')
    const { code } = await ended
    if ((await world.status('slow')).status === 'error') return // The server was quicker.
    expect(code).toBe(130)
    expect(await world.processes()).toEqual([])
    expect((await world.status('slow')).status).toBe('stopped')
  })
})

describe('a target port that somebody else listens on', () => {
  it('is refused: the stranger is not taken for the server', async () => {
    const stranger = createServer((_request, response) => response.end('{}')).listen(0, '127.0.0.1')
    await once(stranger, 'listening')
    const address = stranger.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    try {
      const flags = ['--transport', 'streamable-http', '--target-port', String(port)]
      const result = await world.thv('run', '--name', 'http', ...flags, '--', ...fixture('http-server.mjs'))
      expect(result.code).toBe(1)
      expect(result.stderr).toContain(`the target port ${port} of 'http' is taken by another program [port-in-use]`)
      expect(await world.list()).toEqual([])
    } finally {
      stranger.close()
    }
  })
})

describe('a proxy on another address', () => {
  it.skipIf(process.platform !== 'linux')('is listed with the URL that reaches it', async () => {
    const server = [process.execPath, ...fixture('http-server.mjs').slice(1)]
    await world.ok('run', '--name', 'other', '--host', '127.0.0.2', '--transport', 'streamable-http', '--', ...server)
    const [workload] = await world.list()
    expect(workload?.url).toMatch(/^http:\/\/127\.0\.0\.2:\d+\/mcp$/)
    const body = { jsonrpc: '2.0', id: 1, method: 'ping' }
    expect((await exchange(workload!.url, { body })).status).toBeGreaterThan(0)
  })
})
