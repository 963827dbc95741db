import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, realpathSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { importImage, importNodeImage } from '../fixtures/engines/base-image.ts'
import { dockerdMissing, startDockerd, type Dockerd } from '../fixtures/engines/start-dockerd.ts'
import { connectV2 } from './clients.ts'
import { eventually, openWorld, root, type World } from './harness.ts'
import { expectNamedService, runHostile, type Attempt } from './hostile.ts'

const missing = dockerdMissing()
const image = 'thv-e2e/hostile:1'
/** What thv runs the filter of a container's network in. */
const filterImage = 'node:24-alpine'
const fixtures = join(root, 'test/fixtures/mcp-servers')
const hostileServer = ['node', join(fixtures, 'hostile-server.mjs')]
const httpServer = ['node', join(fixtures, 'http-server.mjs')]

let dockerd: Dockerd
let world: World
let web: Server
let other: Server
let webPort: number
let otherPort: number
let data: string
let profile: string
let volumes: Attempt
let named: Attempt
let offline: Attempt
let plain: Attempt

beforeAll(async () => {
  if (missing !== undefined) return
  dockerd = await startDockerd()
  const files = ['hostile-server.mjs', 'http-server.mjs'].map((name) => join(fixtures, name))
  await importImage(dockerd.socketPath, image, [realpathSync(process.execPath), ...files])
  await importNodeImage(dockerd.socketPath, filterImage)
  world = await openWorld()
  world.environment['TOOLHIVE_DOCKER_SOCKET'] = dockerd.socketPath
  data = join(world.directory, 'data-volume')
  await mkdir(join(data, 'vault'), { recursive: true })
  await Promise.all([
    writeFile(join(data, 'public.txt'), 'public'),
    writeFile(join(data, '.env'), 'KEY=secret'),
    writeFile(join(data, 'vault/key'), 'secret'),
    writeFile(join(data, '.thvignore'), '.env\nvault/\n'),
  ])
  other = createServer((_request, response) => response.end('another service of this machine'))
  otherPort = await listen(other)
  web = createServer((request, response) => {
    if (request.url === '/away') response.writeHead(302, { location: `http://127.0.0.1:${otherPort}/` }).end()
    else response.end(`service for ${request.headers.host ?? ''}`)
  })
  webPort = await listen(web)
  profile = join(world.directory, 'profile.json')
  const outbound = { allow_host: ['localhost'], allow_port: [webPort] }
  await writeFile(profile, JSON.stringify({ read: [`${data}:/data`], network: { outbound } }))
  volumes = await hostile('volumes', '--volume', `${data}:/data`)
  named = await hostile('named', '--permission-profile', profile)
  offline = await hostile('offline', '--permission-profile', 'none')
  plain = await hostile('plain')
}, 120_000)
afterAll(async () => {
  if (missing !== undefined) return
  web.close()
  other.close()
  await world.close()
  await dockerd.stop()
})
beforeEach((context) => {
  if (missing !== undefined) context.skip(missing)
})

describe('what a container was given', () => {
  it('a volume is read and written where it was asked for, and a mount of a profile is read only', async () => {
    expect(await volumes('read', { path: '/data/public.txt' })).toEqual({ done: 'public' })
    expect(await volumes('write', { path: '/data/new.txt' })).toEqual({ done: 'done' })
    expect(await readFile(join(data, 'new.txt'), 'utf8')).toBe('written')
    expect(await named('read', { path: '/data/public.txt' })).toEqual({ done: 'public' })
    expect(await named('write', { path: '/data/more.txt' })).toEqual({ failed: expect.stringContaining('EROFS') })
    expect(await plain('list', { path: '/data' })).toEqual({ failed: expect.stringContaining('ENOENT') })
  })

  it('what .thvignore names is empty, and cannot be written to', async () => {
    for (const attempt of [volumes, named]) {
      expect(await attempt('read', { path: '/data/.env' })).toEqual({ done: '' })
      expect(await attempt('list', { path: '/data/vault' })).toEqual({ done: [] })
      expect(await attempt('write', { path: '/data/vault/key' })).toEqual({ failed: expect.stringContaining('EROFS') })
      await attempt('write', { path: '/data/.env' })
    }
    expect(await readFile(join(data, '.env'), 'utf8')).toBe('KEY=secret')
    expect(await readFile(join(data, 'vault/key'), 'utf8')).toBe('secret')
  })
})

describe('a container without network', () => {
  it('reaches nothing and looks nothing up', async () => {
    expect(await offline('talk', { host: gateway(), port: webPort })).toEqual({ failed: expect.any(String) })
    expect(await offline('lookup', { host: 'secret-data.attacker.example' })).toEqual({ failed: expect.any(String) })
    expect((await offline('environment')).done).not.toHaveProperty('HTTP_PROXY')
    // The same attempt works with a network, so it can fail.
    expect(await plain('talk', { host: gateway(), port: webPort })).toEqual({ done: expect.stringContaining('200') })
  })

  it('still serves clients over HTTP', async () => {
    const flags = ['--permission-profile', 'none', '--transport', 'streamable-http', '--target-port', '8080']
    await world.ok('run', image, '--name', 'quiet', ...flags, '--', ...httpServer)
    const { url } = (await world.list()).find(({ name }) => name === 'quiet')!
    const peer = await connectV2(url)
    try {
      expect(await peer.text('echo', { message: 'hello' })).toBe('hello')
    } finally {
      await peer.close()
    }
  })
})

describe('a container with a filtered network', () => {
  it('reaches a service that its profile names, directly and by the proxy', async () => {
    await expectNamedService(named, webPort)
  })

  it('and nothing else: another port, name or address, a forged Host, a redirect, the host of the engine', async () => {
    const refused = { failed: expect.stringMatching(/40[03]/) }
    const host = `localhost:${webPort}`
    expect(await named('talk', { host: 'localhost', port: otherPort })).toEqual({ failed: expect.any(String) })
    expect(await named('talk', { host: gateway(), port: otherPort })).toEqual({ failed: expect.any(String) })
    expect(await plain('talk', { host: gateway(), port: otherPort })).toEqual({ done: expect.stringContaining('200') })
    expect(await named('get', { url: `http://localhost:${otherPort}/` })).toEqual(refused)
    expect(await named('get', { url: `http://127.0.0.1:${otherPort}/`, host })).toEqual(refused)
    expect(await named('tunnel', { authority: `127.0.0.1:${otherPort}`, host })).toEqual(refused)
    expect(await named('tunnel', { authority: 'attacker.example:443' })).toEqual(refused)
    expect(await named('get', { url: `http://localhost:${webPort}/away` })).toEqual(refused)
  })

  it('gets no address of a host out of its resolver', async () => {
    const host = 'secret-data.attacker.example'
    expect(await named('lookup', { host })).toEqual({ done: expect.stringMatching(/^127\.77\./) })
  })

  it('does not see its filter, which can do nothing itself', async () => {
    const pids = ((await named('list', { path: '/proc' })).done as string[]).filter((name) => /^\d+$/.test(name))
    expect(pids).toHaveLength(1)
    expect(await named('list', { path: '/run/thv' })).toEqual({ failed: expect.stringContaining('ENOENT') })
    const { CapDrop, NetworkMode } = JSON.parse(docker('inspect', '--format', '{{json .HostConfig}}', 'named-network'))
    expect({ CapDrop, NetworkMode }).toEqual({ CapDrop: ['ALL'], NetworkMode: 'none' })
  })

  it('is told to be a container, and a refusal is logged with what would allow it', async () => {
    const list = (await world.list()) as { name: string; isolation?: string }[]
    expect(list.find(({ name }) => name === 'named')?.isolation).toBe('container')
    await eventually('the refusal is logged', 2000, async () => {
      const log = await world.ok('logs', 'named', '--proxy')
      return log.includes("add 'attacker.example' to network.outbound.allow_host") ? true : undefined
    })
  })

  it('leaves nothing when it is stopped, nor when its supervisor is killed', async () => {
    const attempt = await hostile('doomed', '--permission-profile', profile)
    expect(await attempt('talk', { host: 'localhost', port: webPort })).toEqual({ done: expect.any(String) })
    const first = (await world.status('doomed')).process_id
    expect(containers('doomed')).toEqual(['doomed', 'doomed-network'])
    expect(directories(first)).toHaveLength(1)
    await world.ok('stop', 'doomed')
    expect(containers('doomed')).toEqual([])
    expect(directories(first)).toEqual([])
    await world.ok('start', 'doomed')
    const second = (await world.status('doomed')).process_id
    process.kill(second, 'SIGKILL')
    await eventually('the filter has gone, although nobody has asked', 20_000, async () =>
      containers('doomed').includes('doomed-network') ? undefined : true,
    )
    await world.ok('start', 'doomed')
    expect(containers('doomed')).toEqual(['doomed', 'doomed-network'])
    expect(directories(second)).toEqual([])
    await world.ok('rm', 'doomed')
    expect(containers('doomed')).toEqual([])
  })

  it('reaches this machine by the name of the gateway when that was asked for', async () => {
    const attempt = await hostile('gate', '--isolate-network', '--allow-docker-gateway')
    const url = `http://host.docker.internal:${webPort}/`
    expect(await attempt('get', { url })).toEqual({ done: expect.stringContaining('service for') })
    expect(await attempt('talk', { host: '127.0.0.1', port: webPort })).toEqual({ failed: expect.any(String) })
    expect((await named('get', { url })).failed).toContain('403')
    await world.ok('rm', 'gate')
  })

  it('does not start without the image of the filter, and says so', async () => {
    docker('tag', filterImage, 'kept:1')
    docker('rmi', filterImage)
    try {
      const refused = await world.thv('run', image, '--name', 'bare', '--isolate-network', '--', ...hostileServer)
      expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('[isolation-unavailable]') })
      expect(refused.stderr).toContain(`needs the image '${filterImage}'`)
      expect(containers('bare')).toEqual([])
    } finally {
      docker('tag', 'kept:1', filterImage)
    }
  })
})

describe('what contradicts itself', () => {
  it.each([
    ['no isolation', ['--isolation', 'none']],
    ['a filter on the host network', ['--isolate-network', '--network', 'host']],
    ['no filter for a profile with hosts', ['--isolate-network=false', '--permission-profile', 'PROFILE']],
    ['the host network and HTTP', ['--network', 'host', '--transport', 'sse']],
  ])('is refused: %s', async (_what, flags) => {
    const words = flags.map((word) => (word === 'PROFILE' ? profile : word))
    const refused = await world.thv('run', image, '--name', 'odd', ...words, '--', ...hostileServer)
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('[isolation-contradiction]') })
    expect(containers('odd')).toEqual([])
  })
})

async function hostile(name: string, ...flags: string[]): Promise<Attempt> {
  return await runHostile(world, name, [image, ...flags, '--', ...hostileServer])
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '0.0.0.0')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** The address by which a container on the usual network reaches this machine. */
function gateway(): string {
  return docker('network', 'inspect', 'bridge', '--format', '{{(index .IPAM.Config 0).Gateway}}')
}

/** Directories with sockets that a supervisor has made. */
function directories(pid: number): string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith(`thv-sandbox-${pid}-`))
}

function containers(workload: string): string[] {
  const names = docker('ps', '-a', '--filter', `label=toolhive-name=${workload}`, '--format', '{{.Names}}')
  return names === '' ? [] : names.split('\n').toSorted()
}

function docker(...args: string[]): string {
  const words = ['-H', `unix://${dockerd.socketPath}`, ...args]
  const { stdout, stderr, status } = spawnSync('docker', words, { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return stdout.trim()
}
