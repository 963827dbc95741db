import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { checkWorld } from './fault-checks.ts'
import { whyNotServing } from './fault-client.ts'
import { describeProcesses, guardOf, killHard, livingProcess, livingProcesses } from './fault-processes.ts'
import {
  collect,
  eventually,
  fixture,
  openWorld,
  type CommandResult,
  type ListedWorkload,
  type World,
} from './harness.ts'

const promiseMs = 5_000

let world: World
let statusFile = ''
let configFile = ''
const foreigners: ChildProcess[] = []

beforeAll(async () => {
  world = await openWorld()
  statusFile = join(world.directory, 'data/toolhive/statuses/one.json')
  configFile = join(world.directory, 'state/toolhive/runconfigs/one.json')
})

afterEach(async () => {
  for (const foreigner of foreigners.splice(0)) foreigner.kill('SIGKILL')
  await world.thv('rm', '--all')
  await rm(statusFile, { recursive: true, force: true })
  await eventually('nothing runs between two tests', 10_000, async () => {
    return (await world.processes()).length === 0 ? true : undefined
  }).catch(async (error: unknown) => {
    for (const pid of await world.processes()) killHard(pid)
    throw error
  })
})

afterAll(async () => {
  await world.close()
})

describe('the status file of a running workload', () => {
  const damages: Record<string, (whole: string) => Promise<void>> = {
    deleted: async () => await unlink(statusFile),
    torn: async (whole) => await writeFile(statusFile, whole.slice(0, whole.length / 2)),
    emptied: async () => await writeFile(statusFile, ''),
    'replaced by 10 MB': async () => await writeFile(statusFile, 'x'.repeat(10 * 1024 * 1024)),
  }
  it.each(Object.entries(damages))('when %s, is written again by the supervisor', async (_how, damage) => {
    const url = await runOne()
    const before = await world.status('one')
    await damage(await readFile(statusFile, 'utf8'))
    await becomesRunning()
    await eventually('the file is whole again', promiseMs, async () => {
      const now = await world.status('one').catch(() => undefined)
      const isWhole = now?.process_id === before.process_id && now.thv?.server?.marker === before.thv?.server?.marker
      return isWhole ? true : undefined
    })
    expect(await whyNotServing(url)).toBeUndefined()
    await world.ok('stop', 'one')
    expect(await listedOne()).toMatchObject({ status: 'stopped' })
    await nothingRuns()
  })

  const obstacles: Record<string, () => Promise<void>> = {
    'a symbolic link': async () => {
      const elsewhere = join(world.directory, 'elsewhere.json')
      await writeFile(elsewhere, await readFile(statusFile))
      await unlink(statusFile)
      await symlink(elsewhere, statusFile)
    },
    'a directory': async () => {
      await unlink(statusFile)
      await mkdir(statusFile)
    },
  }
  it.each(Object.entries(obstacles))(
    'when replaced by %s, is said to be, and is back when that goes',
    async (_how, put) => {
      const url = await runOne()
      await put()
      await delay(promiseMs)
      const seen = await world.thv('list', '--all')
      expect(seen.code).toBe(0)
      expect(`${seen.stdout}${seen.stderr}`).toMatch(/one(\.json)?\b.*(symbolic link|not a regular file|running)/)
      expect(await whyNotServing(url)).toBeUndefined()
      await rm(statusFile, { recursive: true })
      await becomesRunning()
      await world.ok('rm', 'one')
      await nothingRuns()
    },
  )
})

describe('the run config of a running workload', () => {
  it('when deleted, is missed by no list, and rm ends the workload', async () => {
    const url = await runOne()
    await unlink(configFile)
    await delay(2_500)
    expect(await listedOne()).toMatchObject({ status: 'running' })
    expect(await whyNotServing(url)).toBeUndefined()
    await world.ok('rm', 'one')
    expect(await world.list()).toEqual([])
    await nothingRuns()
  })
})

describe('a workload whose files are all gone', () => {
  it('ends within five seconds when status and run config were deleted', async () => {
    await runOne()
    await unlink(configFile)
    await unlink(statusFile)
    await nothingRuns()
    expect(await world.list()).toEqual([])
  })

  it('ends within five seconds when the state directories were deleted, and can be run again', async () => {
    await runOne()
    await rm(join(world.directory, 'state'), { recursive: true })
    await rm(join(world.directory, 'data'), { recursive: true, force: true, maxRetries: 5 })
    await nothingRuns()
    expect(await world.list()).toEqual([])
    await runOne()
    expect(await listedOne()).toMatchObject({ status: 'running' })
  })
})

describe('a lock whose holder is not there any more', () => {
  const holders: Record<string, () => Promise<{ pid: number; started: string }>> = {
    'was killed': async () => {
      const gone = spawn('/bin/sh', ['-c', 'exit 0'])
      await collect(gone)
      return { pid: gone.pid ?? 0, started: (await ownerOfOne()).started }
    },
    'had a pid that another process has now': async () => ({
      pid: foreign().pid ?? 0,
      started: (await ownerOfOne()).started,
    }),
  }
  it.each(Object.entries(holders))('delays nobody when it %s', async (_what, holder) => {
    await runOne()
    const usual = await timed('stop', 'one')
    await world.ok('start', 'one')
    const lock = statusFile.replace(/\.json$/, '.thv-lock')
    await writeFile(lock, `${JSON.stringify({ ...(await holder()), token: 'a'.repeat(32) })}\n`)
    const stopped = await timed('stop', 'one')
    expect(stopped).toMatchObject({ code: 0, stderr: '' })
    expect(stopped.tookMs).toBeLessThan(usual.tookMs + 1_000)
    expect(existsSync(lock)).toBe(false)
  })
})

describe('commands at the same time', () => {
  it('of two runs of one name one wins, and the other says that the name exists', async () => {
    const results = await Promise.all([world.thv(...runArguments()), world.thv(...runArguments())])
    expect(results.filter((one) => one.code === 0).length).toBe(1)
    expect(results.find((one) => one.code === 1)?.stderr).toContain('already exists')
    expect(supervisorsOfOne().length).toBe(1)
    expect(await whyNotServing((await listedOne())!.url)).toBeUndefined()
  })

  it('of ten starts all succeed, with one supervisor', async () => {
    await runOne()
    await world.ok('stop', 'one')
    const results = await Promise.all(Array.from({ length: 10 }, async () => await world.thv('start', 'one')))
    expect(results.filter((one) => one.code !== 0)).toEqual([])
    expect(supervisorsOfOne().length).toBe(1)
    expect(await whyNotServing((await listedOne())!.url)).toBeUndefined()
  })

  it('of start and stop the one that was last has its way, and nothing is left over', async () => {
    await runOne()
    for (let round = 0; round < 20; round += 1) {
      const both = [world.thv('stop', 'one'), delay(round * 10).then(async () => await world.thv('start', 'one'))]
      const results = await Promise.all(round % 2 === 0 ? both : both.toReversed())
      for (const result of results) expect(result.stderr).not.toMatch(/\[(internal|supervisor-failed|port-in-use)\]/)
      await becomesConsistent(round)
    }
    await world.ok('start', 'one')
    expect(await whyNotServing((await listedOne())!.url)).toBeUndefined()
  })
})

describe('a status that names a process of somebody else', () => {
  const records: Record<string, (pid: number, started: string) => object> = {
    'with the start time of another': (pid, started) => {
      const server = { pid, started, group: pid, marker: 'f'.repeat(32) }
      return { process_id: pid, thv: { owner: { pid, started }, server } }
    },
    'without any start time, as ToolHive writes it': (pid) => ({ process_id: pid }),
  }
  for (const status of ['running', 'starting', 'stopping']) {
    it.each(Object.entries(records))(`is not believed when it says ${status}, %s`, async (_what, record) => {
      const pid = foreign().pid ?? 0
      await runOne()
      const { started } = await ownerOfOne()
      await world.ok('stop', 'one')
      await writeStatus({ status, ...record(pid, started) })
      const found = await listedOne()
      expect(found).toMatchObject({ name: 'one' })
      expect(['running', 'starting', 'stopping']).not.toContain(found?.status)
      expect(found).not.toHaveProperty('supervisor_pid')
      await world.ok('stop', 'one')
      await world.ok('start', 'one')
      expect(await whyNotServing((await listedOne())!.url)).toBeUndefined()
      await world.ok('stop', 'one')
      await writeStatus({ status, ...record(pid, started) })
      await world.ok('rm', 'one')
      expect(livingProcess(pid)).toBeDefined()
    })
  }

  it('is not believed when that is the first process of the machine', async () => {
    await runOne()
    const { started } = await ownerOfOne()
    const ticks = livingProcess(1)?.started ?? '0'
    await world.ok('stop', 'one')
    const first = { pid: 1, started: started.replace(/\d+$/, ticks) }
    await writeStatus({ status: 'running', process_id: 1, thv: { owner: first, server: { ...first, group: 1 } } })
    expect((await listedOne())?.status).not.toBe('running')
    await world.ok('stop', 'one')
    expect(await listedOne()).toMatchObject({ status: 'stopped' })
    await world.ok('start', 'one')
    expect(await whyNotServing((await listedOne())!.url)).toBeUndefined()
  })
})

describe('a supervisor that is stopped by a signal', () => {
  it('is shown, and killed by stop when the time given is over', async () => {
    await runOne()
    const { process_id: supervisor, thv } = await world.status('one')
    const guard = guardOf(supervisor)?.pid ?? 0
    process.kill(supervisor, 'SIGSTOP')
    expect(await listedOne()).toMatchObject({ supervisor_pid: supervisor })
    const stopped = await timed('stop', 'one', '--timeout', '1')
    expect(stopped).toMatchObject({ code: 0 })
    // The time given, three seconds of grace for the supervisor, and the work itself.
    expect(stopped.tookMs).toBeLessThan(1_000 + 3_000 + 3_000)
    const left = () => [supervisor, guard, thv?.server?.pid ?? 0].filter((pid) => livingProcess(pid) !== undefined)
    expect(left()).not.toContain(thv?.server?.pid)
    await eventually('supervisor and guard are gone', promiseMs, async () => (left().length === 0 ? true : undefined))
    expect(await listedOne()).toMatchObject({ status: 'stopped' })
  })
})

describe('a command that was killed between its announcement and its deed', () => {
  // What the disk and the processes look like when SIGKILL hits in the millisecond after the status was written.
  it.each(['stopping', 'removing'])('and has left %s behind does not keep a start from working', async (status) => {
    await runOne()
    const whole = JSON.parse(await readFile(statusFile, 'utf8')) as { thv: object }
    const thv = { ...whole.thv, stop_deadline: new Date().toISOString() }
    await writeFile(statusFile, JSON.stringify({ ...whole, status, thv }))
    const started = await Promise.race([timed('start', 'one'), delay(15_000)])
    expect(started).toMatchObject({ code: 0 })
    expect(await whyNotServing((await listedOne())!.url)).toBeUndefined()
  })
})

describe('a run that is killed while its package is installed', () => {
  const args = ['run', '--name', 'one', 'npx://@modelcontextprotocol/server-sequential-thinking']
  let cache = ''
  let fresh: World

  beforeEach(async () => {
    cache = await mkdtemp(join(tmpdir(), 'thv-fault-cache-'))
    fresh = await openWorld({ cache })
  })

  afterEach(async () => {
    await fresh.close()
    await rm(cache, { recursive: true, force: true, maxRetries: 5 })
  })

  it('leaves nothing that looks installed, says why, and works when repeated', async () => {
    for (const afterMs of [0, 150, 600]) {
      await killInTheMiddle(afterMs)
      expect((await entries()).filter((name) => !name.includes('.tmp-'))).toEqual([])
      const [found] = await fresh.list()
      expect(found).toMatchObject({ name: 'one', status: 'error' })
      expect(found?.status_context).toContain('interrupted')
    }
    await fresh.ok(...args)
    expect(await fresh.ok('mcp', 'list', 'tools', '--server', 'one')).toContain('sequentialthinking')
  })

  it('leaves no npm running', async () => {
    await killInTheMiddle(0)
    await eventually('npm has ended too', promiseMs, async () => {
      return describeProcesses(fresh).length === 0 ? true : undefined
    }).catch((error: unknown) => {
      throw new Error(`left running: ${describeProcesses(fresh).join('; ')}`, { cause: error })
    })
  })

  async function killInTheMiddle(afterMs: number): Promise<void> {
    const before = await entries()
    const child = fresh.spawn(args)
    const ended = collect(child)
    await eventually('the install has begun', 60_000, async () => {
      return (await entries()).some((name) => !before.includes(name)) ? true : undefined
    })
    await delay(afterMs)
    child.kill('SIGKILL')
    await ended
  }

  async function entries(): Promise<string[]> {
    return await readdir(join(cache, 'toolhive/packages/npx')).catch(() => [])
  }
})

function runArguments(): string[] {
  return ['run', '--name', 'one', '--', ...fixture('stdio-server.mjs')]
}

async function runOne(): Promise<string> {
  await world.ok(...runArguments())
  return (await listedOne())?.url ?? ''
}

async function listedOne(): Promise<ListedWorkload | undefined> {
  return (await world.list()).find((one) => one.name === 'one')
}

async function ownerOfOne(): Promise<{ pid: number; started: string }> {
  const { thv } = JSON.parse(await readFile(statusFile, 'utf8')) as { thv: { owner: { pid: number; started: string } } }
  return thv.owner
}

/** A process that thv has nothing to do with. */
function foreign(): ChildProcess {
  const child = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' })
  foreigners.push(child)
  return child
}

async function writeStatus(record: object): Promise<void> {
  const stamp = new Date().toISOString()
  await writeFile(statusFile, JSON.stringify({ created_at: stamp, updated_at: stamp, ...record }))
}

function supervisorsOfOne(): number[] {
  return [...livingProcesses().values()]
    .filter((one) => one.command.includes(' start one --foreground') && one.environment.includes(world.directory))
    .map((one) => one.pid)
}

/** Every list works, and within five seconds one shows the workload as running. */
async function becomesRunning(): Promise<void> {
  await eventually('it is shown as running again', promiseMs, async () => {
    return (await listedOne())?.status === 'running' ? true : undefined
  })
}

async function becomesConsistent(round: number): Promise<void> {
  let findings: unknown[] = []
  await eventually(`consistent after round ${round}`, promiseMs, async () => {
    const { never, notYet } = await checkWorld(world, { guards: [], mayLeaveTree: [] })
    findings = [...never, ...notYet]
    return findings.length === 0 ? true : undefined
  }).catch((error: unknown) => {
    throw new Error(JSON.stringify(findings), { cause: error })
  })
  expect(['running', 'stopped', 'error']).toContain((await listedOne())?.status)
}

async function nothingRuns(): Promise<void> {
  await eventually('nothing runs', promiseMs, async () => ((await world.processes()).length === 0 ? true : undefined))
}

async function timed(...args: string[]): Promise<CommandResult & { tookMs: number }> {
  const begunMs = performance.now()
  const result = await world.thv(...args)
  return { ...result, tookMs: Math.round(performance.now() - begunMs) }
}
