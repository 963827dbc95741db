import { spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, readlink, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { limits, type DeploySpec, type ServerProcess } from '@thv/core'
import { testWorkloadRuntime } from '@thv/core/contracts'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fixtureCommand, nodeCommand, stubbornTree } from './fixtures/commands.ts'
import { guardName } from './guard.ts'
import { createProcessList } from './process-list.ts'
import { createProcessRuntime } from './process-runtime.ts'
import { createProcessTable } from './process-table.ts'
import type { ProcessDeployment } from './server-deployment.ts'
import { createPortAllocator } from './tcp-ports.ts'

const posix = process.platform !== 'win32'
const linux = process.platform === 'linux'
const path = process.env['PATH'] ?? ''
const reaperCommand = fixtureCommand('reaper.ts')
const never = new AbortController().signal

let directory: string
let deployed: ProcessDeployment[]
let started: ChildProcess[]

beforeEach(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'thv-runtime-')))
  deployed = []
  started = []
})

afterEach(async () => {
  for (const child of started) child.kill('SIGKILL')
  await Promise.all(deployed.map(async (deployment) => await deployment.stop(0)))
  await rm(directory, { recursive: true, force: true })
})

async function deploy(command: DeploySpec['command'], more: Partial<DeploySpec> = {}): Promise<ProcessDeployment> {
  const deployment = await createProcessRuntime({ reaperCommand }).deploy(
    {
      name: 'server',
      command,
      environment: { PATH: path },
      workingDirectory: directory,
      transport: 'stdio',
      onOutput() {},
      ...more,
    },
    never,
  )
  deployed.push(deployment)
  return deployment
}

async function firstLine(stream: Readable | undefined): Promise<string> {
  if (stream === undefined) throw new Error('no stream')
  const lines = createInterface({ input: stream })
  for await (const line of lines) return line
  return ''
}

async function living(pids: number[]): Promise<number[]> {
  const list = createProcessList()
  const entries = await Promise.all(pids.map(async (pid) => await list.one(pid)))
  return entries.flatMap((entry) => (entry === undefined || entry.dead ? [] : [entry.pid]))
}

/** Waits until none of the pids is a living process, for at most five seconds; resolves to those that are. */
async function allGone(pids: number[]): Promise<number[]> {
  const deadline = performance.now() + 5_000
  for (;;) {
    const still = await living(pids)
    if (still.length === 0 || performance.now() > deadline) return still
    await delay(20)
  }
}

/** Pids of the guards that this very process has started. */
async function guards(parent = process.pid): Promise<number[]> {
  const list = createProcessList()
  const found = []
  for (const one of await list.all(undefined)) {
    if (one.parent !== parent || one.dead) continue
    if ((await list.commandLine(one.pid)).endsWith(` ${guardName}`)) found.push(one.pid)
  }
  return found
}

async function startSupervisor(program: string, reaper = reaperCommand) {
  const order = {
    reaperCommand: reaper,
    command: nodeCommand(program),
    environment: { PATH: path },
    workingDirectory: directory,
  }
  const [executable, ...args] = fixtureCommand('supervisor.ts')
  const supervisor = spawn(executable, [...args, JSON.stringify(order)], { stdio: ['ignore', 'pipe', 'inherit'] })
  started.push(supervisor)
  const lines = createInterface({ input: supervisor.stdout })[Symbol.asyncIterator]()
  const server: ServerProcess = JSON.parse(String((await lines.next()).value))
  const tree: number[] = JSON.parse(String((await lines.next()).value))
  return { supervisor, server, tree }
}

testWorkloadRuntime('the process runtime', async () => {
  const mark = `contract-${randomUUID()}`
  const port = await createPortAllocator().findFree('127.0.0.1')
  return {
    runtime: createProcessRuntime({ reaperCommand }),
    node: (program, ...args) => ({
      command: [...nodeCommand(`${program.replace('{port}', String(port))} // ${mark}`), ...args],
      workingDirectory: directory,
      environment: { PATH: path },
      port,
    }),
    living: async () => {
      const list = createProcessList()
      const others = (await list.all(undefined)).filter((one) => one.pid !== process.pid && !one.dead)
      const lines = await Promise.all(others.map(async (one) => await list.commandLine(one.pid)))
      return lines.filter((line) => line.includes(mark)).length
    },
  }
})

describe.runIf(posix)('the death of a supervisor', { timeout: 40_000 }, () => {
  it('by SIGKILL takes a deaf server, its grandchild and its grandchild of another session along within five seconds', async () => {
    const { supervisor, server, tree } = await startSupervisor(stubbornTree)
    expect(tree).toHaveLength(3)
    expect(tree[0]).toBe(server.pid)
    const watchers = await guards(supervisor.pid)
    expect(watchers).toHaveLength(1)
    supervisor.kill('SIGKILL')
    expect(await allGone([...tree, ...watchers])).toEqual([])
  })

  it('by a kill of everything called thv does not spare the server', async () => {
    const { supervisor, tree } = await startSupervisor(stubbornTree)
    const [guard = 0] = await guards(supervisor.pid)
    expect(await createProcessList().commandLine(guard)).not.toContain('thv')
    supervisor.kill('SIGKILL')
    expect(await allGone(tree)).toEqual([])
  })

  it.runIf(linux && existsSync('/usr/bin/setpriv'))(
    'and of its guard in the same instant ends a deaf server',
    async () => {
      const { supervisor, server } = await startSupervisor(stubbornTree)
      const [guard = 0] = await guards(supervisor.pid)
      process.kill(guard, 'SIGKILL')
      supervisor.kill('SIGKILL')
      expect(await allGone([server.pid])).toEqual([])
      await createProcessTable().reap(server, never)
    },
  )

  it('takes the tree along also when the reaper cannot be started', async () => {
    const { supervisor, tree } = await startSupervisor(stubbornTree, ['/does/not/exist'])
    supervisor.kill('SIGKILL')
    // Without a reaper, macOS knows the group only.
    expect(await allGone(linux ? tree : tree.slice(0, 2))).toEqual([])
    if (!linux) for (const pid of tree.slice(2)) process.kill(pid, 'SIGKILL')
  })

  it('takes the tree along also when the reaper hangs', async () => {
    const { supervisor, tree } = await startSupervisor(stubbornTree, nodeCommand('setInterval(() => {}, 1000)'))
    supervisor.kill('SIGKILL')
    expect(await allGone(linux ? tree : tree.slice(0, 2))).toEqual([])
    if (!linux) for (const pid of tree.slice(2)) process.kill(pid, 'SIGKILL')
  })

  it('takes a server along that has stopped its own group', async () => {
    const program = `console.log(JSON.stringify([process.pid])); setTimeout(() => process.kill(0, 'SIGSTOP'), 50)`
    const { supervisor, tree } = await startSupervisor(program)
    supervisor.kill('SIGKILL')
    expect(await allGone(tree)).toEqual([])
  })

  it.runIf(linux)(
    'at any moment of a start leaves no server behind',
    async () => {
      const mark = `moment-${process.pid}`
      const order = {
        reaperCommand,
        command: nodeCommand(`setInterval(() => {}, 1000); /* ${mark} */ process.on('SIGTERM', () => {})`),
        environment: { PATH: path },
        workingDirectory: directory,
      }
      const [executable, ...args] = fixtureCommand('supervisor.ts')
      for (let turn = 0; turn < 8; turn += 1) {
        const supervisor = spawn(executable, [...args, JSON.stringify(order)], { stdio: ['ignore', 'pipe', 'ignore'] })
        started.push(supervisor)
        // The first sign of life of the start, then a little later in every turn.
        for (let tries = 0; (await guards(supervisor.pid)).length === 0 && tries < 2_000; tries += 1) await delay(1)
        await delay(turn)
        supervisor.kill('SIGKILL')
        await once(supervisor, 'exit')
      }
      const list = createProcessList()
      const marked = []
      for (const one of await list.all(undefined)) {
        if (one.pid !== process.pid && (await list.commandLine(one.pid)).includes(mark)) marked.push(one.pid)
      }
      expect(await allGone(marked)).toEqual([])
    },
    120_000,
  )
})

describe('stopping a server', () => {
  it('that leaves at end of input ends it by end of input, and no guard stays', async () => {
    const deployment = await deploy(
      nodeCommand(`process.stdin.on('end', () => process.exit(7)).resume(); console.log('up')`),
    )
    expect(await firstLine(deployment.stdio?.output)).toBe('up')
    await deployment.stop(limits.stopMs)
    expect(await deployment.exited).toEqual({ code: 7, signal: null })
    expect(await allGone(await guards())).toEqual([])
  })

  it('that ignores end of input and SIGTERM ends its whole tree before the deadline', async () => {
    const deployment = await deploy(nodeCommand(stubbornTree))
    const tree: number[] = JSON.parse(await firstLine(deployment.stdio?.output))
    // Long enough that what is kept for the kill counts in seconds: a busy machine needs them.
    const givenMs = 6_000
    const begun = performance.now()
    await deployment.stop(givenMs)
    expect(performance.now() - begun).toBeLessThan((givenMs * 4) / 3)
    expect(await living(tree)).toEqual([])
    expect((await deployment.exited).signal).toBe('SIGKILL')
    expect(await allGone(await guards())).toEqual([])
  })

  it.runIf(posix)('that answers SIGTERM behind a shell lets it finish', async () => {
    const server = `process.on('SIGTERM', () => setTimeout(() => { console.log('finished'); process.exit() }, 150)); console.log('up'); setInterval(() => {}, 1000)`
    const lines: string[] = []
    const up = signalOnce()
    const deployment = await deploy(['/bin/sh', '-c', '"$@"; exit 3', 'sh', ...nodeCommand(server)], {
      transport: 'streamable-http',
      onOutput(line) {
        lines.push(line)
        up.resolve()
      },
    })
    await up.promise
    await deployment.stop(5_000)
    await deployment.exited
    expect(lines).toEqual(['up', 'finished'])
  })
})

describe('a server that ends by itself', () => {
  it('takes a grandchild along that holds its output open', async () => {
    const program = `
      import { spawn } from 'node:child_process'
      const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit', detached: true })
      console.log(child.pid)
      process.exit(4)`
    const deployment = await deploy(nodeCommand(program))
    const grandchild = Number(await firstLine(deployment.stdio?.output))
    const begun = performance.now()
    expect(await deployment.exited).toEqual({ code: 4, signal: null })
    expect(performance.now() - begun).toBeLessThan(2_000)
    expect(await living([grandchild])).toEqual([])
    expect(await allGone(await guards())).toEqual([])
  })
})

describe('a running server', () => {
  it('that closes its output is still running', async () => {
    const program = `import { closeSync } from 'node:fs'; console.error('closing'); closeSync(1); setInterval(() => {}, 1000); process.stdin.on('end', () => process.exit(0)).resume()`
    const deployment = await deploy(nodeCommand(program))
    const output = deployment.stdio!.output
    await once(output.resume(), 'end')
    expect(await createProcessTable().isAlive(deployment.server)).toBe(true)
    await deployment.stop(5_000)
    expect((await deployment.exited).code).toBe(0)
  })

  it('has exactly the environment it was given, and the marker', async () => {
    process.env['THV_TEST_SECRET_OF_OURS'] = 'leaked'
    try {
      const deployment = await deploy(nodeCommand('console.log(JSON.stringify(process.env))'), {
        environment: { A: 'one', B: 'with = and "quotes" $HOME `x`' },
      })
      const seen: Record<string, string> = JSON.parse(await firstLine(deployment.stdio?.output))
      // bash as /bin/sh and macOS' loader add one each by themselves.
      delete seen['_']
      delete seen['__CF_USER_TEXT_ENCODING']
      expect(seen).toEqual({
        A: 'one',
        B: 'with = and "quotes" $HOME `x`',
        THV_WORKLOAD_MARKER: deployment.server.marker,
      })
    } finally {
      delete process.env['THV_TEST_SECRET_OF_OURS']
    }
  })

  it.runIf(linux)('has no file descriptor but its three', async () => {
    // A first server, so that pipes of another one are there to be inherited.
    await deploy(nodeCommand('process.stdin.resume()'))
    const deployment = await deploy(['/bin/sleep', '60'])
    // The shell becomes `sleep` a moment after the deployment.
    const base = `/proc/${deployment.server.pid}`
    while (!(await readFile(`${base}/cmdline`, 'utf8')).startsWith('/bin/sleep')) await delay(5)
    const ours = await inheritableDescriptors()
    expect((await readdir(`${base}/fd`)).filter((fd) => Number(fd) < 10 || !ours.includes(fd)).sort()).toEqual([
      '0',
      '1',
      '2',
    ])
    const [guard] = await guards()
    const held = await Promise.all(
      (await readdir(`/proc/${guard}/fd`)).map(async (fd) => await readlink(`/proc/${guard}/fd/${fd}`)),
    )
    const servers = await Promise.all(['0', '1', '2'].map(async (fd) => await readlink(`${base}/fd/${fd}`)))
    expect(held.filter((target) => servers.includes(target))).toEqual([])
  })

  it('runs in its working directory with its arguments untouched', async () => {
    const [executable, ...args] = nodeCommand('console.log(JSON.stringify([process.cwd(), ...process.argv.slice(1)]))')
    const odd = ['a b', '$HOME', "'", '"', '*', '', '--', '\\', '-e']
    const deployment = await deploy([executable, ...args, '--', ...odd])
    expect(JSON.parse(await firstLine(deployment.stdio?.output))).toEqual([directory, ...odd])
  })

  it.runIf(posix)('ends when its guard is killed', async () => {
    const deployment = await deploy(nodeCommand(`process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)`))
    const [guard] = await guards()
    process.kill(guard!, 'SIGKILL')
    expect((await deployment.exited).signal).toBe('SIGKILL')
  })
})

describe('a server that cannot be started', () => {
  it('because the program is missing is a command that was not found', async () => {
    await expect(deploy(['/no/such/program'])).rejects.toMatchObject({ code: 'command-not-found' })
    await expect(deploy(['thv-no-such-program'])).rejects.toMatchObject({ code: 'command-not-found' })
    expect(await guards()).toEqual([])
  })

  it('because its directory is missing says so', async () => {
    await expect(deploy(nodeCommand(''), { workingDirectory: join(directory, 'gone') })).rejects.toMatchObject({
      code: 'server-exited',
      message: expect.stringContaining('gone'),
    })
  })

  it('because the caller has given up starts nothing', async () => {
    const gone = AbortSignal.abort(new Error('given up'))
    const runtime = createProcessRuntime({ reaperCommand })
    await expect(
      runtime.deploy(
        {
          name: 'x',
          command: nodeCommand(''),
          environment: {},
          workingDirectory: directory,
          transport: 'stdio',
          onOutput() {},
        },
        gone,
      ),
    ).rejects.toThrow('given up')
    expect(await guards()).toEqual([])
  })
})

function signalOnce(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {}
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}

/** Descriptors that whoever started the tests left open; a shell can close only those with one digit. */
async function inheritableDescriptors(): Promise<string[]> {
  const found = []
  for (const fd of await readdir('/proc/self/fdinfo')) {
    const info = await readFile(`/proc/self/fdinfo/${fd}`, 'utf8').catch(() => '')
    const flags = Number.parseInt(/^flags:\s*(\d+)/m.exec(info)?.[1] ?? '02000000', 8)
    if ((flags & 0o2000000) === 0) found.push(fd)
  }
  return found
}
