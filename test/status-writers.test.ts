import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createFileStatusStore, createProcessTable } from '@thv/adapters'
import {
  createWorkload,
  deleteWorkload,
  isThvError,
  stopWorkload,
  type DeleteWorkloadDeps,
  type ProcessIdentity,
  type ReasonCode,
  type StatusRecord,
  type StatusStore,
} from '@thv/core'
import { createFakeMachine } from '@thv/core/fakes'
import { isReasonOf } from '../packages/core/src/domain/status-reason.ts'
import { nextStatus, statusEvents, type WorkloadStatus } from '../packages/core/src/domain/state-machine.ts'
import { StatusReporter } from '../packages/runner/src/status-reporter.ts'

const never = new AbortController().signal
const name = 'a'

/** What a supervisor does, one after the other; it ends with a crash unless it was asked to end before. */
const steps = ['ready', 'down', 'denied', 'exit', 'probes', 'look', 'believed-dead'] as const
type Step = (typeof steps)[number]

interface Write {
  who: ProcessIdentity
  before: StatusRecord | undefined
  after: StatusRecord | 'delete'
  /** Who was taken for alive then. */
  alive: ReadonlySet<number>
}

let directory: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'thv-writers-'))
})

afterAll(async () => {
  await rm(directory, { recursive: true })
})

it('whatever the order, only the owner writes, moves are legal, a reason stands with each, and nothing wakes what ends', async () => {
  let run = 0
  const supervisor = fc.array(fc.constantFrom(...steps), { maxLength: 6 })
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.array(supervisor, { minLength: 1, maxLength: 3 }),
      fc.constantFrom('nobody', 'stop', 'delete', 'both'),
      async (scheduler, supervisors, ender) => {
        run += 1
        const world = await openWorld(join(directory, String(run)), scheduler)
        const work = supervisors.map(async (list, index) => await superviseBy(world, index, list))
        if (ender === 'stop' || ender === 'both') work.push(endBy(world, stopWorkload, 50))
        if (ender === 'delete' || ender === 'both') work.push(endBy(world, deleteWorkload, 51))
        await scheduler.waitFor(Promise.all(work))
        expect(world.writes.length).toBeGreaterThan(0)
        for (const write of world.writes) expect(faultOf(write)).toBeUndefined()
      },
    ),
    { numRuns: 150 },
  )
})

/** What is wrong with a write. */
function faultOf({ who, before, after, alive }: Write): string | undefined {
  if (after === 'delete') return who.pid < firstCommand ? `supervisor ${who.pid} deleted the status` : undefined
  const { status, thv } = after
  if (thv?.reason === undefined || !isReasonOf(thv.reason, status)) return `${status} has the reason ${thv?.reason}`
  if (before === undefined) return undefined
  if (!isLegal(before.status, status)) return `${before.status} became ${status}`
  const isEnding = before.status === 'stopping' || before.status === 'removing'
  const isClaim = status === 'starting' && thv.owner?.pid === who.pid && before.thv?.owner?.pid !== who.pid
  if (isEnding && !isClaim && ['running', 'starting', 'unhealthy', 'unauthenticated'].includes(status))
    return `${who.pid} woke what was ${before.status}`
  if (who.pid >= firstCommand)
    return ['stopping', 'removing', 'stopped'].includes(status) ? undefined : `a command wrote ${status}`
  const owner = before.process_id === 0 ? undefined : before.thv?.owner
  if (owner === undefined || owner.pid === who.pid) return undefined
  if (!isClaim) return `${who.pid} wrote ${status} over the record of ${owner.pid}`
  return alive.has(owner.pid) && before.status !== 'stopped' && before.status !== 'error'
    ? `${who.pid} took the workload from ${owner.pid}, which lived`
    : undefined
}

const firstCommand = 50

/** Whether one event leads there, or a stop that was announced and done in one write. */
function isLegal(from: WorkloadStatus, to: WorkloadStatus): boolean {
  const next = statusEvents.map((event) => nextStatus(from, event))
  return from === to || next.includes(to) || (to === 'stopped' && next.includes('stopping'))
}

interface World {
  writes: Write[]
  alive: Set<number>
  /** Processes that got a SIGTERM. */
  asked: Set<number>
  /** Processes that got a SIGKILL: they do nothing any more. */
  killed: Set<number>
  depsOf: (who: ProcessIdentity) => DeleteWorkloadDeps
}

/** One workload with a real status file, and processes that only this test knows. */
async function openWorld(dataDirectory: string, scheduler: fc.Scheduler): Promise<World> {
  const machine = createFakeMachine()
  const request = { args: [], environment: {}, labels: {}, name, remote: { url: 'https://far.test/mcp' } }
  const store = createFileStatusStore({ dataDirectory, processes: createProcessTable() })
  await createWorkload({ ...machine.deps, statuses: store }, { request }, () => {}, never)
  const writes: Write[] = []
  const [alive, asked, killed] = [new Set<number>(), new Set<number>(), new Set<number>()]
  let nowMs = 0
  // As slow as a few accesses to the disk, or whoever waits would be done before anybody has written.
  const arrive = async (what: string): Promise<void> => {
    await delay(4)
    await scheduler.schedule(Promise.resolve(), what)
  }
  const depsOf = (who: ProcessIdentity): DeleteWorkloadDeps => ({
    ...machine.deps,
    statuses: watched(store, { writes, alive, killed }, { who, scheduler }),
    clock: {
      now: () => new Date(),
      monotonicMs: () => nowMs,
      sleep: async (ms) => {
        await arrive(`${who.pid} sleeps`)
        nowMs += ms
      },
    },
    processes: {
      ...machine.deps.processes,
      self: async () => who,
      isAlive: async ({ pid }) => alive.has(pid),
      isSupervisorOf: async (pid) => alive.has(pid),
      signal: async ({ pid }, signal) => {
        await arrive(`${who.pid} signals`)
        if (!alive.has(pid)) return false
        if (signal === 'SIGTERM') asked.add(pid)
        else killed.add(pid)
        if (signal === 'SIGKILL') alive.delete(pid)
        return true
      },
    },
  })
  return { writes, alive, asked, killed, depsOf }
}

/** Every access is a moment at which somebody else may go first. */
function watched(
  store: StatusStore,
  { writes, alive, killed }: Pick<World, 'writes' | 'alive' | 'killed'>,
  { who, scheduler }: { who: ProcessIdentity; scheduler: fc.Scheduler },
): StatusStore {
  const turn = async (what: string): Promise<void> => {
    await scheduler.schedule(Promise.resolve(), `${who.pid} ${what}`)
    if (killed.has(who.pid)) throw new Killed()
  }
  return {
    ...store,
    read: async (of) => {
      await turn('reads')
      return await store.read(of)
    },
    update: async (of, change, signal) => {
      await turn('writes')
      return await store.update(
        of,
        (before) => {
          const after = change(before)
          if (after !== undefined) writes.push({ who, before, after, alive: new Set(alive) })
          return after
        },
        signal,
      )
    },
  }
}

async function superviseBy(world: World, index: number, list: readonly Step[]): Promise<void> {
  const self = { pid: index + 1, started: `start-${index}` }
  const deps = world.depsOf(self)
  world.alive.add(self.pid)
  const reporter = new StatusReporter({ ...deps, log: () => {} }, name, self)
  try {
    await reporter.claim(never)
    for (const step of list) {
      if (world.asked.has(self.pid)) return await reporter.reportStopped()
      await take(world, reporter, { self, step })
    }
  } catch (error) {
    if (!(error instanceof Killed || isThvError(error))) throw error
  } finally {
    world.alive.delete(self.pid)
  }
}

class Killed extends Error {}

async function take(
  { alive, depsOf }: World,
  reporter: StatusReporter,
  { self, step }: { self: ProcessIdentity; step: Step },
): Promise<void> {
  // It goes on writing, as one that was frozen and is given up does.
  if (step === 'believed-dead') return void alive.delete(self.pid)
  if (step === 'probes') {
    const probe = { reason: 'serving' as const, message: 'it answers', since: new Date().toISOString(), count: 1 }
    return await reporter.recordProbes([probe], never)
  }
  if (step !== 'look') return await reporter.report(step, { reason: reasonOf[step], context: step }, never)
  const { configs } = depsOf(self)
  const ownership = await reporter.verify(async () => (await configs.load(name)) !== undefined, never)
  if (ownership !== 'ours') reporter.relinquish()
}

const reasonOf = {
  ready: 'serving',
  down: 'remote-timeout',
  denied: 'remote-forbidden',
  exit: 'restarting',
} as const satisfies Record<string, ReasonCode>

async function endBy(world: World, end: typeof deleteWorkload, pid: number): Promise<void> {
  const deps = world.depsOf({ pid, started: 'command' })
  // One that is removed meanwhile, or whose status keeps changing, is refused: that is for whoever asked.
  await end(deps, name, { timeoutMs: 500 }, never).catch(() => undefined)
}
