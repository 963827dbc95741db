import { spawnSync } from 'node:child_process'
import { realpathSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { importImage } from '../fixtures/engines/base-image.ts'
import { dockerdMissing, startDockerd, type Dockerd } from '../fixtures/engines/start-dockerd.ts'
import { connectV2 } from './clients.ts'
import { fixture, openWorld, type World } from './harness.ts'

const missing = dockerdMissing()
const everything = 'npx://@modelcontextprotocol/server-everything'
const certificates = '/etc/ssl/certs/ca-certificates.crt'

let dockerd: Dockerd
let world: World

beforeAll(async () => {
  if (missing !== undefined) return
  dockerd = await startDockerd({ withNetwork: true })
  world = await openWorld()
  world.environment['TOOLHIVE_DOCKER_SOCKET'] = dockerd.socketPath
  await makeNodeBase('node-base:1')
})
afterAll(async () => {
  if (missing !== undefined) return
  await world.close()
  await dockerd.stop()
})
beforeEach((context) => {
  if (missing !== undefined) context.skip(missing)
})

it('a package is built into an image, served for real, and the image is used again', async () => {
  const flags = ['--runtime', 'container', '--runtime-image', 'node-base:1', '--ca-cert', certificates]
  const first = await world.thv('run', everything, '--name', 'built', ...flags)
  expect(first.stderr).toContain('Successfully built')
  expect(first.code).toBe(0)
  const [workload] = await world.list()
  expect(workload).toMatchObject({ status: 'running', isolation: 'container' })
  expect(workload!.package).toMatch(/^toolhivelocal\/npx-modelcontextprotocol-server-everything:\d{14}$/)
  const peer = await connectV2(workload!.url)
  expect(await peer.text('echo', { message: 'out of a container' })).toContain('out of a container')
  await peer.close()
  const user = docker('exec', 'built', 'node', '-p', 'process.getuid()')
  expect(user).not.toBe('0')
  const again = await world.thv('run', everything, '--name', 'again', ...flags)
  expect(again.stderr).toContain('built from the same before')
  await world.ok('rm', '--all')
  expect(docker('ps', '--all', '--quiet')).toBe('')
})

it('a package takes the engine that answers, as config.yaml says to build, and a process where that is asked for', async () => {
  const place = join(world.directory, 'config/toolhive')
  await mkdir(place, { recursive: true })
  const lines = [`ca_certificate_path: ${certificates}`, 'runtime_configs: {npx: {builder_image: "node-base:1"}}', '']
  await writeFile(join(place, 'config.yaml'), lines.join('\n'))
  const { stderr } = await world.thv('run', everything, '--name', 'auto')
  expect(stderr).toContain('a container engine answers and is used; --runtime process')
  expect((await world.list())[0]).toMatchObject({ name: 'auto', status: 'running', isolation: 'container' })
  const config = JSON.parse(await world.ok('export', 'auto', '/dev/stdout'))
  expect(config).toMatchObject({ thv: { runtime: 'container' }, runtime_config: { builder_image: 'node-base:1' } })
  await world.ok('rm', 'auto')
  for (const wish of ['flag', 'variable', 'file']) {
    if (wish === 'file') await writeFile(join(place, 'config.yaml'), 'thv: {runtime: process}\n')
    const environment = wish === 'variable' ? { THV_RUNTIME: 'process' } : {}
    const flags = wish === 'flag' ? ['--runtime', 'process'] : []
    const { code } = await world.run(['run', everything, '--name', wish, ...flags], { environment })
    expect(code).toBe(0)
    expect((await world.list())[0]).not.toMatchObject({ isolation: 'container' })
    await world.ok('rm', wish)
  }
  // A command has its files here; the choice is not for it.
  await writeFile(join(place, 'config.yaml'), 'thv: {runtime: container}\n')
  await world.ok('run', '--name', 'command', '--', ...fixture('stdio-server.mjs'))
  await world.ok('rm', 'command')
})

it('a package that does not exist fails with what npm said, and leaves no trace', async () => {
  const flags = ['--runtime', 'container', '--runtime-image', 'node-base:1', '--ca-cert', certificates]
  const { code, stderr } = await world.thv('run', 'npx://thv-no-such-package-at-all', '--name', 'no', ...flags)
  expect(code).not.toBe(0)
  expect(stderr).toMatch(/E404|404 Not Found/)
  expect(await world.list()).toEqual([])
  expect(docker('ps', '--all', '--quiet')).toBe('')
})

/** An image with what the usual base image of npm packages has, out of this machine's own Node. */
async function makeNodeBase(name: string): Promise<void> {
  const npm = realpathSync(spawnSync('which', ['npm'], { encoding: 'utf8' }).stdout.trim())
  const tools = ['sh', 'env', 'cat', 'mkdir', 'ln', 'chmod', 'rm', 'ls', 'head'].map((tool) => `/bin/${tool}`)
  const home = dirname(dirname(npm))
  await importImage(dockerd.socketPath, 'node-files:1', [realpathSync(process.execPath), home, ...tools])
  const bin = join(home, 'bin')
  const user = '/usr/local/bin/adduser'
  const lines = [
    'FROM node-files:1',
    'ENV HOME=/root',
    'RUN mkdir -p /root /tmp /etc /usr/local/bin && ln -s /bin/env /usr/bin/env || true',
    `RUN ln -s ${bin}/npm-cli.js /usr/local/bin/npm && ln -s ${bin}/npx-cli.js /usr/local/bin/npx`,
    `RUN printf '%s\\n' '#!/bin/sh' 'echo appuser:x:1000:1000::/tmp:/bin/sh >> /etc/passwd' > ${user} && chmod 755 ${user} /tmp`,
  ]
  const args = ['--host', `unix://${dockerd.socketPath}`, 'build', '--tag', name, '-']
  const environment = { ...process.env, DOCKER_BUILDKIT: '0' }
  const { status, stderr, stdout } = spawnSync('docker', args, {
    input: lines.join('\n'),
    encoding: 'utf8',
    env: environment,
  })
  if (status !== 0) throw new Error(`${stdout}${stderr}`)
}

function docker(...args: string[]): string {
  const { stdout, stderr, status } = spawnSync('docker', ['--host', `unix://${dockerd.socketPath}`, ...args], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stderr)
  return stdout.trim()
}
