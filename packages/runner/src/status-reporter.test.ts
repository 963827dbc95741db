import { expect, it } from 'vitest'
import { createWorkload, type StatusStore } from '@thv/core'
import { createFakeMachine, selfPid } from '@thv/core/fakes'
import { StatusReporter } from './status-reporter.ts'

const never = new AbortController().signal

it('a look at the status right after a write does not take what was written for damage', async () => {
  const machine = createFakeMachine()
  machine.alive.set(selfPid, 'self')
  const request = { source: 'npx://pkg', args: [], environment: {}, labels: {}, name: 'a' }
  await createWorkload(machine.deps, { request }, () => {}, never)
  let afterWrite: () => Promise<unknown> = async () => undefined
  const statuses: StatusStore = {
    ...machine.deps.statuses,
    update: async (name, change, signal) => {
      const result = await machine.deps.statuses.update(name, change, signal)
      const next = afterWrite
      afterWrite = async () => undefined
      await next()
      return result
    },
  }
  const self = await machine.deps.processes.self()
  const reporter = new StatusReporter({ ...machine.deps, statuses, log: () => {} }, 'a', self)
  await reporter.claim(never)
  afterWrite = async () => await reporter.verify(async () => true, never)
  const lane = { pid: 5, started: 's', group: 5, marker: 'm' }
  await reporter.recordLanes([lane], never)
  expect(machine.statuses.get('a')?.thv?.lanes).toEqual([lane])
})
