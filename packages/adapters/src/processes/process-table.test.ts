import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, describe, expect, it } from 'vitest'
import { nodeCommand } from './fixtures/commands.ts'
import { markerVariable } from './marker.ts'
import { createProcessTable, isSupervisorCommand } from './process-table.ts'

const table = createProcessTable()
const never = new AbortController().signal
const marker = 'c0ffee00c0ffee00c0ffee00c0ffee00'
let started: ChildProcess[] = []

afterEach(() => {
  for (const child of started) child.kill('SIGKILL')
  started = []
})

async function start(program: string, env: Record<string, string> = {}): Promise<ChildProcess & { pid: number }> {
  const [executable, ...args] = nodeCommand(`${program}; console.log('up'); setInterval(() => {}, 1000)`)
  const child = spawn(executable, args, { detached: true, stdio: ['ignore', 'pipe', 'inherit'], env })
  started.push(child)
  await once(child.stdout, 'data')
  return Object.assign(child, { pid: child.pid ?? 0 })
}

describe('the identity of a process', () => {
  it('is alive while it lives and dead afterwards', async () => {
    const child = await start('')
    const identity = await table.identify(child.pid)
    expect(identity?.pid).toBe(child.pid)
    expect(await table.isAlive(identity!)).toBe(true)
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(await table.isAlive(identity!)).toBe(false)
  })

  it('of another start is dead although the number lives', async () => {
    const self = await table.self()
    expect(await table.isAlive(self)).toBe(true)
    expect(await table.isAlive({ ...self, started: '00000000:1' })).toBe(false)
    expect(await table.isAlive({ ...self, started: `${self.started}0` })).toBe(false)
  })

  it('is the same at every look', async () => {
    expect(await table.self()).toEqual(await table.self())
  })

  it.each([0, -1, 1.5, Number.NaN, 2 ** 30])('of %d is none', async (pid) => {
    expect(await table.identify(pid)).toBeUndefined()
  })

  it.runIf(process.platform === 'linux')('of a zombie is none', async () => {
    // The shell's child ends at once, and the shell has become `sleep`, which never collects it.
    const parent = spawn('/bin/sh', ['-c', 'sleep 0.2 & echo $!; exec sleep 30'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    started.push(parent)
    const pid = Number(String((await once(parent.stdout, 'data'))[0]))
    await expect.poll(async () => await table.identify(pid)).toBeUndefined()
    expect(process.kill(pid, 0)).toBe(true)
  })
})

describe('a signal', () => {
  it('reaches the process it is meant for', async () => {
    const child = await start('')
    const identity = (await table.identify(child.pid))!
    const exit = once(child, 'exit')
    expect(await table.signal(identity, 'SIGTERM')).toBe(true)
    expect(await exit).toEqual([null, 'SIGTERM'])
    expect(await table.signal(identity, 'SIGTERM')).toBe(false)
  })

  it('does not reach another process of the same number', async () => {
    const child = await start('')
    const identity = (await table.identify(child.pid))!
    expect(await table.signal({ ...identity, started: 'other' }, 'SIGKILL')).toBe(false)
    expect(await table.isAlive(identity)).toBe(true)
  })
})

describe.runIf(process.platform === 'linux')('reaping', () => {
  it('kills leader, group and the marked of other sessions, and counts them', async () => {
    const leader = await start(
      `import { spawn } from 'node:child_process'
       spawn('/bin/sleep', ['60'], { stdio: 'ignore' })
       spawn('/bin/sleep', ['60'], { stdio: 'ignore', detached: true, env: {} })`,
      { [markerVariable]: marker },
    )
    const stray = await start('', { [markerVariable]: marker })
    const bystander = await start('', { [markerVariable]: 'another' })
    const identity = (await table.identify(leader.pid))!
    expect(await table.reap({ ...identity, group: leader.pid, marker }, never)).toBe(4)
    expect(await table.identify(stray.pid)).toBeUndefined()
    expect(await table.identify(bystander.pid)).toBeDefined()
  })

  it('of a server whose number now belongs to someone else kills nobody', async () => {
    const other = await start('')
    const past = { pid: other.pid, started: '00000000:1', group: other.pid, marker }
    expect(await table.reap(past, never)).toBe(0)
    expect(await table.identify(other.pid)).toBeDefined()
  })

  it('catches a tree that forks while it is killed', async () => {
    const leader = await start(
      `import { spawn } from 'node:child_process'
       const program = "const { spawn } = require('child_process'); function go() { const c = spawn('/bin/sh', ['-c', 'sleep 60 & sleep 60 & sleep 0.01'], { detached: true, stdio: 'ignore' }); c.on('exit', go) } go(); setInterval(() => {}, 1000)"
       spawn(process.execPath, ['-e', program], { detached: true, stdio: 'ignore' })`,
      { [markerVariable]: marker, PATH: '/usr/bin:/bin' },
    )
    const identity = (await table.identify(leader.pid))!
    expect(await table.reap({ ...identity, group: leader.pid, marker }, never)).toBeGreaterThanOrEqual(2)
    expect(await table.reap({ ...identity, group: leader.pid, marker }, never)).toBe(0)
  })

  it('refuses a group that would be ours or everyone', async () => {
    const self = await table.self()
    for (const group of [0, 1, -1, 1.5]) {
      await expect(table.reap({ ...self, group, marker }, never)).rejects.toMatchObject({ code: 'internal' })
    }
  })

  it('stops looking when it is told to', async () => {
    const self = await table.self()
    const gone = AbortSignal.abort(new Error('enough'))
    await expect(table.reap({ ...self, group: 99_999_999, marker }, gone)).rejects.toThrow('enough')
  })
})

describe('a supervisor is known by its command line', () => {
  it.each([
    ['/usr/bin/node /opt/thv/dist/thv.js start fetch --foreground', 'fetch', true],
    ['thv start fetch', 'fetch', true],
    ['thv start fetch-2 --foreground', 'fetch', true],
    ['thv start fetcher --foreground', 'fetch', false],
    ['thv start fetcher start fetch', 'fetch', true],
    ['thv stop fetch', 'fetch', false],
    ['/usr/bin/other start fetch', 'fetch', false],
    ['thv restart fetch', 'fetch', false],
    ['', 'fetch', false],
  ])('%s', (line, name, expected) => {
    expect(isSupervisorCommand(line, name)).toBe(expected)
  })

  it('of a living process', async () => {
    const [executable, ...args] = nodeCommand(`console.log('up'); setInterval(() => {}, 1000)`)
    const child = spawn(executable, [...args, '--', 'thv', 'start', 'weather', '--foreground'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    started.push(child)
    await once(child.stdout, 'data')
    expect(await table.isSupervisorOf(child.pid ?? 0, 'weather')).toBe(true)
    expect(await table.isSupervisorOf(child.pid ?? 0, 'other')).toBe(false)
    expect(await table.isSupervisorOf(0, 'weather')).toBe(false)
  })
})
