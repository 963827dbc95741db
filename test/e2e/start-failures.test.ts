import { once } from 'node:events'
import { readFile, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { whyNotServing } from './fault-client.ts'
import { killHard } from './fault-processes.ts'
import { collect, eventually, fixture, openWorld, type CommandResult, type World } from './harness.ts'

let world: World

beforeEach(async () => {
  world = await openWorld()
})

afterEach(async () => {
  await world.close()
})

describe('a supervisor that ends while it starts', () => {
  it('by SIGKILL is told to whoever waits, and to whoever looks later', async () => {
    const why = 'its supervisor was killed by SIGKILL'
    for (const command of [runOne('--silent'), ['start', 'one']]) {
      const result = await killedMeanwhile(command)
      expect(result).toMatchObject({
        code: 1,
        stderr: expect.stringContaining(`Error: 'one' did not start: ${why} [supervisor-failed]`),
      })
      expect(await world.list()).toMatchObject([{ name: 'one', status: 'error', status_context: why }])
    }
  })

  it('because its run config cannot be used leaves the reason in the status', async () => {
    await world.ok(...runOne())
    await world.ok('stop', 'one')
    await writeFile(join(world.directory, 'state/toolhive/runconfigs/one.json'), '[]')
    expect(await launch()).toBe(1)
    expect(await world.status('one')).toMatchObject({
      status: 'error',
      status_context: expect.stringMatching(/^the supervisor failed: .*one\.json/),
      process_id: 0,
      thv: { error_code: 'invalid-run-config' },
    })
  })
})

describe('a supervisor whose status another process takes long to write', () => {
  it('waits for it', async () => {
    await world.ok(...runOne())
    await world.ok('stop', 'one')
    const lock = await lockStatus()
    const ended = launch()
    // A disk under load: all that time the lock has a living holder.
    await delay(2_500)
    await unlink(lock)
    await eventually('it serves', 10_000, async () => {
      const [one] = await world.list()
      return one?.status === 'running' && (await whyNotServing(one.url)) === undefined ? true : undefined
    })
    await world.ok('stop', 'one')
    expect(await ended).toBe(0)
  })
})

function runOne(...flags: string[]): string[] {
  return ['run', '--name', 'one', '--', ...fixture('stdio-server.mjs', ...flags)]
}

/** Runs a command that starts the workload, and kills the supervisor as soon as it is on record. */
async function killedMeanwhile(command: readonly string[]): Promise<CommandResult> {
  const ended = collect(world.spawn(command))
  const supervisor = await eventually('the supervisor is on record', 10_000, async () => {
    const record = await world.status('one').catch(() => undefined)
    return record?.status === 'starting' && record.process_id > 0 ? record.process_id : undefined
  })
  killHard(supervisor)
  return await ended
}

/** Starts a supervisor as `thv start` does, on record before it can look; resolves to its exit code. */
async function launch(): Promise<number | null> {
  const supervisor = world.spawn(['start', 'one', '--foreground'], { environment: { TOOLHIVE_DETACHED: '1' } })
  const path = join(world.directory, 'data/toolhive/statuses/one.json')
  const record = JSON.parse(await readFile(path, 'utf8')) as object
  await writeFile(path, JSON.stringify({ ...record, status: 'starting', process_id: supervisor.pid }))
  await once(supervisor, 'exit')
  return supervisor.exitCode
}

/** Takes the lock of the status in the name of this process. */
async function lockStatus(): Promise<string> {
  const stat = await readFile('/proc/self/stat', 'utf8')
  const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).slice(0, 8)
  const path = join(world.directory, 'data/toolhive/statuses/one.thv-lock')
  await writeFile(path, JSON.stringify({ pid: process.pid, started: `${boot}:${ticks}`, token: 'f'.repeat(32) }))
  return path
}
