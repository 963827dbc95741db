import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { callTool, echo, openSession, whyNotServing } from './fault-client.ts'
import { describeProcesses, guardOf, killHard, livingProcess, livingProcesses, peakMb } from './fault-processes.ts'
import { collect, eventually, fixture, openWorld, type CommandResult, type World } from './harness.ts'

const promiseMs = 5_000

let world: World
/** It takes as long as the limit for a start, so it runs beside all other tests. */
let silentWorld: World
let silentRun: Promise<CommandResult & { tookMs: number }>

beforeAll(async () => {
  world = await openWorld()
  silentWorld = await openWorld()
  silentRun = timed(silentWorld, runArguments('silent', '--silent'))
})

afterAll(async () => {
  await world.close()
  await silentWorld.close()
})

describe('a server that does not leave when asked', () => {
  it('is gone with its whole tree when the time given to stop is over', async () => {
    await run('stubborn', '--ignore-eof', '--ignore-term', '--family')
    const tree = await treeOf('stubborn')
    // In a sandbox there are its own processes as well.
    expect(tree.server.length).toBeGreaterThanOrEqual(3)
    const stopped = await timed(world, ['stop', 'stubborn', '--timeout', '2'])
    expect(stopped).toMatchObject({ code: 0 })
    expect(stopped.tookMs).toBeLessThan(2_000 + 3_000)
    expect(survivors(tree)).toEqual([])
    expect(await statusOf('stubborn')).toBe('stopped')
    await world.ok('rm', 'stubborn')
  })
})

describe('a server with children, one of them in a session of its own', () => {
  const flags = ['--ignore-eof', '--ignore-term', '--family']

  it('is gone with all of them after stop', async () => {
    await run('family', ...flags)
    const tree = await treeOf('family')
    await world.ok('stop', 'family', '--timeout', '1')
    expect(survivors(tree)).toEqual([])
  })

  it('is gone with all of them after rm', async () => {
    await world.ok('start', 'family')
    const tree = await treeOf('family')
    await world.ok('rm', 'family')
    expect(survivors(tree)).toEqual([])
    expect(await world.list()).toEqual([])
  })

  it('is gone with all of them after a SIGKILL of the supervisor', async () => {
    await run('family', ...flags)
    const tree = await treeOf('family')
    killHard(tree.supervisor)
    await nothingSurvives(tree)
    expect(await statusOf('family')).toBe('unhealthy')
  })

  it('leaves none of them behind when it exits by itself', async () => {
    await world.ok('start', 'family')
    const tree = await treeOf('family')
    const session = await openSession(await urlOf('family'))
    await callTool(session, { name: 'crash', arguments: {} })
    await eventually('the tree of the exited server is gone', promiseMs, async () =>
      survivors({ ...tree, supervisor: 0 }).length === 0 ? true : undefined,
    )
    await serves('family')
    await world.ok('rm', 'family')
  })

  it('leaves its stubborn children only when supervisor and guard die in one instant, and start ends those', async () => {
    await run('family', ...flags)
    const tree = await treeOf('family')
    expect([killHard(tree.supervisor), killHard(tree.guard)]).toEqual([true, true])
    await delay(1_000)
    // The kernel ends the server itself; what it started is found again by its marker.
    expect(livingProcess(tree.server[0]!)).toBeUndefined()
    expect(await statusOf('family')).toBe('unhealthy')
    await world.ok('start', 'family')
    expect(survivors(tree)).toEqual([])
    await world.ok('rm', 'family')
  })
})

describe('a server that floods its output', () => {
  it('neither fills the memory nor keeps other commands waiting', async () => {
    const child = world.spawn(runArguments('flood', '--flood'))
    const ended = collect(child)
    const supervisor = await supervisorOf('flood')
    let highestMb = 0
    let slowestMs = 0
    const until = performance.now() + 10_000
    while (performance.now() < until) {
      highestMb = Math.max(highestMb, peakMb(supervisor))
      const listed = await timed(world, ['list', '--all'])
      expect(listed.code).toBe(0)
      slowestMs = Math.max(slowestMs, listed.tookMs)
      await delay(250)
    }
    expect(highestMb).toBeLessThan(200)
    expect(slowestMs).toBeLessThan(promiseMs)
    await world.ok('rm', 'flood')
    expect((await ended).code).not.toBeNull()
    expect(describeProcesses(world)).toEqual([])
  })
})

describe('a server that prints lines that are no messages', () => {
  it('works', async () => {
    await run('noise', '--noise')
    const session = await openSession(await urlOf('noise'))
    for (const word of ['one', 'two', 'three']) expect(await echo(session, word)).toEqual({ text: word })
    await world.ok('rm', 'noise')
  })
})

describe('a server that dies at once', () => {
  it('fails the run with its exit code and its last words, which stay with the status', async () => {
    const result = await world.thv(...runArguments('dying', '--die=3'))
    expect(result.code).toBe(1)
    expect(result.stderr).toContain('cannot find the treasure map')
    expect(result.stderr).toContain('the server exited with code 3')
    expect(await listed('dying')).toMatchObject({ status: 'error', last_stderr: ['cannot find the treasure map'] })
    await nothingRuns()
    await world.ok('rm', 'dying')
  })
})

describe('a server that keeps crashing', () => {
  beforeAll(async () => {
    await world.thv(...runArguments('crashing', '--die-after=200'))
  })

  it('is restarted after waits that grow, and the status counts them', async () => {
    const delays = await eventually('three restarts', 30_000, async () => {
      const found = await restartDelays('crashing')
      return found.length >= 3 ? found : undefined
    })
    expect(delays.slice(0, 3)).toEqual(delays.slice(0, 3).toSorted((a, b) => a - b))
    expect(delays[2]).toBeGreaterThan(delays[0]! * 1.9)
    const { status, restarts, last_stderr: words } = await listed('crashing')
    expect(['starting', 'running']).toContain(status)
    expect(restarts).toBeGreaterThanOrEqual(3)
    expect(words).toEqual(['fixture server ready'])
  })

  it('is stopped at once while it waits for its next restart', async () => {
    await eventually('a wait before a restart', 30_000, async () => {
      return (await statusOf('crashing')) === 'starting' ? true : undefined
    })
    const stopped = await timed(world, ['stop', 'crashing'])
    expect(stopped).toMatchObject({ code: 0 })
    expect(stopped.tookMs).toBeLessThan(3_000)
    expect(await statusOf('crashing')).toBe('stopped')
    await nothingRuns()
    await world.ok('rm', 'crashing')
  })
})

describe('a server that is killed again and again while clients call', () => {
  it('comes back under the same sessions, each with its own answers', async () => {
    await run('killed')
    const url = await urlOf('killed')
    const sessions = await Promise.all(Array.from({ length: 5 }, async () => await openSession(url)))
    const stop = new AbortController()
    const wrong: unknown[] = []
    const callers = sessions.map(async (session, caller) => {
      for (let call = 0; !stop.signal.aborted; call += 1) {
        const word = `${caller} ${call}`
        const answer = await echo(session, word, 20_000)
        if ('text' in answer && answer.text !== word) wrong.push({ word, answer })
        // A session that is forgotten is answered with 404: a client would have to begin again.
        if ('refused' in answer && answer.refused.startsWith('404')) wrong.push({ word, answer })
        await delay(5)
      }
    })
    for (let kill = 0; kill < 3; kill += 1) {
      const { server } = await treeOf('killed')
      killHard(server[0]!)
      await eventually('another server', 20_000, async () => {
        const pid = (await world.status('killed')).thv?.server?.pid
        return pid !== server[0] && (await statusOf('killed')) === 'running' ? true : undefined
      })
    }
    stop.abort()
    await Promise.all(callers)
    expect(wrong).toEqual([])
    for (const [caller, session] of sessions.entries()) {
      expect(await echo(session, `after ${caller}`)).toEqual({ text: `after ${caller}` })
    }
    await world.ok('rm', 'killed')
  })

  it('is waited for by a start that comes in between', async () => {
    await run('between')
    const { server } = await treeOf('between')
    killHard(server[0]!)
    await eventually('the wait before the restart', promiseMs, async () => {
      return (await world.status('between')).status === 'starting' ? true : undefined
    })
    expect(await world.thv('start', 'between')).toMatchObject({ code: 0 })
    expect(await whyNotServing(await urlOf('between'))).toBeUndefined()
    await world.ok('rm', 'between')
  })
})

describe('a server that never answers', () => {
  it('fails the run within the limit for a start, and leaves nothing running', { timeout: 150_000 }, async () => {
    const result = await silentRun
    expect(result.code).toBe(1)
    expect(result.stderr).toContain('[server-start-timeout]')
    expect(result.tookMs).toBeLessThan(70_000)
    const [found] = await silentWorld.list()
    expect(found).toMatchObject({ name: 'silent', status: 'error', last_stderr: ['fixture server ready'] })
    await eventually('nothing runs', promiseMs, async () => {
      return (await silentWorld.processes()).length === 0 ? true : undefined
    })
  })
})

function runArguments(name: string, ...flags: string[]): string[] {
  return ['run', '--name', name, '--', ...fixture('stdio-server.mjs', ...flags)]
}

async function run(name: string, ...flags: string[]): Promise<void> {
  await world.ok(...runArguments(name, ...flags))
}

async function timed(where: World, args: readonly string[]): Promise<CommandResult & { tookMs: number }> {
  const begunMs = performance.now()
  const child = where.spawn(args)
  let tookMs = 0
  child.once('exit', () => {
    tookMs = Math.round(performance.now() - begunMs)
  })
  return { ...(await collect(child)), tookMs }
}

async function listed(name: string) {
  const found = (await world.list()).find((one) => one.name === name)
  if (found === undefined) throw new Error(`${name} is not listed`)
  return found
}

async function statusOf(name: string): Promise<string> {
  return (await listed(name)).status
}

async function urlOf(name: string): Promise<string> {
  return (await listed(name)).url
}

async function serves(name: string): Promise<void> {
  const url = await urlOf(name)
  await eventually(`${name} serves`, promiseMs, async () => {
    return (await whyNotServing(url)) === undefined ? true : undefined
  })
}

async function supervisorOf(name: string): Promise<number> {
  return await eventually(`${name} has a supervisor`, 20_000, async () => {
    const record = await world.status(name).catch(() => undefined)
    return record?.thv?.server === undefined ? undefined : record.process_id
  })
}

/** A running workload's processes: the server comes first, then everything that carries its marker. */
interface Tree {
  supervisor: number
  guard: number
  server: number[]
}

async function treeOf(name: string): Promise<Tree> {
  const { process_id: supervisor, thv } = await world.status(name)
  const living = [...livingProcesses().values()]
  const marked = living.filter((one) => one.marker !== undefined && one.marker === thv?.server?.marker)
  const leader = thv?.server?.pid ?? 0
  const others = marked.map((one) => one.pid).filter((pid) => pid !== leader)
  return { supervisor, guard: guardOf(supervisor)?.pid ?? 0, server: [leader, ...others] }
}

function survivors(tree: Tree): string[] {
  return [tree.supervisor, tree.guard, ...tree.server].flatMap((pid) => livingProcess(pid)?.command ?? [])
}

async function nothingSurvives(tree: Tree): Promise<void> {
  await eventually('the tree is gone', promiseMs, async () => (survivors(tree).length === 0 ? true : undefined))
}

async function nothingRuns(): Promise<void> {
  await eventually('nothing runs', promiseMs, async () => ((await world.processes()).length === 0 ? true : undefined))
}

/** The waits before restarts, as the supervisor logs them. */
async function restartDelays(name: string): Promise<number[]> {
  const log = await readFile(join(world.directory, 'data/toolhive/logs', `${name}.log`), 'utf8')
  return [...log.matchAll(/the server will be restarted.*?delayMs"?[:=]"?(\d+)/g)].map(([, ms]) => Number(ms))
}
