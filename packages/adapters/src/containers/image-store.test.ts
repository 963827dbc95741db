import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ImageStore } from '@thv/core'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { importImage } from '../../../../test/fixtures/engines/base-image.ts'
import { dockerdMissing, startDockerd, type Dockerd } from '../../../../test/fixtures/engines/start-dockerd.ts'
import {
  pushImage,
  registryMissing,
  registryUser,
  startRegistry,
  type Registry,
} from '../../../../test/fixtures/engines/start-registry.ts'
import { EngineClient } from './engine-client.ts'
import { createImageStore } from './image-store.ts'

const never = new AbortController().signal
const missing = dockerdMissing() ?? registryMissing()

describe('images', { timeout: 120_000 }, () => {
  let dockerd: Dockerd
  let registry: Registry
  let guarded: Registry
  let engine: EngineClient
  let home: string
  let digest: string
  let said: string[]
  let now: Date

  beforeAll(async () => {
    if (missing !== undefined) return
    home = await realpath(await mkdtemp(join(tmpdir(), 'thv-home-')))
    dockerd = await startDockerd()
    engine = new EngineClient(dockerd.socketPath)
    registry = await startRegistry({ withPassword: false })
    guarded = await startRegistry({ withPassword: true })
    await importImage(dockerd.socketPath, 'small:1', ['/bin/sh', '/bin/true'])
    for (const name of names()) docker('tag', 'small:1', name)
    for (const name of names()) digest = await pushImage(dockerd.socketPath, name)
  }, 120_000)
  afterAll(async () => {
    if (missing !== undefined) return
    await Promise.all([dockerd.stop(), registry.stop(), guarded.stop()])
    await rm(home, { recursive: true, force: true })
  }, 60_000)
  beforeEach((context) => {
    if (missing !== undefined) context.skip(missing)
    said = []
    now = new Date()
    for (const name of names()) docker('rmi', '--force', name)
    docker('rmi', '--force', 'small:1')
  })

  function names(): string[] {
    return [`${registry.host}/team/server:1`, `${registry.host}/team/server:latest`, `${guarded.host}/private:1`]
  }

  function store(): ImageStore {
    return createImageStore({
      findSocket: async () => dockerd.socketPath,
      now: () => now,
      environment: { PATH: process.env['PATH'], DOCKER_CONFIG: home },
      home,
    })
  }

  async function pull(name: string): Promise<void> {
    await store().pull(name, (line) => void said.push(line), never)
  }

  function docker(...args: string[]): void {
    spawnSync('docker', ['-H', `unix://${dockerd.socketPath}`, ...args])
  }

  describe('a pull', () => {
    it('tells its progress and its success', async () => {
      const name = `${registry.host}/team/server:1`
      await pull(name)
      expect(said).toContainEqual(expect.stringMatching(/^[0-9a-f]{12}: Pull complete$/))
      expect(said.at(-1)).toBe(`Successfully pulled ${name}`)
      expect(await engine.findImage(name, never)).toBeDefined()
    })

    it('by digest gets exactly that', async () => {
      await pull(`${registry.host}/team/server@${digest}`)
      expect(said.at(-1)).toContain(digest)
      await expect(pull(`${registry.host}/team/server@sha256:${'0'.repeat(64)}`)).rejects.toMatchObject({
        code: 'image-not-found',
      })
    })

    it('of what is there asks nobody, unless the tag moves', async () => {
      await pull(`${registry.host}/team/server:1`)
      said = []
      await pull(`${registry.host}/team/server:1`)
      expect(said).toEqual([])
      await pull(`${registry.host}/team/server`)
      await pull(`${registry.host}/team/server`)
      expect(said.filter((line) => line.startsWith('Successfully pulled'))).toHaveLength(2)
    })

    it('takes the copy on this machine when the registry of a moving tag is away', async () => {
      const name = '127.0.0.1:9/gone:latest'
      await importImage(dockerd.socketPath, 'small:1', ['/bin/true'])
      docker('tag', 'small:1', name)
      await pull(name)
      expect(said).toEqual([expect.stringContaining('the copy on this machine is used')])
      docker('rmi', '--force', name)
      await expect(pull(name)).rejects.toMatchObject({ code: 'engine-failed' })
    })

    it('of what is nowhere is not found, in the words that tools look for', async () => {
      for (const name of [`${registry.host}/team/server:2`, `${registry.host}/nothing:1`]) {
        await expect(pull(name)).rejects.toMatchObject({
          code: 'image-not-found',
          message: `image not found in registry, please check the image name or tag: ${name}`,
        })
      }
    })

    it('of what was built here and removed asks no registry', async () => {
      await expect(pull('toolhivelocal/npx-x:1')).rejects.toMatchObject({
        code: 'image-not-found',
        message: expect.stringContaining('which was built here'),
      })
    })

    it('without a password is denied, and works with the one in the config of Docker', async () => {
      const name = `${guarded.host}/private:1`
      await expect(pull(name)).rejects.toMatchObject({ code: 'image-denied' })
      const auth = Buffer.from(`${registryUser.username}:${registryUser.password}`).toString('base64')
      await writeFile(join(home, 'config.json'), JSON.stringify({ auths: { [guarded.host]: { auth } } }))
      await pull(name)
      expect(said.at(-1)).toBe(`Successfully pulled ${name}`)
    })

    it('that is given up rejects with the reason', async () => {
      await expect(
        store().pull(`${registry.host}/team/server:1`, () => {}, AbortSignal.abort(new Error('given up'))),
      ).rejects.toThrow('given up')
    })
  })

  describe('a build', () => {
    const wanted = { kind: 'npx' as const, name: '@scope/server', version: '1.2.3', builderImage: 'builder:1' }

    /** A base image whose npm is a script: it installs a package that answers with its arguments. */
    async function importBuilder(npm: string): Promise<void> {
      const tools = ['/bin/sh', '/bin/mkdir', '/bin/cat', '/bin/chmod']
      await importImage(dockerd.socketPath, 'tools:1', tools)
      const lines = [
        'FROM tools:1',
        `RUN mkdir -p /usr/local/bin /etc && printf '%s\\n' '#!/bin/sh' '${npm}' > /usr/local/bin/npm`,
        `RUN printf '%s\\n' '#!/bin/sh' 'echo "$0 $*"' > /usr/local/bin/npx`,
        `RUN printf '%s\\n' '#!/bin/sh' 'echo appuser:x:1000:1000::/:/bin/sh >> /etc/passwd; echo appuser:x:1000: >> /etc/group' > /usr/local/bin/adduser`,
        'RUN chmod 755 /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/adduser',
      ]
      const { status, stderr } = spawnSync(
        'docker',
        ['-H', `unix://${dockerd.socketPath}`, 'build', '-t', 'builder:1', '-'],
        {
          input: lines.join('\n'),
          encoding: 'utf8',
          env: { ...process.env, DOCKER_BUILDKIT: '0' },
        },
      )
      if (status !== 0) throw new Error(stderr)
    }

    async function build(more: Record<string, unknown> = {}): Promise<string> {
      return await store().build({ ...wanted, ...more }, (line) => void said.push(line), never)
    }

    /** Images without a name: the steps of a build. */
    async function unnamed(): Promise<string[]> {
      return await engine.listUnnamedImages(never)
    }

    it('makes an image that runs as nobody in particular, and is taken again while nothing changed', async () => {
      await importBuilder('mkdir -p node_modules; echo "$*" > node_modules/installed')
      const name = await build()
      expect(name).toMatch(/^toolhivelocal\/npx-scope-server:\d{14}-[0-9a-f]{8}$/)
      expect(said).toContainEqual(expect.stringMatching(/^Successfully built [0-9a-f]+$/))
      const run = (...args: string[]): string =>
        spawnSync('docker', ['-H', `unix://${dockerd.socketPath}`, 'run', '--rm', ...args], { encoding: 'utf8' }).stdout
      expect(run(name, 'and', 'more')).toBe('/usr/local/bin/npx @scope/server and more\n')
      expect(run('--entrypoint', 'cat', name, 'node_modules/installed')).toContain('@scope/server@1.2.3')
      expect(await unnamed()).toEqual([])
      said = []
      expect(await build()).toBe(name)
      expect(said).toEqual([expect.stringContaining('built from the same')])
      const other = await build({ args: ['--flag'] })
      expect(other).not.toBe(name)
      expect(run(other)).toBe('/usr/local/bin/npx @scope/server --flag\n')
    })

    it('is not taken for one by its label: an image made out of it carries that too', async () => {
      await importBuilder('mkdir -p node_modules; echo "$*" > node_modules/installed')
      const name = await build({ version: '3.0.0' })
      const host = `unix://${dockerd.socketPath}`
      const made = spawnSync('docker', ['-H', host, 'build', '-t', 'impostor:1', '-'], {
        input: `FROM ${name}\nENTRYPOINT ["evil"]`,
        env: { ...process.env, DOCKER_BUILDKIT: '0' },
      })
      expect(made.status).toBe(0)
      docker('rmi', name)
      expect(await build({ version: '3.0.0' })).toMatch(/^toolhivelocal/)
    })

    it.each([undefined, 'latest', '^1'])(
      'of the version %s is made anew after a day, out of nothing that was kept',
      async (version) => {
        await importBuilder(
          'mkdir -p node_modules; read id < /proc/sys/kernel/random/uuid; echo $id > node_modules/installed',
        )
        const first = await build({ version })
        expect(await build({ version })).toBe(first)
        now = new Date(Date.now() + 2 * 24 * 60 * 60 * 1000)
        const second = await build({ version })
        const idOf = async (name: string): Promise<unknown> => (await engine.findImage(name, never))?.id
        expect(second).not.toBe(first)
        expect(await idOf(second)).not.toBe(await idOf(first))
      },
    )

    it('that fails says what the failing command said, and leaves no container', async () => {
      await importBuilder('echo "no space left on device"; exit 28')
      const before = await unnamed()
      await expect(build({ version: '2.0.0' })).rejects.toMatchObject({
        code: 'image-build-failed',
        message: expect.stringContaining('returned a non-zero code: 28'),
        detail: expect.arrayContaining(['no space left on device']),
      })
      expect(await engine.listContainers({}, never)).toEqual([])
      expect(await unnamed()).toEqual(before)
    })

    it('uses variables that neither its output nor its image shows', async () => {
      await importBuilder('mkdir -p node_modules; echo "got $REGISTRY_TOKEN"> node_modules/installed')
      const name = await build({ version: '3.0.0', buildEnvironment: { REGISTRY_TOKEN: 'hush' } })
      const { stdout } = spawnSync('docker', ['-H', `unix://${dockerd.socketPath}`, 'history', '--no-trunc', name])
      expect(`${String(stdout)}${said.join()}`).not.toContain('hush')
      expect(await build({ version: '3.0.0', buildEnvironment: { REGISTRY_TOKEN: 'other' } })).not.toBe(name)
    })

    it('of a Go program takes its source from here, and another image once that changed', async () => {
      await importBuilder('')
      const before = await unnamed()
      const place = await mkdtemp(join(tmpdir(), 'thv-module-'))
      try {
        await mkdir(join(place, 'cmd/server'), { recursive: true })
        await writeFile(join(place, 'go.mod'), 'module example.com/server')
        await writeFile(join(place, 'cmd/server/main.go'), 'package main')
        const local = { kind: 'go' as const, name: 'server', localPath: join(place, 'cmd/server') }
        const failed: unknown = await store()
          .build({ ...local, builderImage: 'builder:1' }, (line) => void said.push(line), never)
          .catch((error: unknown) => error)
        // The base image of this test has no compiler: how far it got is what counts.
        expect(failed).toMatchObject({ detail: expect.arrayContaining([expect.stringContaining('go: not found')]) })
        expect(said.join('\n')).toContain("go build -o /app/mcp-server './cmd/server'")
        expect(await unnamed()).toEqual(before)
      } finally {
        await rm(place, { recursive: true })
      }
    })

    it('on a base image that is nowhere fails with its name', async () => {
      const builderImage = `${registry.host}/no-such-base:1`
      await expect(build({ builderImage })).rejects.toMatchObject({
        code: 'image-build-failed',
        message: expect.stringContaining('no-such-base'),
      })
    })
  })
})
