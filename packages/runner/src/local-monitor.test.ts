import fc from 'fast-check'
import { PassThrough } from 'node:stream'
import { afterEach, describe, expect, it } from 'vitest'
import { createWorkload, limits, type ServerExit, type StatusRecord } from '@thv/core'
import { createFakeMachine, selfPid } from '@thv/core/fakes'
import type { BackendSign, HealthStatus, Proxy } from '@thv/proxy'
import { VirtualClock } from './fixtures/virtual-clock.ts'
import { supervise } from './supervise.ts'

const second = 1_000
const minute = 60 * second
const alive: BackendSign = { code: 'alive', message: 'it answers', isBusy: false }
const silent: BackendSign = { code: 'silent', message: 'it did not answer in time', isBusy: false }
const busy: BackendSign = { ...silent, isBusy: true }

/** Ten seconds to the first question, five waits of five seconds and four pauses, and the chance in them. */
const downWithinMs = (10 + 5 * 5 + 4 * 5) * second * (1 + limits.remoteJitter)

let controllers: AbortController[] = []

afterEach(() => {
  for (const controller of controllers) controller.abort()
  controllers = []
})

interface Stage {
  clock: VirtualClock
  /** What questions find. A silence takes as long as is waited. */
  answer: () => BackendSign
  /** Statuses as they were written, with the times, without repetitions. */
  seen: { atMs: number; status: string; reason: string | undefined }[]
  health: HealthStatus[]
  servers: { exit: (exit: ServerExit) => void; lose: () => void; isStopped: boolean }[]
  detached: string[]
  /** Writes of the status at the same time, at most. */
  writers: number
  record: () => StatusRecord
  stop: () => void
  ended: Promise<unknown>
}

/** Supervises a stdio workload with a real loop, monitor and reporter on a clock that tests run. */
async function supervised(
  answer: () => BackendSign,
  more: { attach?: () => Promise<void>; random?: () => number } = {},
): Promise<Stage> {
  const machine = createFakeMachine()
  const clock = new VirtualClock()
  const controller = new AbortController()
  controllers.push(controller)
  machine.alive.set(selfPid, 'self')
  const request = { source: 'npx://pkg', args: [], environment: {}, labels: {}, name: 'a' }
  await createWorkload(machine.deps, { request }, () => {}, controller.signal)
  const stage: Stage = {
    clock,
    answer,
    seen: [],
    health: [],
    servers: [],
    detached: [],
    writers: 0,
    record: () => machine.statuses.get('a')!,
    stop: () => controller.abort(),
    ended: Promise.resolve(),
  }
  let writing = 0
  const { statuses } = machine.deps
  const lost: Promise<string>[] = []
  const proxy: Proxy = {
    address: { host: '127.0.0.1', port: 1 },
    start: async () => {},
    attach: async () => {
      await more.attach?.()
      return { serverName: 's', serverVersion: '1', protocolVersion: '2025-11-25', lost: lost.at(-1)! }
    },
    detach: (reason) => void stage.detached.push(reason),
    probe: async (signal) => {
      const sign = stage.answer()
      if (sign.code === 'silent') await clock.sleep(5 * second, signal)
      return sign
    },
    noteHealth: (status) => void stage.health.push(status),
    look: async () => ({ kind: 'alive', code: 'alive', message: 'it answers' }),
    card: () => expect.unreachable('a local server has no card'),
    refuse: () => expect.unreachable('calls to a local server are never refused'),
    close: async () => {},
    stats: () => ({ sessions: 0, inFlight: 0, streams: 0 }),
  }
  const deps = {
    ...machine.deps,
    clock,
    statuses: {
      ...statuses,
      update: async (...[name, change, signal]: Parameters<typeof statuses.update>) => {
        writing += 1
        stage.writers = Math.max(stage.writers, writing)
        try {
          // Other things happen meanwhile.
          for (let turn = 0; turn < 20; turn += 1) await Promise.resolve()
          const written = await statuses.update(name, change, signal)
          const { status, thv } = stage.record()
          if (stage.seen.at(-1)?.status !== status || stage.seen.at(-1)?.reason !== thv?.reason)
            stage.seen.push({ atMs: clock.monotonicMs(), status, reason: thv?.reason })
          return written
        } finally {
          writing -= 1
        }
      },
    },
    runtime: {
      deploy: async () => {
        let settle: (exit: ServerExit) => void = () => {}
        const exited = new Promise<ServerExit>((resolve) => (settle = resolve))
        let lose: (reason: string) => void = () => {}
        lost.push(new Promise<string>((resolve) => (lose = resolve)))
        const server = { exit: settle, lose: () => lose('the server closed its output'), isStopped: false }
        stage.servers.push(server)
        return {
          server: { pid: 42, started: 's', group: 42, marker: 'm' },
          isolation: 'none' as const,
          stdio: { input: new PassThrough(), output: new PassThrough() },
          exited,
          lastStderr: () => [],
          stop: async () => {
            server.isStopped = true
            settle({ code: 0, signal: null })
          },
        }
      },
    },
    createProxy: () => proxy,
    openJournal: async () => ({ load: () => new Map(), write: () => {}, delete: () => {} }),
    proxyLimits: {},
    buildEnvironment: (extra: Record<string, string>) => extra,
    packageDirectory: '/',
    writeServerLine: () => {},
    network: () => String(clock.monotonicMs()),
    dialerOf: () => undefined,
    readUserFile: async () => 'text',
    environmentToken: undefined,
    logins: async () => await Promise.reject(new Error('no logins here')),
    log: () => {},
    random: more.random ?? (() => 0.5),
  }
  stage.ended = supervise(deps, 'a', () => {}, controller.signal).catch(() => undefined)
  await clock.run(0)
  return stage
}

describe('a local server', () => {
  it('runs from its handshake on, and is asked for as long as it does', async () => {
    const stage = await supervised(() => alive)
    await stage.clock.run(minute)
    expect(stage.seen.map(({ status }) => status)).toEqual(['starting', 'running'])
    expect(stage.record().thv?.probes).toMatchObject([{ reason: 'serving' }])
    expect(stage.servers).toHaveLength(1)
  })

  it('that hangs is unhealthy within a minute, then restarted, then running', async () => {
    const stage = await supervised(() => alive)
    await stage.clock.run(minute)
    stage.answer = () => (stage.servers.length > 1 ? alive : silent)
    const hangsMs = stage.clock.monotonicMs()
    await stage.clock.run(2 * minute)
    const after = stage.seen.filter(({ atMs }) => atMs >= hangsMs)
    expect(after.map(({ status, reason }) => [status, reason])).toEqual([
      ['unhealthy', 'server-hung'],
      ['starting', 'restarting'],
      ['starting', 'launching'],
      ['running', 'serving'],
    ])
    expect(after[0]!.atMs - hangsMs).toBeLessThanOrEqual(downWithinMs)
    expect(stage.servers.map(({ isStopped }) => isStopped)).toEqual([true, false])
    expect(stage.detached).toEqual([expect.stringContaining('the server failed its health checks')])
    expect(stage.health).toEqual(expect.arrayContaining(['degraded', 'unhealthy', 'healthy']))
    expect(stage.record().thv?.probes?.map(({ reason }) => reason)).toEqual(['serving', 'server-hung', 'serving'])
  })

  it('that is silent since it got a call is unhealthy, and waited for; an answer ends that', async () => {
    const stage = await supervised(() => alive)
    await stage.clock.run(minute)
    stage.answer = () => busy
    await stage.clock.run(4 * minute)
    expect(stage.record()).toMatchObject({ status: 'unhealthy', thv: { reason: 'server-busy' } })
    const { started_at } = stage.record().thv!
    stage.answer = () => alive
    await stage.clock.run(minute)
    expect(stage.record()).toMatchObject({ status: 'running', thv: { reason: 'serving', started_at, restarts: 0 } })
    expect(stage.record().status_context).toBeUndefined()
    expect(stage.servers).toHaveLength(1)
  })

  it('that is silent since it got a call is restarted when no call can take so long', async () => {
    const stage = await supervised(() => alive)
    await stage.clock.run(minute)
    stage.answer = () => (stage.servers.length > 1 ? alive : busy)
    const hangsMs = stage.clock.monotonicMs()
    await stage.clock.run(7 * minute)
    const restart = stage.seen.find(({ reason }) => reason === 'restarting')!
    expect(restart.atMs - hangsMs).toBeGreaterThan(5 * minute)
    expect(restart.atMs - hangsMs).toBeLessThan(6 * minute)
    expect(stage.record().status).toBe('running')
  })

  it('that never knew the questions is not judged by them', async () => {
    const stage = await supervised(() => silent)
    await stage.clock.run(10 * minute)
    expect(stage.seen.map(({ status }) => status)).toEqual(['starting', 'running'])
    expect(new Set(stage.health)).toEqual(new Set(['healthy']))
    expect(stage.servers).toHaveLength(1)
  })

  it('that hangs again and again soon after its start ends in error', async () => {
    let questions = 0
    const stage = await supervised(() => ((questions += 1) === 1 ? alive : silent))
    await stage.clock.run(30 * minute)
    expect(stage.record()).toMatchObject({ status: 'error', thv: { error_code: 'server-crash-loop' } })
    expect(stage.servers).toHaveLength(limits.restartAttempts + 1)
  })

  it('that hangs in each handshake after a crash ends in error: a start is not for ever', async () => {
    let attaches = 0
    const stage = await supervised(() => alive, {
      attach: async () => {
        attaches += 1
        if (attaches === 1) return
        await stageClock().sleep(minute, controllers[0]!.signal)
        throw new Error('the server did not answer initialize within 60 s')
      },
    })
    const stageClock = (): VirtualClock => stage.clock
    stage.servers[0]!.exit({ code: 1, signal: null })
    await stage.clock.run(20 * minute)
    expect(stage.record().status).toBe('error')
  })

  it('that is at work on a call when the machine falls asleep is not restarted for the time asleep', async () => {
    const stage = await supervised(() => alive)
    await stage.clock.run(minute)
    stage.answer = () => busy
    await stage.clock.run(2 * minute)
    stage.clock.suspend(60 * minute, { isCounted: true })
    await stage.clock.run(2 * minute)
    expect(stage.record()).toMatchObject({ status: 'unhealthy', thv: { reason: 'server-busy' } })
    stage.answer = () => alive
    await stage.clock.run(minute)
    expect(stage.record().status).toBe('running')
    expect(stage.servers).toHaveLength(1)
  })

  it('is not suspected for a sleep of the machine, and a change of the network is nothing to it', async () => {
    const stage = await supervised(() => alive)
    await stage.clock.run(minute)
    for (let night = 0; night < 10; night += 1) {
      stage.answer = () => silent
      stage.clock.suspend(60 * minute, { isCounted: night % 2 === 0 })
      await stage.clock.run(4 * second)
      stage.answer = () => alive
      await stage.clock.run(30 * second)
    }
    expect(stage.seen.map(({ status }) => status)).toEqual(['starting', 'running'])
  })
})

describe('the loop and the monitor', () => {
  it('never write at the same time, and nothing of a run is written after it', async () => {
    const event = fc.record({
      what: fc.constantFrom('exit', 'lose', 'hang', 'busy', 'refuse', 'recover', 'nothing'),
      afterMs: fc.integer({ min: 0, max: 90 * second }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 12 }), fc.boolean(), async (events, isStopped) => {
        const stage = await supervised(() => alive)
        for (const { what, afterMs } of events) {
          await stage.clock.run(afterMs)
          if (what === 'exit') stage.servers.at(-1)!.exit({ code: 1, signal: null })
          if (what === 'lose') stage.servers.at(-1)!.lose()
          if (what === 'hang') stage.answer = () => silent
          if (what === 'busy') stage.answer = () => busy
          if (what === 'refuse') stage.answer = () => ({ ...silent, code: 'refused', message: 'it takes nothing' })
          if (what === 'recover') stage.answer = () => alive
        }
        if (isStopped) stage.stop()
        stage.answer = () => alive
        await stage.clock.run(20 * minute)
        expect(stage.writers).toBe(1)
        for (const [index, { status, reason }] of stage.seen.entries()) {
          expect(allowed[stage.seen[index - 1]?.reason ?? 'none'], `${index}: ${reason}`).toContain(reason)
          expect(['starting', 'running', 'unhealthy', 'stopping', 'stopped', 'error']).toContain(status)
        }
        // Whatever happened, it ends where it should.
        expect(stage.record().status).toBe(
          isStopped ? 'stopped' : stage.record().thv?.error_code === undefined ? 'running' : 'error',
        )
        stage.stop()
        await stage.clock.run(minute)
        await stage.ended
      }),
      { numRuns: 60 },
    )
  })
})

const bad = ['server-hung', 'server-busy', 'server-refuses']
const ends = ['stop-asked', 'stopped', 'failed']

/** What may follow on what: between two runs there is always the loop. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  none: ['launching'],
  launching: ['serving', 'restarting', ...ends],
  serving: ['restarting', ...bad, ...ends],
  ...Object.fromEntries(bad.map((reason) => [reason, ['serving', 'restarting', ...bad, ...ends]])),
  restarting: ['launching', 'restarting', ...ends],
  'stop-asked': ['stopped'],
  stopped: [],
  failed: [],
}
