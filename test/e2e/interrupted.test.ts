import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
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

describe('a stop of one of several that one command starts', () => {
  it('ends that one, and neither the command nor the others', async () => {
    const registry = createServer(() => {}).listen(0, '127.0.0.1')
    await once(registry, 'listening')
    const address = registry.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    try {
      world.environment['npm_config_registry'] = `http://127.0.0.1:${port}`
      await Promise.all(['one', 'two'].map(saveUninstalled))
      const child = world.spawn(['start', 'one', 'two'])
      const ended = collect(child)
      await eventually('both are being installed', 20_000, async () => {
        return (await statuses()).join() === 'one starting,two starting' ? true : undefined
      })
      await world.ok('stop', 'one')
      expect(await statuses()).toEqual(['one stopped', 'two starting'])
      expect(child.exitCode).toBe(null)
      child.kill('SIGINT')
      expect((await ended).code).toBe(130)
      expect(await statuses()).toEqual(['one stopped', 'two stopped'])
    } finally {
      registry.closeAllConnections()
      registry.close()
    }
  }, 60_000)

  async function statuses(): Promise<string[]> {
    return (await world.list()).map(({ name, status }) => `${name} ${status}`)
  }

  /** A workload whose package nobody has installed yet. */
  async function saveUninstalled(name: string): Promise<void> {
    const directory = join(world.directory, 'state/toolhive/runconfigs')
    await mkdir(directory, { recursive: true })
    const image = `npx://thv-absent-${name}@1.0.0`
    const config = { schema_version: 'v0.1.0', name, image, transport: 'stdio', host: '127.0.0.1', port: 0 }
    const port = name === 'one' ? 28_471 : 28_472
    await writeFile(join(directory, `${name}.json`), JSON.stringify({ ...config, port }))
  }
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
