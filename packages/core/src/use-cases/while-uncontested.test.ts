import { expect, it } from 'vitest'
import { createFakeMachine, selfPid, type FakeMachine } from '../fakes/fake-deps.ts'
import { deleteWorkload } from './delete-workload.ts'
import { createWorkload } from './run-workload.ts'
import { stopWorkload } from './stop-workload.ts'
import { whileUncontested } from './while-uncontested.ts'

const never = new AbortController().signal
const otherPid = 50

/** A machine on which the API server installs a package, and another command looks on. */
async function installing(): Promise<{ machine: FakeMachine; other: FakeMachine['deps']; created: Promise<unknown> }> {
  const machine = createFakeMachine()
  const { deps } = machine
  machine.alive.set(otherPid, 'other')
  deps.processes.self = async () => ({ pid: selfPid, started: 'self', shared: true })
  const watchers: (() => void)[] = []
  const { statuses } = machine.deps
  deps.statuses = { ...statuses, watch: (_name, changed) => void watchers.push(changed) }
  deps.statuses.update = async (...args) => {
    const result = await statuses.update(...args)
    for (const changed of watchers) changed()
    return result
  }
  let begun = (): void => {}
  const installs = new Promise<void>((resolve) => {
    begun = resolve
  })
  const installer = await deps.installers('npx')
  installer.install = async (_resolved, _progress, signal) => {
    begun()
    return await new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
  }
  deps.installers = async () => installer
  const request = { name: 'a', source: 'npx://pkg', args: [], environment: {}, labels: {} }
  const create = async (signal: AbortSignal): Promise<unknown> =>
    await createWorkload(deps, { request }, () => {}, signal)
  const created = whileUncontested(deps, 'a', create, never)
  created.catch(() => {})
  await installs
  const processes = { ...deps.processes, self: async () => ({ pid: otherPid, started: 'other' }) }
  return { machine, other: { ...deps, processes }, created }
}

it('a workload that the API server is creating can be removed, and the server is not ended for it', async () => {
  const { machine, other, created } = await installing()
  await deleteWorkload(other, 'a', {}, never)
  await expect(created).rejects.toMatchObject({ code: 'cancelled' })
  expect([machine.signalled, machine.statuses.size, machine.configs.size]).toEqual([[], 0, 0])
})

it('a workload that the API server is creating can be stopped, and leaves no trace', async () => {
  const { machine, other, created } = await installing()
  await stopWorkload(other, 'a', {}, never)
  await expect(created).rejects.toMatchObject({ code: 'cancelled' })
  expect([machine.signalled, machine.statuses.size]).toEqual([[], 0])
})

it('an API server that does not let go is told about, and lives', async () => {
  const { machine, other } = await installing()
  machine.deps.statuses.watch = () => {}
  other.statuses.update = async (_name, change) => {
    const next = change(machine.statuses.get('a'))
    if (next !== undefined && next !== 'delete') machine.statuses.set('a', next)
    return machine.statuses.get('a')
  }
  await expect(deleteWorkload(other, 'a', {}, never)).rejects.toMatchObject({ code: 'workload-busy' })
  expect(machine.signalled).toEqual([])
})
