import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { limits } from '../limits.ts'
import type { Deployment, DeploySpec, WorkloadRuntime } from './workload-runtime.ts'

/** A runtime, and how a test runs a Node program in it. */
export interface RuntimeSetting {
  runtime: WorkloadRuntime
  /** The parts of a spec that run an ES module given as text; `{port}` in it becomes the server's port. */
  node: (
    program: string,
    ...args: string[]
  ) => Pick<DeploySpec, 'command' | 'image' | 'workingDirectory' | 'environment'> & { port: number }
  /** How many servers started here still live, as the machine or the engine says. */
  living: () => Promise<number>
}

const never = new AbortController().signal
const waitForInput = 'process.stdin.resume()'
const deaf = `process.on('SIGTERM', () => {}); process.stdin.on('end', () => {}).resume(); setInterval(() => {}, 1000)`
/** Deaf as well, and so is its child in a session of its own, whose output goes nowhere. */
const deafTree = `
import { spawn } from 'node:child_process'
${deaf}
const child = spawn(process.execPath, ['-e', ${JSON.stringify(`process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('up')`)}],
  { detached: true, stdio: ['ignore', 'pipe', 'ignore'] })
child.stdout.once('data', () => console.log('both up'))
`

/** Skips the present test, when the machine lacks what the runtime needs; the note says what. */
export type Skip = (note: string) => never

/** What every {@link WorkloadRuntime} does, whatever it runs servers in. */
export function testWorkloadRuntime(adapter: string, setUp: (skip: Skip) => Promise<RuntimeSetting>): void {
  describe(`${adapter} as a workload runtime`, { timeout: 60_000 }, () => {
    let setting: RuntimeSetting
    let deployed: Deployment[]

    beforeEach(async ({ skip }) => {
      deployed = []
      setting = await setUp(skip)
    })

    afterEach(async () => {
      await Promise.all(deployed.map(async (deployment) => await deployment.stop(0)))
    })

    async function deploy(program: string, more: Partial<DeploySpec> = {}, args: string[] = []): Promise<Deployment> {
      const { port: _port, ...parts } = setting.node(program, ...args)
      const environment = { ...parts.environment, ...more.environment }
      const spec = { name: 'contract', transport: 'stdio' as const, onOutput() {}, ...parts, ...more, environment }
      const deployment = await setting.runtime.deploy(spec, never)
      deployed.push(deployment)
      return deployment
    }

    test('a server gets its input and gives its output byte for byte', async () => {
      const deployment = await deploy('process.stdin.pipe(process.stdout)')
      const text = 'first\nzwölf Boxkämpfer\n\u0000\u0001\r\nlast without line end'
      deployment.stdio?.input.end(text)
      expect(await all(deployment.stdio?.output)).toBe(text)
      expect(await deployment.exited).toEqual({ code: 0, signal: null })
    })

    test('megabytes go in and out whole, also when they are read late', async () => {
      const deployment = await deploy('process.stdin.pipe(process.stdout)')
      const { input, output } = deployment.stdio!
      const line = `${'x'.repeat(1023)}\n`
      const written = (async () => {
        for (let count = 0; count < 4096; count += 1) if (!input.write(line)) await once(input, 'drain')
        input.end()
      })()
      // Long enough for every buffer on the way to fill.
      await new Promise((resolve) => setTimeout(resolve, 200))
      let bytes = 0
      output.on('data', (chunk: Buffer) => (bytes += chunk.length))
      await written
      await once(output, 'end')
      expect(bytes).toBe(4096 * 1024)
    })

    test('a server that floods is held back while nobody reads', async () => {
      const before = process.memoryUsage().arrayBuffers
      const program = `const junk = 'x'.repeat(65536); const more = () => { while (process.stdout.write(junk)); process.stdout.once('drain', more) }; more()`
      const { output } = (await deploy(program)).stdio!
      await expect.poll(() => output.readableLength, { timeout: 10_000 }).toBeGreaterThan(0)
      await new Promise((resolve) => setTimeout(resolve, 500))
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * 1024 * 1024)
    })

    test('its stderr goes to the log, not into the protocol, and the last lines are kept, cut and counted', async () => {
      const seen: string[] = []
      const program = `for (let i = 0; i < 30; i++) console.error('line ' + i); process.stderr.write('x'.repeat(9000)); console.log('out'); process.exitCode = 1`
      const deployment = await deploy(program, { onOutput: (line) => void seen.push(line) })
      expect(await all(deployment.stdio?.output)).toBe('out\n')
      expect((await deployment.exited).code).toBe(1)
      expect(seen).toHaveLength(31)
      expect(deployment.lastStderr()).toHaveLength(limits.stderrLines)
      expect(deployment.lastStderr().at(-2)).toBe('line 29')
      expect(deployment.lastStderr().at(-1)).toHaveLength(limits.stderrLineLength)
    })

    test('its exit is reported also when nobody reads its output', async () => {
      const deployment = await deploy(`process.stdout.write('x'.repeat(10)); process.exitCode = 3`)
      expect(await deployment.exited).toEqual({ code: 3, signal: null })
    })

    test('its exit does not harm whoever still writes to it', async () => {
      const deployment = await deploy('process.exit(0)')
      await deployment.exited
      const told = await new Promise<unknown>((resolve) => deployment.stdio?.input.write('late\n', resolve))
      expect(told).toBeInstanceOf(Error)
    })

    test('its variables and arguments arrive untouched, and none of ours', async () => {
      process.env['THV_TEST_SECRET_OF_OURS'] = 'leaked'
      try {
        const odd = ['a b', '$HOME', "'", '"', '*', '', '--', '\\', '-e', '{"a":1}']
        const value = 'with = and "quotes" $HOME `x` and\na line'
        const program = `console.log(JSON.stringify([process.argv.slice(1), process.env]))`
        const deployment = await deploy(program, { environment: { A: 'one', B: value } }, ['--', ...odd])
        const [args, seen] = JSON.parse(await firstLine(deployment.stdio?.output))
        expect(args).toEqual(odd)
        expect(seen).toMatchObject({ A: 'one', B: value })
        expect(seen).not.toHaveProperty('THV_TEST_SECRET_OF_OURS')
      } finally {
        delete process.env['THV_TEST_SECRET_OF_OURS']
      }
    })

    test('stopping asks by end of input first', async () => {
      const deployment = await deploy(`process.stdin.on('end', () => process.exit(7)).resume(); console.log('up')`)
      expect(await firstLine(deployment.stdio?.output)).toBe('up')
      await deployment.stop(10_000)
      expect((await deployment.exited).code).toBe(7)
      expect(await setting.living()).toBe(0)
    })

    test('stopping asks by SIGTERM next, and lets the server finish', async () => {
      const lines: string[] = []
      let goUp = (): void => {}
      const up = new Promise<void>((resolve) => {
        goUp = resolve
      })
      const program = `process.on('SIGTERM', () => setTimeout(() => { console.log('finished'); process.exit() }, 150)); console.log('up'); setInterval(() => {}, 1000)`
      const deployment = await deploy(program, {
        transport: 'streamable-http',
        onOutput(line) {
          lines.push(line)
          goUp()
        },
      })
      await up
      await deployment.stop(8_000)
      await deployment.exited
      expect(lines).toEqual(['up', 'finished'])
      expect(await setting.living()).toBe(0)
    })

    test('stopping a deaf tree ends it before the deadline', async () => {
      const deployment = await deploy(deafTree)
      expect(await firstLine(deployment.stdio?.output)).toBe('both up')
      const begun = performance.now()
      await deployment.stop(2_000)
      expect(performance.now() - begun).toBeLessThan(2_000 + 2_000)
      await deployment.exited
      expect(await setting.living()).toBe(0)
    })

    test('stopping twice at once is one stop, and again afterwards is none', async () => {
      const deployment = await deploy(waitForInput)
      await Promise.all([deployment.stop(5_000), deployment.stop(5_000)])
      await deployment.stop(5_000)
      await deployment.exited
      expect(await setting.living()).toBe(0)
    })

    test('what has ended leaves nothing behind', async () => {
      const deployment = await deploy('process.exit(4)')
      expect((await deployment.exited).code).toBe(4)
      await expect.poll(setting.living, { timeout: 5_000 }).toBe(0)
    })

    test('a server that speaks HTTP is reached where the deployment says, and all its output is log', async () => {
      const lines: string[] = []
      const program = `
        import { createServer } from 'node:http'
        console.error('starting')
        createServer((_, answer) => answer.end('hello')).listen({port}, () => console.log('up'))`
      const { port, ...parts } = setting.node(program)
      const address = { host: '127.0.0.1', port }
      const deployment = await setting.runtime.deploy(
        { name: 'contract', transport: 'sse', onOutput: (line) => void lines.push(line), ...parts },
        never,
      )
      deployed.push(deployment)
      await expect.poll(() => lines, { timeout: 20_000 }).toContain('up')
      expect(deployment.stdio).toBeUndefined()
      const { host, port: reached } = deployment.address ?? address
      expect(host).toBe('127.0.0.1')
      expect(await (await fetch(`http://${host}:${reached}/`)).text()).toBe('hello')
      expect(deployment.lastStderr()).toEqual(['starting'])
    })

    test('servers of one spec run beside each other', async () => {
      const both = await Promise.all([
        deploy('process.stdin.pipe(process.stdout)'),
        deploy('process.stdin.pipe(process.stdout)'),
      ])
      for (const [turn, { stdio }] of both.entries()) stdio?.input.write(`${turn}\n`)
      expect(await Promise.all(both.map(async ({ stdio }) => await firstLine(stdio?.output)))).toEqual(['0', '1'])
    })

    test('a program that is missing is said to be missing', async () => {
      const { port: _port, ...parts } = setting.node('')
      const spec = {
        ...parts,
        command: ['/no/such/program'],
        name: 'contract',
        transport: 'stdio' as const,
        onOutput() {},
      }
      await expect(setting.runtime.deploy(spec, never)).rejects.toMatchObject({ code: 'command-not-found' })
      expect(await setting.living()).toBe(0)
    })

    test('a caller who has given up starts nothing', async () => {
      const gone = AbortSignal.abort(new Error('given up'))
      const { port: _port, ...parts } = setting.node(waitForInput)
      const spec = { ...parts, name: 'contract', transport: 'stdio' as const, onOutput() {} }
      await expect(setting.runtime.deploy(spec, gone)).rejects.toThrow('given up')
      expect(await setting.living()).toBe(0)
    })
  })
}

async function all(stream: Readable | undefined): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream ?? []) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

async function firstLine(stream: Readable | undefined): Promise<string> {
  if (stream === undefined) throw new Error('no stream')
  for await (const line of createInterface({ input: stream })) return line
  return ''
}
