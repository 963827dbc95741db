import { describe, expect, it } from 'vitest'
import { createFakeMachine, selfPid, serve, type FakeMachine } from '../fakes/fake-deps.ts'
import { ThvError } from '../errors.ts'
import { runWorkload } from './run-workload.ts'
import { startWorkload } from './start-workload.ts'
import { stopWorkload } from './stop-workload.ts'

const quiet = (): void => {}
const never = new AbortController().signal
const request = { source: 'npx://pkg', args: [], environment: {}, labels: {}, name: 'a' }
const start = { debug: false, progress: quiet }

/** How the launched supervisor behaves; the abort may come at any moment of each. */
const supervisors: [string, (machine: FakeMachine) => void][] = [
  ['that serves at once', quiet],
  ['that says nothing', (machine) => (machine.onLaunch = quiet)],
  [
    'that serves a little later',
    (machine) => (machine.onLaunch = (name, supervisor) => setImmediate(() => serve(machine, name, supervisor))),
  ],
  [
    'that says nothing and ignores SIGTERM',
    (machine) => {
      machine.onLaunch = quiet
      machine.onSigterm = quiet
    },
  ],
]

describe.each(supervisors)('an abort at any moment, with a supervisor %s', (_, arrange) => {
  it.each(['before', 'after'] as const)('of run (%s a step) leaves nothing', async (side) => {
    const steps = await atEveryStep(async (abortAt) => {
      const machine = createFakeMachine()
      arrange(machine)
      const counted = countSteps(machine, abortAt, side)
      const outcome = await settle(runWorkload(counted.deps, { request }, quiet, counted.signal))
      expect(machine.signalled).not.toContain(selfPid)
      if (outcome === 'done') expectServing(machine)
      else if (counted.signal.aborted) {
        expect(String(outcome)).toMatch(/received SIGINT|did not answer/)
        expect([...machine.alive.keys()]).toEqual([selfPid])
        expect(machine.statuses.size + machine.configs.size).toBe(0)
      }
      return counted.signal.aborted
    })
    expect(steps).toBeGreaterThan(8)
  })

  it.each(['before', 'after'] as const)('of start (%s a step) ends in stopped', async (side) => {
    const steps = await atEveryStep(async (abortAt) => {
      const machine = createFakeMachine()
      await runWorkload(machine.deps, { request }, quiet, never)
      await stopWorkload(machine.deps, 'a', {}, never)
      machine.signalled.length = 0
      arrange(machine)
      const counted = countSteps(machine, abortAt, side)
      const outcome = await settle(startWorkload(counted.deps, 'a', start, counted.signal))
      expect(machine.signalled).not.toContain(selfPid)
      if (outcome === 'done') expectServing(machine)
      else if (counted.signal.aborted) {
        expect(String(outcome)).toMatch(/received SIGINT|did not answer/)
        expect([...machine.alive.keys()]).toEqual([selfPid])
        expect(machine.statuses.get('a')).toMatchObject({ status: 'stopped', process_id: 0 })
        expect(machine.statuses.get('a')?.thv?.owner).toBeUndefined()
      }
      return counted.signal.aborted
    })
    expect(steps).toBeGreaterThan(8)
  })
})

describe('a start that cannot be recorded', () => {
  it('ends the supervisor that nothing would know of', async () => {
    const machine = createFakeMachine()
    machine.onLaunch = () => {
      machine.failUpdate = new ThvError('state-full', 'no space')
    }
    await expect(runWorkload(machine.deps, { request }, quiet, never)).rejects.toMatchObject({ code: 'state-full' })
    expect(machine.signalled).toEqual([1000])
    expect([...machine.alive.keys()]).toEqual([selfPid])
  })

  it('of another command goes on when the command that only waits for it is interrupted', async () => {
    const machine = createFakeMachine()
    await runWorkload(machine.deps, { request }, quiet, never)
    machine.statuses.set('a', { ...machine.statuses.get('a')!, status: 'starting' })
    const controller = new AbortController()
    setImmediate(() => controller.abort(new Error('received SIGINT')))
    await expect(startWorkload(machine.deps, 'a', start, controller.signal)).rejects.toThrow('SIGINT')
    expect(machine.alive.has(1000)).toBe(true)
    expect(machine.statuses.get('a')?.status).toBe('starting')
  })
})

function expectServing(machine: FakeMachine): void {
  const record = machine.statuses.get('a')!
  expect(record.status).toBe('running')
  expect(machine.alive.has(record.process_id)).toBe(true)
}

/** Tries every step until one run ends before its abort; resolves to how many steps there were. */
async function atEveryStep(attempt: (abortAt: number) => Promise<boolean>): Promise<number> {
  for (let abortAt = 1; ; abortAt += 1) {
    if (!(await attempt(abortAt))) return abortAt - 1
  }
}

async function settle(work: Promise<unknown>): Promise<unknown> {
  try {
    await work
    return 'done'
  } catch (error) {
    return error
  }
}

/** Every call to the outside is a step; at one of them Ctrl-C comes, just before or just after it. */
function countSteps(machine: FakeMachine, abortAt: number, side: 'before' | 'after') {
  const controller = new AbortController()
  let step = 0
  const counting = <T extends object>(part: T): T =>
    new Proxy(part, {
      get(target, key) {
        const member: unknown = Reflect.get(target, key)
        if (typeof member !== 'function' || ['now', 'monotonicMs', 'watch'].includes(String(key))) return member
        return async (...given: unknown[]) => {
          step += 1
          const isIt = step === abortAt
          if (isIt && side === 'before') controller.abort(new Error('received SIGINT'))
          const result: unknown = await Reflect.apply(member, target, given)
          if (isIt && side === 'after') controller.abort(new Error('received SIGINT'))
          return result
        }
      },
    })
  const { installers, ...parts } = machine.deps
  const counted = Object.fromEntries(Object.entries(parts).map(([key, part]) => [key, counting(part)]))
  const deps = {
    ...counted,
    installers: async (kind: 'npx') => counting(await installers(kind)),
  } as unknown as FakeMachine['deps']
  return { deps, signal: controller.signal }
}
