import { spawnSync } from 'node:child_process'
import { realpathSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { importImage } from '../fixtures/engines/base-image.ts'
import { dockerdMissing, startDockerd, type Dockerd } from '../fixtures/engines/start-dockerd.ts'
import { connectV2, type Peer } from './clients.ts'
import { eventually, openWorld, root, type World } from './harness.ts'

const missing = dockerdMissing()
const image = 'thv-e2e/servers:1'
const fixtures = join(root, 'test/fixtures/mcp-servers')
const stdioServer = ['node', join(fixtures, 'stdio-server.mjs')]
const httpServer = ['node', join(fixtures, 'http-server.mjs')]

let dockerd: Dockerd
let world: World
let peers: Peer[] = []

beforeAll(async () => {
  if (missing !== undefined) return
  dockerd = await startDockerd()
  const files = ['stdio-server.mjs', 'http-server.mjs'].map((name) => join(fixtures, name))
  await importImage(dockerd.socketPath, image, [realpathSync(process.execPath), ...files])
  world = await openWorld()
  world.environment['TOOLHIVE_DOCKER_SOCKET'] = dockerd.socketPath
})
afterAll(async () => {
  if (missing !== undefined) return
  await world.close()
  await dockerd.stop()
})
beforeEach((context) => {
  if (missing !== undefined) context.skip(missing)
})
afterEach(async () => {
  await Promise.all(peers.map(async (peer) => await peer.close()))
  peers = []
  if (missing === undefined) await world.thv('rm', '--all')
})

describe('an image', () => {
  it('over stdio runs in a container, is listed, answers, and leaves nothing', async () => {
    await world.ok('run', image, '--name', 'boxed', '-l', 'team=a', '-e', 'A=b', '--', ...stdioServer)
    const [workload] = JSON.parse(await world.ok('list', '--format', 'json', '-l', 'team=a'))
    expect(workload).toMatchObject({ name: 'boxed', package: image, status: 'running', isolation: 'container' })
    expect(await call(workload.url)).toEqual('hello')
    expect(containers()).toEqual(['boxed'])
    const labels = JSON.parse(docker('inspect', '--format', '{{json .Config.Labels}}', 'boxed'))
    expect(labels).toMatchObject({
      toolhive: 'true',
      'toolhive-name': 'boxed',
      'toolhive-basename': 'boxed',
      'toolhive-transport': 'stdio',
      'toolhive-port': String(workload.port),
      team: 'a',
    })
    await world.ok('stop', 'boxed')
    expect(containers()).toEqual([])
    await world.ok('start', 'boxed')
    expect(await call(workload.url)).toEqual('hello')
    await world.ok('rm', 'boxed')
    expect(containers()).toEqual([])
  })

  it('over HTTP is reached through its proxy', async () => {
    const flags = ['--transport', 'streamable-http', '--target-port', '8080']
    // Two servers with one target port do not get in each other's way.
    await world.ok('run', image, '--name', 'web', ...flags, '--', ...httpServer)
    await world.ok('run', image, '--name', 'web2', ...flags, '--', ...httpServer)
    for (const { url } of await world.list()) expect(await call(url)).toEqual('hello')
  })

  it('gets a name of its own when none is given', async () => {
    await world.ok('run', image, '--', ...stdioServer)
    expect((await world.list()).map(({ name }) => name)).toEqual(['thv-e2e-servers'])
  })

  it('that is nowhere is an error that says so, and leaves no trace', async () => {
    const { code, stderr } = await world.thv('run', '127.0.0.1:9/nothing:1', '--name', 'gone')
    expect(code).not.toBe(0)
    expect(stderr).toContain("the image '127.0.0.1:9/nothing:1' could not be pulled")
    expect(await world.list()).toEqual([])
  })

  it('cannot be a process, and a command no container', async () => {
    const process = await world.thv('run', image, '--runtime', 'process')
    expect(process.stderr).toContain('cannot run as a process')
    const command = await world.thv('run', '--runtime', 'container', '--name', 'x', '--', ...stdioServer)
    expect(command.stderr).toContain('a local command cannot run in a container')
  })

  it('whose server dies at once says its last words', async () => {
    const { stderr } = await world.thv('run', image, '--name', 'dies', '--', ...stdioServer, '--die=3')
    expect(stderr).toContain('cannot find the treasure map')
    expect(containers()).toEqual([])
  })

  it('is run again from its export', async () => {
    await world.ok('run', image, '--name', 'first', '--', ...stdioServer)
    const file = join(world.directory, 'export.json')
    await world.ok('export', 'first', file)
    await world.ok('rm', 'first')
    await world.ok('run', '--from-config', file)
    expect(await call((await world.list())[0]!.url)).toEqual('hello')
  })
})

describe('when things go wrong', () => {
  it('a supervisor that was killed leaves a container that a stop removes, and a start too', async () => {
    for (const verb of ['stop', 'start']) {
      await world.ok('run', image, '--name', 'left', '--transport', 'streamable-http', '--', ...httpServer)
      process.kill((await world.status('left')).process_id, 'SIGKILL')
      await eventually('it is seen', 5_000, async () =>
        (await world.list())[0]?.status === 'unhealthy' ? true : undefined,
      )
      const before = docker('ps', '--quiet')
      expect(before).not.toBe('')
      await world.ok(verb, 'left')
      const after = docker('ps', '--all', '--quiet')
      expect(after).not.toContain(before)
      if (verb === 'start') expect(await call((await world.list())[0]!.url)).toEqual('hello')
      await world.ok('rm', 'left')
      expect(containers()).toEqual([])
    }
  })

  it('a container that somebody removes is started again', async () => {
    await world.ok('run', image, '--name', 'phoenix', '--', ...stdioServer)
    const before = docker('ps', '--quiet')
    docker('rm', '--force', 'phoenix')
    await eventually('another container', 15_000, async () => {
      const now = docker('ps', '--quiet')
      return now !== '' && now !== before ? true : undefined
    })
    expect(await call((await world.list())[0]!.url)).toEqual('hello')
  })

  it('an engine that is killed and comes back has the server again, and the status says why meanwhile', async () => {
    await world.ok('run', image, '--name', 'survivor', '--', ...stdioServer)
    await dockerd.kill()
    const context = await eventually('the status says so', 15_000, async () => {
      const { status, status_context: text = '' } = await world.status('survivor')
      return status === 'starting' && text.includes('container engine') ? text : undefined
    })
    expect(context).toMatch(/container engine.*restarting/)
    await dockerd.start()
    await eventually('it runs again', 60_000, async () =>
      (await world.status('survivor')).status === 'running' ? true : undefined,
    )
    const [workload] = await world.list()
    expect(await call(workload!.url)).toEqual('hello')
    await world.ok('rm', 'survivor')
    expect(containers()).toEqual([])
  })

  it('without any engine an image is an error with what to do', async () => {
    const environment = { TOOLHIVE_DOCKER_SOCKET: join(world.directory, 'no.sock') }
    const { code, stderr } = await world.run(['run', image, '--name', 'none'], { environment })
    expect(code).not.toBe(0)
    expect(stderr).toContain('no container runtime available')
    expect(await world.list()).toEqual([])
  })
})

async function call(url: string): Promise<string> {
  const peer = await connectV2(url)
  peers.push(peer)
  return await peer.text('echo', { message: 'hello' })
}

/** Names of all containers, running or not. */
function containers(): string[] {
  return docker('ps', '--all', '--format', '{{.Names}}')
    .split('\n')
    .filter((name) => name !== '')
}

function docker(...args: string[]): string {
  const host = `unix://${dockerd.socketPath}`
  const { stdout, stderr, status } = spawnSync('docker', ['--host', host, ...args], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return stdout.trim()
}
