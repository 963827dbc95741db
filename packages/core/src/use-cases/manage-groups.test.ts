import { describe, expect, it } from 'vitest'
import { createFakeMachine, type FakeMachine } from '../fakes/fake-deps.ts'
import { createGroup, deleteGroup, getGroup, listGroups } from './manage-groups.ts'
import { runWorkload } from './run-workload.ts'

const never = new AbortController().signal

async function machineWith(...members: string[]): Promise<FakeMachine> {
  const machine = createFakeMachine()
  await createGroup(machine.deps, 'dev')
  for (const name of ['other', ...members]) {
    const request = { source: 'npx://pkg', args: [], environment: {}, labels: {}, name }
    const group = name === 'other' ? 'default' : 'dev'
    await runWorkload(machine.deps, { request: { ...request, group } }, () => {}, never)
  }
  return machine
}

describe('groups', () => {
  it('are listed sorted, with the default group also where nobody created it', async () => {
    const machine = await machineWith()
    await createGroup(machine.deps, 'apps')
    expect((await listGroups(machine.deps)).map(({ name }) => name)).toEqual(['apps', 'default', 'dev'])
    expect(await getGroup(machine.deps, 'default')).toEqual({ name: 'default', registered_clients: [] })
    await expect(getGroup(machine.deps, 'none')).rejects.toMatchObject({ code: 'group-not-found' })
  })

  it('are created once, under a legal name', async () => {
    const machine = await machineWith()
    for (const name of ['dev', 'default']) {
      await expect(createGroup(machine.deps, name)).rejects.toMatchObject({ code: 'group-exists' })
    }
    await expect(createGroup(machine.deps, 'Dev')).rejects.toMatchObject({ code: 'invalid-name' })
  })

  it('leave their workloads to the default group when they go', async () => {
    const machine = await machineWith('a', 'b')
    await deleteGroup(machine.deps, 'dev', { withWorkloads: false }, never)
    expect([...machine.configs.values()].map(({ name, group }) => [name, group])).toEqual([
      ['other', 'default'],
      ['a', 'default'],
      ['b', 'default'],
    ])
    expect([machine.signalled, await machine.deps.groups.load('dev')]).toEqual([[], undefined])
  })

  it('take their workloads along when that is asked for, and no others', async () => {
    const machine = await machineWith('a', 'b')
    await deleteGroup(machine.deps, 'dev', { withWorkloads: true }, never)
    expect([...machine.configs.keys()]).toEqual(['other'])
    expect(machine.statuses.get('other')?.status).toBe('running')
  })

  it('stay when one of their workloads cannot be deleted', async () => {
    const machine = await machineWith('a')
    machine.deps.processes.isAlive = async () => true
    await expect(deleteGroup(machine.deps, 'dev', { withWorkloads: true }, never)).rejects.toMatchObject({
      code: 'stop-timeout',
    })
    expect(await machine.deps.groups.load('dev')).toBeDefined()
  })

  it('are not deleted when they are the default one, or none', async () => {
    const machine = await machineWith()
    const remove = async (name: string): Promise<void> =>
      await deleteGroup(machine.deps, name, { withWorkloads: true }, never)
    await expect(remove('default')).rejects.toMatchObject({ code: 'invalid-argument' })
    await expect(remove('none')).rejects.toMatchObject({ code: 'group-not-found' })
    expect([...machine.configs.keys()]).toEqual(['other'])
  })
})
