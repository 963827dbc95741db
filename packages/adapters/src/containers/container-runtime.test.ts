import { randomUUID } from 'node:crypto'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { createRequire } from 'node:module'
import type { Deployment, DeploySpec } from '@thv/core'
import { testWorkloadRuntime } from '@thv/core/contracts'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { importNodeImage } from '../../../../test/fixtures/engines/base-image.ts'
import { dockerdMissing, startDockerd, type Dockerd } from '../../../../test/fixtures/engines/start-dockerd.ts'
import { createContainerRuntime } from './container-runtime.ts'
import { createContainerTable } from './container-table.ts'
import { EngineClient } from './engine-client.ts'
import { removeContainer } from './remove-container.ts'

const never = new AbortController().signal
const image = 'thv-test-node:1'
const targetPort = 8080
const missing = dockerdMissing()
const echo = 'process.stdin.pipe(process.stdout)'
const web = `import { createServer } from 'node:http'
createServer((_, answer) => answer.end('hello')).listen(${targetPort}, () => console.log('up'))`

/** For what an engine does in its own time, which is long on a busy machine. */
const patience = { timeout: 60_000 }

describe('Docker', { timeout: 240_000 }, () => {
  let dockerd: Dockerd
  let engine: EngineClient
  let instance: string
  let deployed: Deployment[]

  beforeAll(async () => {
    if (missing !== undefined) return
    dockerd = await startDockerd()
    await importNodeImage(dockerd.socketPath, image)
    engine = new EngineClient(dockerd.socketPath)
  }, 240_000)
  afterAll(async () => await dockerd?.stop(), 60_000)

  beforeEach((context) => {
    if (missing !== undefined) context.skip(missing)
    instance = randomUUID()
    deployed = []
  })
  afterEach(async () => {
    await Promise.all(deployed.map(async (deployment) => await deployment.stop(0)))
  })

  function nodeSpec(program: string, ...args: string[]) {
    return {
      command: ['node', '--input-type=module', '-e', program, ...args],
      image: { reference: image, labels: {}, targetPort },
      workingDirectory: '',
      environment: {},
    }
  }

  async function deploy(program: string, more: Partial<DeploySpec> = {}): Promise<Deployment> {
    const runtime = createContainerRuntime({ socketPath: dockerd.socketPath, instance })
    const spec = { name: 'server', transport: 'stdio' as const, onOutput() {}, ...nodeSpec(program), ...more }
    const deployment = await runtime.deploy(spec, never)
    deployed.push(deployment)
    return deployment
  }

  async function mine(): Promise<string[]> {
    const found = await engine.listContainers({ 'thv-instance': instance }, never)
    return found.map(({ name }) => name)
  }

  function docker(...args: string[]): string {
    const { stdout, stderr, status } = spawnSync('docker', ['-H', `unix://${dockerd.socketPath}`, ...args], {
      encoding: 'utf8',
    })
    if (status !== 0) throw new Error(stderr)
    return stdout.trim()
  }

  function idOf(deployment: Deployment): string {
    return 'container' in deployment.server ? deployment.server.container : ''
  }

  /** Resolves to the id of the container that a killed supervisor has left. */
  async function killSupervisor(program: string, transport: 'stdio' | 'sse'): Promise<string> {
    const { command } = nodeSpec(program)
    const order = { socketPath: dockerd.socketPath, instance, image, command, transport, targetPort }
    const tsx = createRequire(import.meta.url).resolve('tsx')
    const fixture = fileURLToPath(new URL('fixtures/supervisor.ts', import.meta.url))
    const args = ['--conditions=@thv/source', '--import', tsx, fixture, JSON.stringify(order)]
    const supervisor = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const [line] = await once(createInterface({ input: supervisor.stdout }), 'line')
    supervisor.kill('SIGKILL')
    await once(supervisor, 'exit')
    const server: { container: string } = JSON.parse(String(line))
    return server.container
  }

  testWorkloadRuntime('a Docker container', async () => ({
    runtime: createContainerRuntime({ socketPath: dockerd.socketPath, instance }),
    node: (program, ...args) => ({
      ...nodeSpec(program.replace('{port}', String(targetPort)), ...args),
      port: targetPort,
    }),
    living: async () => (await mine()).length,
  }))

  describe('a container', () => {
    it('can do nothing beyond its image, and the engine never restarts it', async () => {
      const deployment = await deploy(echo)
      const [found] = JSON.parse(docker('inspect', idOf(deployment)))
      expect(found.HostConfig).toMatchObject({
        CapDrop: ['ALL'],
        SecurityOpt: expect.arrayContaining(['no-new-privileges', 'label:disable']),
        Privileged: false,
        PidsLimit: 512,
        RestartPolicy: { Name: 'no' },
        LogConfig: { Type: 'none' },
        PortBindings: {},
      })
      const program = `import { readFileSync } from 'node:fs'; console.log(readFileSync('/proc/self/status', 'utf8'))`
      const status = await outputOf(await deploy(program))
      expect(status).toMatch(/^CapEff:\s0+$/m)
      expect(status).toMatch(/^NoNewPrivs:\s1$/m)
    })

    it('has the name of its workload and the labels that find it', async () => {
      const labels = { 'toolhive-transport': 'stdio', team: 'a', toolhive: 'no' }
      const deployment = await deploy(echo, { image: { reference: image, labels } })
      expect(JSON.parse(docker('inspect', '--format', '{{json .Config.Labels}}', idOf(deployment)))).toEqual({
        team: 'a',
        toolhive: 'true',
        'toolhive-name': 'server',
        'toolhive-transport': 'stdio',
        'thv-instance': instance,
      })
      expect(await mine()).toEqual(['server'])
    })

    it('has a name also when that of its workload is none for a container', async () => {
      await deploy(echo, { name: 'x' })
      await deploy(echo, { name: '_y' })
      expect((await mine()).toSorted()).toEqual(['thv-_y', 'thv-x'])
    })

    it('that speaks HTTP is published on the loopback address only', async () => {
      const deployment = await deploy(web, { transport: 'streamable-http' })
      const ports = JSON.parse(docker('inspect', '--format', '{{json .NetworkSettings.Ports}}', idOf(deployment)))
      expect(ports).toEqual({
        [`${targetPort}/tcp`]: [{ HostIp: '127.0.0.1', HostPort: String(deployment.address?.port) }],
      })
    })

    it('is measured', async () => {
      const deployment = await deploy(`${echo}; console.log('up')`)
      await new Promise((resolve) => deployment.stdio?.output.once('data', resolve))
      const stats = await engine.containerStats(idOf(deployment), never)
      expect(stats.processes).toBeGreaterThan(0)
      expect(stats.cpuNs).toBeGreaterThan(0)
    })

    it('that uses more memory than it may is killed, and the exit says so', async () => {
      const eat = 'const all = []; for (;;) all.push(Buffer.alloc(8 << 20, 1))'
      const hungry = await deploy(`process.stdin.once('data', () => { ${eat} }); console.log('up')`, { name: 'hungry' })
      await once(hungry.stdio!.output, 'data')
      docker('update', '--memory', '64m', '--memory-swap', '64m', idOf(hungry))
      hungry.stdio!.input.write('eat\n')
      expect(await hungry.exited).toEqual({
        code: 137,
        signal: null,
        reason: 'the server was killed: it used more memory than it may',
      })
    })

    it('of an image that is not there is not started', async () => {
      const spec = { image: { reference: 'thv-no-such-image:1', labels: {} } }
      await expect(deploy(echo, spec)).rejects.toMatchObject({ code: 'image-not-found' })
      expect(await mine()).toEqual([])
    })

    it('removed by somebody else has ended', async () => {
      const deployment = await deploy(echo)
      docker('rm', '-f', idOf(deployment))
      expect((await deployment.exited).reason).toBe('the container was removed by somebody else')
    })

    it('whose supervisor was killed is found by its labels and removed', async () => {
      await killSupervisor(web, 'sse')
      expect(await mine()).toEqual(['doomed'])
      const findSocket = async (): Promise<string> => dockerd.socketPath
      expect(await createContainerTable({ findSocket, instance: 'another' }).reap('doomed', [], never)).toBe(0)
      const table = createContainerTable({ findSocket, instance })
      expect(await table.reap('somebody', [], never)).toBe(0)
      expect(await table.reap('doomed', [dockerd.socketPath], never)).toBe(1)
      expect(await mine()).toEqual([])
    })

    it('of a stdio server that obeys the protocol ends when its supervisor is killed', async () => {
      const id = await killSupervisor(`process.stdin.on('end', () => process.exit(0)).resume()`, 'stdio')
      const isRunning = async (): Promise<boolean> => (await engine.inspectContainer(id, never)).running
      await expect.poll(isRunning, patience).toBe(false)
      await removeContainer(engine, id, never)
    })
  })

  describe('networks', () => {
    it('are created, found by their labels and removed', async () => {
      const options = { name: `net-${instance}`, labels: { 'thv-instance': instance }, internal: true }
      const id = await engine.createNetwork(options, never)
      expect(await engine.listNetworks({ 'thv-instance': instance }, never)).toEqual([id])
      await engine.removeNetwork(id, never)
      await engine.removeNetwork(id, never)
      expect(await engine.listNetworks({ 'thv-instance': instance }, never)).toEqual([])
    })
  })

  describe('an engine that is killed', () => {
    it('ends a stdio server with a clear reason, and the next deploy works when it is back', async () => {
      const deployment = await deploy(echo)
      await dockerd.kill()
      expect(await deployment.exited).toEqual({ code: null, signal: null, reason: 'the container engine went away' })
      await expect(deploy(echo)).rejects.toMatchObject({ code: 'engine-unreachable' })
      await dockerd.start()
      const next = await deploy(echo)
      next.stdio?.input.end('again')
      expect(await outputOf(next)).toBe('again')
      await next.exited
      const findSocket = async (): Promise<string> => dockerd.socketPath
      await createContainerTable({ findSocket, instance }).reap('server', [], never)
      expect(await mine()).toEqual([])
    })

    it('is waited for while a server that speaks HTTP runs', async () => {
      const lines: string[] = []
      const deployment = await deploy(web, { transport: 'sse', onOutput: (line) => void lines.push(line) })
      await expect.poll(() => lines, patience).toContain('up')
      await dockerd.kill()
      await expect
        .poll(() => lines, patience)
        .toContain('thv: the container engine went away; the server may still run')
      await dockerd.start()
      // A daemon that was killed ends the containers it finds; with live restore they would go on.
      const exit = await deployment.exited
      expect(exit.code ?? exit.reason).toBeDefined()
      expect(await mine()).toEqual([])
    })
  })
})

it('a server that speaks HTTP outlives an engine that takes its containers up again', async (context) => {
  if (missing !== undefined) context.skip(missing)
  const dockerd = await startDockerd({ withLiveRestore: true })
  try {
    await importNodeImage(dockerd.socketPath, image)
    const lines: string[] = []
    const program = `import { createServer } from 'node:http'
      let count = 0
      createServer((_, answer) => { console.log('call ' + ++count); answer.end(String(count)) }).listen(${targetPort})`
    const deployment = await createContainerRuntime({ socketPath: dockerd.socketPath, instance: 'i' }).deploy(
      {
        name: 'server',
        transport: 'sse',
        command: ['node', '--input-type=module', '-e', program],
        image: { reference: image, labels: {}, targetPort },
        workingDirectory: '',
        environment: {},
        onOutput: (line) => void lines.push(line),
      },
      never,
    )
    const call = async (): Promise<string> => {
      const url = `http://127.0.0.1:${deployment.address?.port}`
      // The forwarder of a killed engine may take the call and never answer it.
      const headers = { connection: 'close' }
      const answer = await fetch(url, { headers, signal: AbortSignal.timeout(10_000) }).catch(() => undefined)
      return (await answer?.text().catch(() => '')) ?? ''
    }
    await expect.poll(call, patience).toMatch(/^[12]$/)
    await dockerd.kill()
    await expect.poll(() => lines, patience).toContain('thv: the container engine went away; the server may still run')
    await dockerd.start()
    await expect.poll(() => lines, patience).toContain('thv: the container engine is back')
    // The same process as before, with its memory, and its log goes on.
    await expect.poll(async () => Number(await call()), patience).toBeGreaterThan(1)
    const last = await call()
    await expect.poll(() => lines, patience).toContain(`call ${last}`)
    await deployment.stop(2_000)
    await deployment.exited
    expect(await new EngineClient(dockerd.socketPath).listContainers({}, never)).toEqual([])
  } finally {
    await dockerd.stop()
  }
}, 360_000)

async function outputOf(deployment: Deployment): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of deployment.stdio?.output ?? []) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
