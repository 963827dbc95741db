import { randomUUID } from 'node:crypto'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import type { Confinement, Deployment, DeploySpec } from '@thv/core'
import { testWorkloadRuntime } from '@thv/core/contracts'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startScriptedEngine, type ScriptedEngine } from '../../../../test/fixtures/engines/scripted-engine.ts'
import { createContainerRuntime } from './container-runtime.ts'
import { EngineClient } from './engine-client.ts'
import { findEngine } from './runtimes.ts'
import { removeContainer } from './remove-container.ts'

const never = new AbortController().signal
const image = 'node'
const echo = 'process.stdin.pipe(process.stdout)'

let engine: ScriptedEngine
let instance: string
let port: number

beforeEach(async () => {
  engine = await startScriptedEngine([image])
  instance = randomUUID()
  port = await freePort()
})
afterEach(async () => await engine.stop())

function nodeSpec(program: string, ...args: string[]) {
  return {
    command: [process.execPath, '--input-type=module', '-e', program.replace('{port}', String(port)), ...args],
    image: { reference: image, labels: {}, targetPort: port },
    workingDirectory: '',
    environment: {},
    port,
  }
}

async function deploy(program: string, more: Partial<DeploySpec> = {}): Promise<Deployment> {
  const { port: _port, ...parts } = nodeSpec(program)
  const spec = { name: 'server', transport: 'stdio' as const, onOutput() {}, ...parts, ...more }
  return await createContainerRuntime({ socketPath: engine.socketPath, instance }).deploy(spec, never)
}

async function living(): Promise<number> {
  const found = await new EngineClient(engine.socketPath).listContainers({ 'thv-instance': instance }, never)
  return found.length
}

async function setting() {
  return { runtime: createContainerRuntime({ socketPath: engine.socketPath, instance }), node: nodeSpec, living }
}

testWorkloadRuntime('a scripted engine', setting)

testWorkloadRuntime('an engine that attaches late and cuts every frame in halves', async () => {
  const frame = (bytes: Buffer): Buffer[] => [bytes.subarray(0, 3), bytes.subarray(3, 9), bytes.subarray(9)]
  engine.script = { frame, attachDelayMs: 300 }
  return await setting()
})

it('the input of a server that has ended closes only when its last output was read', async () => {
  const deployment = await deploy(`console.log('last words')`)
  const { input, output } = deployment.stdio!
  const id = 'container' in deployment.server ? deployment.server.container : ''
  const isRunning = async (): Promise<boolean> =>
    (await new EngineClient(engine.socketPath).inspectContainer(id, never)).running
  await expect.poll(isRunning).toBe(false)
  await delay(200)
  expect(input.destroyed).toBe(false)
  expect(String(await once(output, 'data'))).toBe('last words\n')
  await deployment.exited
  expect(input.destroyed).toBe(true)
})

it('a server says what its container is: one that is privileged is kept from nothing', async () => {
  const confinement = {
    wish: 'auto',
    programPaths: 'discover',
    mounts: [],
    covered: [],
    network: { kind: 'open' },
  } as const
  const usual = await deploy(echo, { confinement })
  const privileged = await deploy(echo, { confinement: { ...confinement, privileged: true } })
  expect([usual.isolation, privileged.isolation]).toEqual(['container', 'none'])
  await Promise.all([usual.stop(0), privileged.stop(0)])
})

it('a filtered network that nothing can open is no start', async () => {
  const network = { kind: 'filtered' as const, outbound: { allow_host: ['a.example'] } }
  const confinement: Confinement = { wish: 'required', programPaths: 'discover', mounts: [], covered: [], network }
  await expect(deploy(echo, { confinement })).rejects.toMatchObject({ code: 'isolation-unavailable' })
  expect(await living()).toBe(0)
})

describe('an engine that misbehaves', { timeout: 30_000 }, () => {
  it('and cuts the stream of a stdio server while the server lives ends its output, and it can be stopped', async () => {
    const deployment = await deploy(`${echo}; console.log('up')`)
    await once(deployment.stdio!.output, 'data')
    engine.cutAttached()
    await once(deployment.stdio!.output.resume(), 'close')
    expect(await Promise.race([deployment.exited, delay(1_500, 'lives')])).toBe('lives')
    await deployment.stop(2_000)
    expect(await living()).toBe(0)
  })

  it('and breaks off while a stdio server ends has its exit asked for', async () => {
    const deployment = await deploy(`setTimeout(() => process.exit(5), 300); console.log('up')`)
    await once(deployment.stdio!.output, 'data')
    engine.script = {
      async fault(what) {
        if (/^GET .*json$/.test(what)) await delay(600)
        return false
      },
    }
    engine.cut()
    expect(await deployment.exited).toEqual({ code: 5, signal: null })
  })

  it.each(['stdio', 'sse'] as const)(
    'because somebody removes the container is said by a %s server',
    async (transport) => {
      const deployment = await deploy(`${echo}; setInterval(() => {}, 1000)`, { transport })
      const id = 'container' in deployment.server ? deployment.server.container : ''
      await removeContainer(new EngineClient(engine.socketPath), id, never)
      expect((await deployment.exited).reason).toBe('the container was removed by somebody else')
    },
  )

  it('and breaks everything off ends a stdio server with a reason', async () => {
    const deployment = await deploy(`${echo}; console.log('up')`)
    await once(deployment.stdio!.output, 'data')
    engine.cut()
    expect((await deployment.exited).reason).toBe('the container engine went away')
    expect(await living()).toBe(0)
  })

  it('and breaks everything off does not end a server that speaks HTTP', async () => {
    const lines: string[] = []
    const program = `setTimeout(() => { console.log('still here'); process.exit(5) }, 2500); console.log('up')`
    const deployment = await deploy(program, { transport: 'sse', onOutput: (line) => void lines.push(line) })
    await expect.poll(() => lines).toContain('up')
    engine.cut()
    expect(await deployment.exited).toEqual({ code: 5, signal: null })
    expect(lines).toContain('still here')
    expect(await living()).toBe(0)
  })

  it('and writes what is not in frames ends the output', async () => {
    engine.script = { frame: () => [Buffer.from('not a frame at all\n')] }
    const deployment = await deploy(`console.log('up'); ${echo}`)
    await once(deployment.stdio!.output.resume(), 'close')
    await deployment.stop(1_000)
    expect(await living()).toBe(0)
  })

  it.each([
    ['POST /containers/create', 'engine-failed', 'disk full'],
    ['POST /containers/ID/start', 'server-exited', 'disk full'],
    ['POST /containers/ID/wait', 'server-exited', 'disk full'],
  ])('and fails %s is an error with its words, and no container stays', async (what, code, words) => {
    engine.script = { fault: refusing(what) }
    await expect(deploy(echo)).rejects.toMatchObject({ code, message: expect.stringContaining(words) })
    engine.script = {}
    expect(await living()).toBe(0)
  })

  it('and may not bound processor time is asked again without, once and for all', async () => {
    const words = 'crun: the requested cgroup controller `cpu` is not available: OCI runtime error'
    const quotas: unknown[] = []
    engine.script = {
      fault(what, _request, answer) {
        if (!/^POST .containers.[0-9a-f]+.start$/.test(what)) return false
        quotas.push(engine.bodies.at(-1)?.HostConfig['CpuQuota'])
        if (quotas.length > 1) return false
        answer.writeHead(500, { 'Content-Type': 'application/json' }).end(JSON.stringify({ message: words }))
        return true
      },
    }
    const runtime = createContainerRuntime({ socketPath: engine.socketPath, instance })
    const { port: _port, ...parts } = nodeSpec(echo)
    const spec = { name: 'server', transport: 'stdio' as const, onOutput() {}, ...parts }
    for (let turn = 0; turn < 2; turn++) {
      const deployment = await runtime.deploy(spec, never)
      await deployment.stop(1_000)
    }
    expect(quotas).toEqual([200_000, undefined, undefined])
    expect(await living()).toBe(0)
  })

  it('and breaks a start off is unreachable; what it could not remove goes before the next deploy', async () => {
    const runtime = createContainerRuntime({ socketPath: engine.socketPath, instance })
    const { port: _port, ...parts } = nodeSpec(echo)
    const spec = { name: 'server', transport: 'stdio' as const, onOutput() {}, ...parts }
    engine.script = {
      fault(what, request) {
        if (/start$|^DELETE/.test(what)) request.socket.destroy()
        return /start$|^DELETE/.test(what)
      },
    }
    await expect(runtime.deploy(spec, never)).rejects.toMatchObject({ code: 'engine-unreachable' })
    engine.script = {}
    expect(await living()).toBe(1)
    const deployment = await runtime.deploy(spec, never)
    expect(await living()).toBe(1)
    await deployment.stop(1_000)
    expect(await living()).toBe(0)
  })

  it('and is removing it for somebody else is waited for', async () => {
    const deployment = await deploy(echo)
    const id = 'container' in deployment.server ? deployment.server.container : ''
    engine.script = { fault: refusing('DELETE /containers/ID', 409) }
    const client = new EngineClient(engine.socketPath)
    const removing = removeContainer(client, id, never).then(() => 'gone')
    expect(await Promise.race([removing, delay(300, 'waits')])).toBe('waits')
    engine.script = {}
    await removeContainer(client, id, never)
    expect(await removing).toBe('gone')
  })

  it('and says that it is removed, when it is not, is not believed', async () => {
    const deployment = await deploy(echo)
    engine.script = { fault: refusing('DELETE /containers/ID', 409) }
    await expect(deployment.stop(1_000)).rejects.toMatchObject({ code: 'engine-failed' })
    engine.script = {}
    await deployment.stop(1_000)
    expect(await living()).toBe(0)
  })

  it('and does not remove at once is told at the stop, and asked again', async () => {
    const deployment = await deploy(echo)
    engine.script = { fault: refusing('DELETE /containers/ID') }
    await expect(deployment.stop(1_000)).rejects.toMatchObject({ code: 'engine-failed' })
    engine.script = {}
    await deployment.stop(1_000)
    expect(await living()).toBe(0)
  })

  it('and never answers is given up when the caller gives up, and passed over in the search', async () => {
    engine.script = { fault: async () => await new Promise<boolean>(() => {}) }
    const client = new EngineClient(engine.socketPath)
    await expect(client.listContainers({}, AbortSignal.timeout(200))).rejects.toThrow('timeout')
    const environment = { TOOLHIVE_PODMAN_SOCKET: engine.socketPath, TOOLHIVE_DOCKER_SOCKET: '/no/such/socket' }
    const begun = performance.now()
    await expect(findEngine({ environment, home: '/nowhere' }, never)).rejects.toMatchObject({
      code: 'engine-unreachable',
      detail: [expect.stringContaining('does not answer'), expect.stringContaining('is not there')],
    })
    expect(performance.now() - begun).toBeLessThan(6_000)
  })

  it.each(['create', 'wait', 'start'])('and hangs in %s is given up when the caller gives up', async (step) => {
    const stuck = new Promise<boolean>(() => {})
    let arrived = (): void => {}
    const seen = new Promise<void>((resolve) => {
      arrived = resolve
    })
    engine.script = {
      fault(what) {
        if (!what.endsWith(`/${step}`)) return false
        arrived()
        return stuck
      },
    }
    const { port: _port, ...parts } = nodeSpec(echo)
    const spec = { name: 'server', transport: 'stdio' as const, onOutput() {}, ...parts }
    const controller = new AbortController()
    const runtime = createContainerRuntime({ socketPath: engine.socketPath, instance })
    const deploying = runtime.deploy(spec, controller.signal)
    await seen
    controller.abort(new Error('given up'))
    await expect(deploying).rejects.toThrow('given up')
    await expect.poll(living).toBe(0)
  })

  it('and is slow to create leaves no container when the caller gives up meanwhile', async () => {
    let begin = (): void => {}
    const begun = new Promise<void>((resolve) => {
      begin = resolve
    })
    let isRemoved = false
    engine.script = {
      async fault(what) {
        isRemoved ||= what.startsWith('DELETE ')
        if (what !== 'POST /containers/create') return false
        begin()
        await delay(300)
        return false
      },
    }
    const { port: _port, ...parts } = nodeSpec(echo)
    const spec = { name: 'server', transport: 'stdio' as const, onOutput() {}, ...parts }
    const controller = new AbortController()
    const deploying = createContainerRuntime({ socketPath: engine.socketPath, instance }).deploy(
      spec,
      controller.signal,
    )
    await begun
    controller.abort(new Error('given up'))
    await expect(deploying).rejects.toThrow('given up')
    // Not later: the process of whoever gives up may end at once.
    expect(isRemoved).toBe(true)
    expect(await living()).toBe(0)
  })

  it('and answers without end is cut short', async () => {
    engine.script = {
      fault(what, _request, answer) {
        if (what !== 'GET /containers/json') return false
        const chunk = Buffer.alloc(1024 * 1024, ' ')
        const more = (): void => {
          while (!answer.destroyed && answer.write(chunk));
        }
        answer.on('drain', more)
        more()
        return true
      },
    }
    const before = process.memoryUsage.rss()
    await expect(living()).rejects.toMatchObject({ code: 'engine-unreachable' })
    expect(process.memoryUsage.rss() - before).toBeLessThan(200 * 1024 * 1024)
  })

  it('because it is no engine is said', async () => {
    engine.script = {
      fault(_what, _request, answer) {
        answer.end('hello')
        return true
      },
    }
    await expect(new EngineClient(engine.socketPath).ping(never)).rejects.toMatchObject({ code: 'engine-unreachable' })
  })
})

/** Refuses one kind of request, with an id of any container in it. */
function refusing(wanted: string, status = 500): NonNullable<ScriptedEngine['script']['fault']> {
  const pattern = new RegExp(`^${wanted.replace('ID', '[0-9a-f]+')}$`)
  return (what, _request, answer) => {
    if (!pattern.test(what)) return false
    answer.writeHead(status, { 'Content-Type': 'application/json' }).end('{"message":"disk full"}')
    return true
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}
