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
  expect(workload!.package).toMatch(/^toolhivelocal\/npx-modelcontextprotocol-server-everything:\d{14}-[0-9a-f]{8}$/)
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

it('a Go program of this machine is built from its directory and served, and the image is used again', async (context) => {
  const goRoot = spawnSync('go', ['env', 'GOROOT'], { encoding: 'utf8' }).stdout?.trim()
  if (goRoot === undefined || goRoot === '') context.skip('missing: go')
  await importImage(dockerd.socketPath, 'go-files:1', [...tools, '/bin/cp', goRoot])
  build('go-base:1', [
    'FROM go-files:1',
    `ENV PATH=${goRoot}/bin:/bin:/usr/bin HOME=/tmp GOTOOLCHAIN=local`,
    'RUN mkdir -p /tmp',
  ])
  // What the result runs in: its usual base is in no registry here.
  await importImage(dockerd.socketPath, 'final-files:1', tools)
  build('alpine:3.23', ['FROM final-files:1', ...addUser])
  const module = join(world.directory, 'module')
  await mkdir(join(module, 'cmd/greeter'), { recursive: true })
  await writeFile(join(module, 'go.mod'), 'module example.com/greeter\n\ngo 1.22\n')
  await writeFile(join(module, 'cmd/greeter/main.go'), goServer)
  const flags = ['--runtime-image', 'go-base:1']
  const first = await world.run(['run', 'go://./cmd/greeter', ...flags], { cwd: module })
  expect(first.stderr).toContain('Successfully built')
  const [workload] = await world.list()
  expect(workload).toMatchObject({ name: 'greeter', status: 'running', isolation: 'container' })
  const peer = await connectV2(workload!.url)
  expect(await peer.text('greet', {})).toBe('hello from Go')
  await peer.close()
  await world.ok('rm', 'greeter')
  const same = await world.run(['run', `go://${module}/cmd/greeter`, ...flags], { cwd: '/' })
  expect(same.stderr).toContain('built from the same before')
  await world.ok('rm', 'greeter')
}, 240_000)

it('a package that does not exist fails with what npm said, and leaves no trace', async () => {
  const flags = ['--runtime', 'container', '--runtime-image', 'node-base:1', '--ca-cert', certificates]
  const { code, stderr } = await world.thv('run', 'npx://thv-no-such-package-at-all', '--name', 'no', ...flags)
  expect(code).not.toBe(0)
  expect(stderr).toMatch(/E404|404 Not Found/)
  expect(await world.list()).toEqual([])
  expect(docker('ps', '--all', '--quiet')).toBe('')
})

const tools = ['sh', 'env', 'cat', 'mkdir', 'ln', 'chmod', 'rm', 'ls', 'head'].map((tool) => `/bin/${tool}`)

const addUser = [
  `RUN mkdir -p /usr/local/bin /etc /tmp && printf '%s\\n' '#!/bin/sh' 'echo appuser:x:1000:1000::/tmp:/bin/sh >> /etc/passwd' > /usr/local/bin/adduser`,
  'RUN chmod 755 /usr/local/bin/adduser /tmp',
]

/** An image with what the usual base image of npm packages has, out of this machine's own Node. */
async function makeNodeBase(name: string): Promise<void> {
  const npm = realpathSync(spawnSync('which', ['npm'], { encoding: 'utf8' }).stdout.trim())
  const home = dirname(dirname(npm))
  await importImage(dockerd.socketPath, 'node-files:1', [realpathSync(process.execPath), home, ...tools])
  const bin = join(home, 'bin')
  build(name, [
    'FROM node-files:1',
    'ENV HOME=/root',
    'RUN mkdir -p /root /tmp /etc /usr/local/bin && ln -s /bin/env /usr/bin/env || true',
    `RUN ln -s ${bin}/npm-cli.js /usr/local/bin/npm && ln -s ${bin}/npx-cli.js /usr/local/bin/npx`,
    ...addUser,
  ])
}

function build(name: string, lines: readonly string[]): void {
  const args = ['--host', `unix://${dockerd.socketPath}`, 'build', '--tag', name, '-']
  const options = { input: lines.join('\n'), encoding: 'utf8', env: { ...process.env, DOCKER_BUILDKIT: '0' } } as const
  const { status, stderr, stdout } = spawnSync('docker', args, options)
  if (status !== 0) throw new Error(`${stdout}${stderr}`)
}

/** A server with one tool, of as little of the standard library as can be: all of it is compiled. */
const goServer = `package main

import (
	"bufio"
	"os"
	"strings"
)

func main() {
	answers := map[string]string{
		"initialize": \`{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"greeter","version":"1"}}\`,
		"tools/list": \`{"tools":[{"name":"greet","inputSchema":{"type":"object"}}]}\`,
		"tools/call": \`{"content":[{"type":"text","text":"hello from Go"}]}\`,
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		_, rest, isRequest := strings.Cut(lines.Text(), \`"id":\`)
		if !isRequest {
			continue
		}
		outcome := \`"error":{"code":-32601,"message":"not found"}\`
		for method, result := range answers {
			if strings.Contains(lines.Text(), \`"method":"\`+method+\`"\`) {
				outcome = \`"result":\` + result
			}
		}
		id := rest[:strings.IndexAny(rest, ",}")]
		os.Stdout.WriteString(\`{"jsonrpc":"2.0","id":\` + id + "," + outcome + "}\\n")
	}
}
`

function docker(...args: string[]): string {
  const { stdout, stderr, status } = spawnSync('docker', ['--host', `unix://${dockerd.socketPath}`, ...args], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stderr)
  return stdout.trim()
}
