import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Confinement, DeploySpec } from '@thv/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fixtureCommand } from './fixtures/commands.ts'
import { createProcessList } from './process-list.ts'
import { createProcessRuntime } from './process-runtime.ts'
import type { SandboxSupport } from './sandbox-probe.ts'
import type { ProcessDeployment } from './server-deployment.ts'

const hasBubblewrap = spawnSync('/usr/bin/bwrap', ['--version']).status === 0
const nothing: SandboxSupport = { works: false, reason: 'it is a test', hint: 'do nothing' }
const never = new AbortController().signal

let directory: string
let script: string
let warnings: string[]
let deployed: ProcessDeployment[]

beforeEach(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'thv-confine-')))
  script = join(directory, 'project/program.mjs')
  await mkdir(join(directory, 'project'))
  warnings = []
  deployed = []
})

afterEach(async () => {
  await Promise.all(deployed.map(async (deployment) => await deployment.stop(0)))
  await rm(directory, { recursive: true, force: true })
})

interface Order {
  program: string
  support?: SandboxSupport
  wish?: Confinement['wish']
  command?: DeploySpec['command']
  environment?: Record<string, string>
  workingDirectory?: string
  mounts?: Confinement['mounts']
}

async function deploy({
  program,
  support,
  wish = 'auto',
  command,
  environment = {},
  workingDirectory = directory,
  mounts = [],
}: Order): Promise<ProcessDeployment> {
  await writeFile(script, program)
  const runtime = createProcessRuntime({
    reaperCommand: fixtureCommand('reaper.ts'),
    confine: {
      home: directory,
      temporaryDirectory: directory,
      forwarder: { node: process.execPath, script: '' },
      openEgress: async () => await Promise.reject(new Error('no test asks for it')),
      openInbound: async () => await Promise.reject(new Error('no test asks for it')),
      warn: (message) => void warnings.push(message),
      ...(support === undefined ? {} : { probe: async () => support }),
    },
  })
  const deployment = await runtime.deploy(
    {
      name: 'server',
      command: command ?? [process.execPath, script],
      environment: { PATH: process.env['PATH'] ?? '', ...environment },
      workingDirectory,
      transport: 'stdio',
      onOutput() {},
      confinement: { wish, programPaths: 'discover', mounts, covered: [], network: { kind: 'none' } },
    },
    never,
  )
  deployed.push(deployment)
  return deployment
}

/** `/proc/self/status` of a server. */
async function statusOf(order: Partial<Order>): Promise<string> {
  const program = `import { readFileSync } from 'node:fs'
console.log(JSON.stringify(readFileSync('/proc/self/status', 'utf8')))
setInterval(() => {}, 1000)`
  return String(JSON.parse(await firstLine(await deploy({ program, ...order }))))
}

async function firstLine(deployment: ProcessDeployment): Promise<string> {
  for await (const line of createInterface({ input: deployment.stdio!.output })) return line
  return ''
}

const readSecret = `
import { readFileSync } from 'node:fs'
try { console.log(readFileSync(${JSON.stringify('SECRET')}, 'utf8')) } catch (error) { console.log(error.code) }
setInterval(() => {}, 1000)
`

describe('without a sandbox', () => {
  it('a server that must have one is refused, with the reason and what to do', async () => {
    const refused = deploy({ program: '', support: nothing, wish: 'required' })
    await expect(refused).rejects.toMatchObject({
      code: 'isolation-unavailable',
      message: 'the server must be isolated, and cannot be: it is a test',
      hint: expect.stringContaining('do nothing'),
    })
  })

  it("a Node server runs under Node's permission model, and says so", async () => {
    const secret = join(directory, 'secret')
    await writeFile(secret, 'private')
    const program = readSecret.replace('"SECRET"', JSON.stringify(secret))
    const deployment = await deploy({ program, support: nothing })
    expect(await firstLine(deployment)).toBe('ERR_ACCESS_DENIED')
    expect(deployment.isolation).toBe('node-permissions')
    expect(warnings).toEqual([expect.stringContaining("Node's permission model only: it is a test")])
  })

  it('any other server runs without isolation, and says so', async () => {
    const deployment = await deploy({ program: '', support: nothing, command: ['/bin/cat'] })
    expect(deployment.isolation).toBe('none')
    expect(warnings).toEqual([expect.stringContaining('without isolation: it is a test')])
  })

  it('who wants none gets none and no warning', async () => {
    const deployment = await deploy({ program: '', wish: 'none', command: ['/bin/cat'] })
    expect([deployment.isolation, warnings]).toEqual(['none', []])
  })
})

describe.skipIf(!hasBubblewrap)('in a sandbox (missing: bubblewrap)', () => {
  it('a server reads its own project and not what lies beside it', async () => {
    const secret = join(directory, 'secret')
    await writeFile(secret, 'private')
    const deployment = await deploy({ program: readSecret.replace('"SECRET"', JSON.stringify(secret)) })
    expect(await firstLine(deployment)).toBe('ENOENT')
    expect([deployment.isolation, warnings]).toEqual(['sandbox', []])
  })

  it('SIGTERM reaches the server, which may finish, and its exit code arrives', async () => {
    const program = `
process.on('SIGTERM', () => setTimeout(() => process.exit(7), 50))
process.stdin.on('end', () => {}).resume()
setInterval(() => {}, 1000)
console.log('up')`
    const deployment = await deploy({ program })
    expect(await firstLine(deployment)).toBe('up')
    await deployment.stop(10_000)
    expect(await deployment.exited).toEqual({ code: 7, signal: null })
  })

  it('a stop leaves no process and no file', async () => {
    const program = `
import { spawn } from 'node:child_process'
process.on('SIGTERM', () => {})
spawn('/bin/sleep', ['1000'], { detached: true, stdio: 'ignore' }).unref()
process.stdin.resume()
setInterval(() => {}, 1000)
console.log('up')`
    const deployment = await deploy({ program })
    await firstLine(deployment)
    await deployment.stop(500)
    await deployment.exited
    const { marker } = deployment.server
    const all = await createProcessList().all(`THV_WORKLOAD_MARKER=${marker}`)
    expect(all.filter((one) => one.marked && !one.dead)).toEqual([])
    const found = spawnSync('sh', ['-c', `ls -d ${directory}/thv-sandbox-*`], { encoding: 'utf8' })
    expect(found.stdout).toBe('')
  })

  it('the number of its processes is limited, for a user by the limits of the shell', async () => {
    const limits =
      'import { readFileSync } from "node:fs"; console.log(JSON.stringify(readFileSync("/proc/self/limits", "utf8")))'
    const text: string = JSON.parse(
      await firstLine(await deploy({ program: `${limits}; setInterval(() => {}, 1000)` })),
    )
    expect(text).toMatch(/^Max processes +512 +512/m)
    expect(text).toMatch(/^Max data size +4294967296 +4294967296/m)
    expect(text).toMatch(/^Max core file size +0 +0/m)
  })

  it('has none of the capabilities of whoever started it, and a filter of system calls', async () => {
    const text = await statusOf({})
    expect(text).toMatch(/^CapEff:\s+0000000000000000$/m)
    expect(text).toMatch(/^Seccomp:\s+2$/m)
  })

  it('starts where nothing may be shown, with an empty directory', async () => {
    expect(await statusOf({ workingDirectory: '/srv' })).toContain('Name:')
  })

  it('a mount that was replaced by a link is refused', async () => {
    await mkdir(join(directory, 'outside'))
    await symlink('outside', join(directory, 'data'))
    const mounts = [{ source: join(directory, 'data'), target: '/data', writable: true }]
    await expect(statusOf({ mounts })).rejects.toMatchObject({ code: 'mount-invalid' })
  })

  it('variables of the server that a loader or a shell obeys mean nothing outside of it', async () => {
    const environment = { LD_DEBUG: 'statistics', LD_DEBUG_OUTPUT: join(directory, 'trace'), PATH: directory }
    const program = 'console.log([process.env.LD_DEBUG_OUTPUT, process.env.PATH].join()); setInterval(() => {}, 1000)'
    expect(await firstLine(await deploy({ program, environment }))).toBe(`${directory}/trace,${directory}`)
    expect((await readdir(directory)).filter((name) => name.startsWith('trace'))).toEqual([])
  })
})
