import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, realpathSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { importImage } from '../fixtures/engines/base-image.ts'
import { dockerdMissing, startDockerd, type Dockerd } from '../fixtures/engines/start-dockerd.ts'
import { connectV2 } from './clients.ts'
import { eventually, openWorld, root, type World } from './harness.ts'

const missing = dockerdMissing()
const image = 'thv-e2e/servers:1'
const fixtures = join(root, 'test/fixtures/mcp-servers')
const stdioServer = ['node', join(fixtures, 'stdio-server.mjs')]
const httpServer = ['node', join(fixtures, 'http-server.mjs')]
const http = ['--transport', 'streamable-http', '--target-port', '8080']

/** An engine and a user; both end with the test. */
interface Place {
  dockerd: Dockerd
  world: World
}

describe('an engine with servers', { timeout: 180_000 }, () => {
  let place: Place
  beforeAll(async () => {
    if (missing !== undefined) return
    place = await openPlace(await startDockerd())
    await importServers(place.dockerd)
  }, 120_000)
  afterAll(async () => await closePlace(place), 120_000)
  beforeEach((context) => {
    if (missing !== undefined) context.skip(missing)
  })

  it('that is killed and comes back under load has them all again; calls fail or are answered, and nothing is left', async () => {
    const { world, dockerd } = place
    const before = leftIn(place)
    for (const name of ['one', 'two']) await world.ok('run', image, '--name', name, '--', ...stdioServer)
    await world.ok('run', image, '--name', 'web', ...http, '--', ...httpServer)
    const urls = (await world.list()).map(({ url }) => url)
    const load = new AbortController()
    const callers = urls.map(async (url) => await callUntil(url, load.signal))
    for (let turn = 0; turn < 2; turn++) {
      await dockerd.kill()
      await eventually('the status says that the engine is gone', 30_000, async () => {
        const all = await Promise.all(['one', 'two'].map(async (name) => await world.status(name)))
        const said = all.every(({ status, status_context: why = '' }) => status === 'starting' && /engine/.test(why))
        return said ? true : undefined
      })
      await dockerd.start()
      await eventually('all run again', 90_000, async () =>
        (await world.list()).every(({ status }) => status === 'running') ? true : undefined,
      )
      for (const url of urls) expect(await call(url)).toBe('hello')
    }
    load.abort()
    for (const counted of await Promise.all(callers)) expect(counted.answered).toBeGreaterThan(0)
    await world.ok('rm', '--all')
    expect(leftIn(place)).toEqual(before)
  })

  it('without the image of a workload says so; the workload starts when it is there again', async () => {
    const { world, dockerd } = place
    const before = leftIn(place)
    await world.ok('run', image, '--name', 'bare', '--', ...stdioServer)
    await world.ok('stop', 'bare')
    docker(dockerd, 'rmi', '--force', image)
    const { code, stderr } = await world.thv('start', 'bare')
    expect(code).not.toBe(0)
    expect(stderr).toContain(`the image '${image}' could not be pulled`)
    expect((await world.list())[0]).toMatchObject({ name: 'bare', status: 'error' })
    expect(containers(dockerd)).toEqual([])
    await importServers(dockerd)
    await world.ok('start', 'bare')
    expect(await call((await world.list())[0]!.url)).toBe('hello')
    await world.ok('rm', 'bare')
    expect(leftIn(place)).toEqual(before)
  })

  it('from which the image of a running server and then its container are taken says why it ends', async () => {
    const { world, dockerd } = place
    await world.ok('run', image, '--name', 'robbed', '--', ...stdioServer)
    docker(dockerd, 'tag', image, 'kept:1')
    docker(dockerd, 'rmi', '--force', image)
    docker(dockerd, 'rm', '--force', 'robbed')
    await eventually('the status names the image', 60_000, async () => {
      const { status_context: why = '' } = await world.status('robbed')
      return why.includes(image) ? true : undefined
    })
    docker(dockerd, 'tag', 'kept:1', image)
    docker(dockerd, 'rmi', 'kept:1')
    const { status } = await world.status('robbed')
    if (status !== 'running') await world.ok('restart', 'robbed')
    expect(await call((await world.list())[0]!.url)).toBe('hello')
    await world.ok('rm', 'robbed')
    expect(containers(dockerd)).toEqual([])
  })
})

describe('an engine with a small disk', { timeout: 180_000 }, () => {
  let place: Place
  beforeAll(async () => {
    if (missing !== undefined) return
    place = await openPlace(await startDockerd({ dataMegabytes: 96 }))
  }, 120_000)
  afterAll(async () => await closePlace(place), 120_000)
  beforeEach((context) => {
    if (missing !== undefined) context.skip(missing)
  })

  it('that a build fills up fails with what the builder said, and leaves nothing of it', async () => {
    const { world, dockerd } = place
    // A base image whose npm installs more than fits.
    await importImage(dockerd.socketPath, 'tools:1', ['/bin/sh', '/bin/mkdir', '/bin/cat', '/bin/chmod', '/bin/dd'])
    const lines = [
      'FROM tools:1',
      `RUN mkdir -p /usr/local/bin /etc && printf '%s\\n' '#!/bin/sh' 'dd if=/dev/zero of=/app/large bs=1M count=400' > /usr/local/bin/npm`,
      'RUN chmod 755 /usr/local/bin/npm',
    ]
    const args = ['--host', `unix://${dockerd.socketPath}`, 'build', '--tag', 'builder:1', '-']
    const env = { ...process.env, DOCKER_BUILDKIT: '0' }
    const made = spawnSync('docker', args, { input: lines.join('\n'), encoding: 'utf8', env })
    if (made.status !== 0) throw new Error(made.stderr)
    const before = leftIn(place)
    const flags = ['--runtime', 'container', '--runtime-image', 'builder:1']
    const { code, stderr } = await world.thv('run', 'npx://server', '--name', 'large', ...flags)
    expect(code).not.toBe(0)
    expect(stderr).toMatch(/no space left on device/i)
    expect(stderr).toContain('[image-build-failed]')
    expect(await world.list()).toEqual([])
    expect(leftIn(place)).toEqual(before)
  })
})

async function openPlace(dockerd: Dockerd): Promise<Place> {
  const world = await openWorld()
  world.environment['TOOLHIVE_DOCKER_SOCKET'] = dockerd.socketPath
  return { dockerd, world }
}

async function closePlace(place: Place | undefined): Promise<void> {
  if (place === undefined) return
  await place.world.close()
  await place.dockerd.stop()
}

async function importServers({ socketPath }: Dockerd): Promise<void> {
  const files = ['stdio-server.mjs', 'http-server.mjs'].map((name) => join(fixtures, name))
  await importImage(socketPath, image, [realpathSync(process.execPath), ...files])
}

/** Everything that an engine and this machine could have kept, but for images with a name. */
function leftIn({ dockerd, world }: Place): Record<string, string[]> {
  const pids = new Set(readdirSync('/proc'))
  const statuses = join(world.directory, 'data/toolhive/statuses')
  return {
    containers: containers(dockerd),
    networks: lines(docker(dockerd, 'network', 'ls', '--format', '{{.Name}}')),
    volumes: lines(docker(dockerd, 'volume', 'ls', '--format', '{{.Name}}')),
    unnamed: lines(docker(dockerd, 'images', '--all', '--quiet', '--filter', 'dangling=true')),
    images: lines(docker(dockerd, 'images', '--format', '{{.Repository}}:{{.Tag}}')),
    // Those of other tests have an owner that lives.
    sockets: readdirSync(tmpdir()).filter((name) => !pids.has(/^thv-sandbox-(\d+)-/.exec(name)?.[1] ?? '1')),
    statuses: existsSync(statuses) ? readdirSync(statuses) : [],
  }
}

function containers(dockerd: Dockerd): string[] {
  return lines(docker(dockerd, 'ps', '--all', '--format', '{{.Names}}'))
}

function lines(text: string): string[] {
  return text === '' ? [] : text.split('\n').toSorted()
}

/** Calls without a pause, with a new session after each failure. */
async function callUntil(url: string, signal: AbortSignal): Promise<{ answered: number; failed: number }> {
  const counted = { answered: 0, failed: 0 }
  while (!signal.aborted) {
    try {
      const peer = await connectV2(url)
      try {
        while (!signal.aborted) {
          await peer.text('echo', { message: 'load' })
          counted.answered++
        }
      } finally {
        await peer.close().catch(() => {})
      }
    } catch {
      counted.failed++
      await delay(100)
    }
  }
  return counted
}

async function call(url: string): Promise<string> {
  const peer = await connectV2(url)
  try {
    return await peer.text('echo', { message: 'hello' })
  } finally {
    await peer.close()
  }
}

function docker({ socketPath }: Dockerd, ...args: string[]): string {
  const { stdout, stderr, status } = spawnSync('docker', ['--host', `unix://${socketPath}`, ...args], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stderr)
  return stdout.trim()
}
