import { describe, expect, it } from 'vitest'
import { createFakeMachine, type FakeMachine } from '../fakes/fake-deps.ts'
import { runConfigSchemaVersion, type RunConfig } from '../domain/run-config.ts'
import { deleteWorkload } from './delete-workload.ts'
import { getWorkload } from './list-workloads.ts'
import type { RunRequest } from './run-request.ts'
import { runWorkload } from './run-workload.ts'
import { startWorkload } from './start-workload.ts'
import { stopWorkload } from './stop-workload.ts'

const never = new AbortController().signal
const quiet = (): void => {}

async function run(machine: FakeMachine, more: Partial<RunRequest>): Promise<RunConfig> {
  const request = { args: [], environment: {}, labels: {}, ...more }
  return await runWorkload(machine.deps, { request }, quiet, never)
}

describe('a workload in a container', () => {
  it('of an image is pulled, and says what it is', async () => {
    const machine = createFakeMachine()
    const config = await run(machine, { image: 'ghcr.io/owner/server:1', args: ['--flag'] })
    expect(machine.images).toEqual(['ghcr.io/owner/server:1'])
    expect(config).toMatchObject({
      name: 'owner-server',
      image: 'ghcr.io/owner/server:1',
      cmd_args: ['--flag'],
      thv: { runtime: 'container' },
    })
    expect(await getWorkload(machine.deps, 'owner-server')).toMatchObject({ package: 'ghcr.io/owner/server:1' })
  })

  it('of a package is built only when that is asked for', async () => {
    const machine = createFakeMachine()
    expect((await run(machine, { source: 'npx://pkg', name: 'plain' })).thv?.runtime).toBe('process')
    expect(machine.images).toEqual([])
    const config = await run(machine, { source: 'npx://pkg@1.2.3', runtime: 'container', name: 'boxed' })
    expect(config).toMatchObject({ image: 'toolhivelocal/npx-pkg:1', thv: { runtime: 'container' } })
    expect(machine.images).toEqual(['npx://pkg'])
  })

  it('may have a target port that is taken on this machine', async () => {
    const machine = createFakeMachine()
    machine.busyPorts.add(8080)
    const http = { transport: 'sse', targetPort: 8080 } as const
    expect((await run(machine, { image: 'x:1', ...http })).target_port).toBe(8080)
    await expect(run(machine, { source: 'npx://pkg', ...http })).rejects.toMatchObject({ code: 'port-in-use' })
  })

  it.each([
    [{ image: 'x:1', runtime: 'process' as const }, 'invalid-flag-combination'],
    [{ args: ['node'], runtime: 'container' as const }, 'invalid-flag-combination'],
    [{ image: 'Not An Image' }, 'invalid-argument'],
  ])('cannot be %j', async (more, code) => {
    const machine = createFakeMachine()
    await expect(run(machine, { name: 'a', ...more })).rejects.toMatchObject({ code })
    expect([...machine.statuses.keys()]).toEqual([])
  })

  it('has its containers removed by whoever stops, starts or removes it, whether or not they are on record', async () => {
    const machine = createFakeMachine()
    await run(machine, { image: 'x:1', name: 'a' })
    machine.alive.clear()
    machine.alive.set(100, 'self')
    await stopWorkload(machine.deps, 'a', {}, never)
    expect(machine.reapedContainers).toEqual(['a'])
    await startWorkload(machine.deps, 'a', { debug: false, progress: quiet }, never)
    await deleteWorkload(machine.deps, 'a', {}, never)
    expect(machine.reapedContainers).toEqual(['a', 'a', 'a'])
  })

  it('that was stopped has none left, so its engine is not needed to stop it again or to remove it', async () => {
    const machine = createFakeMachine()
    await run(machine, { image: 'x:1', name: 'a' })
    await stopWorkload(machine.deps, 'a', {}, never)
    expect(machine.statuses.get('a')?.status).toBe('stopped')
    machine.reapedContainers = []
    await stopWorkload(machine.deps, 'a', {}, never)
    await deleteWorkload(machine.deps, 'a', {}, never)
    expect(machine.reapedContainers).toEqual([])
    expect([...machine.statuses.keys()]).toEqual([])
  })

  it('that its supervisor could not end is stopped once its containers are gone', async () => {
    const machine = createFakeMachine()
    await run(machine, { image: 'x:1', name: 'a' })
    machine.onSigterm = ({ pid }) => {
      machine.statuses.set('a', { ...machine.statuses.get('a')!, status: 'error', status_context: 'not ended' })
      machine.alive.delete(pid)
    }
    await stopWorkload(machine.deps, 'a', {}, never)
    expect(machine.reapedContainers).toEqual(['a'])
    expect(machine.statuses.get('a')?.status).toBe('stopped')
  })

  it('asks no engine about a process', async () => {
    const machine = createFakeMachine()
    await run(machine, { source: 'npx://pkg', name: 'a' })
    await deleteWorkload(machine.deps, 'a', {}, never)
    expect(machine.reapedContainers).toEqual([])
  })

  it('has its containers removed also when its config is gone but its record names one', async () => {
    const machine = createFakeMachine()
    await run(machine, { image: 'x:1', name: 'a' })
    machine.configs.clear()
    const record = machine.statuses.get('a')!
    machine.statuses.set('a', { ...record, thv: { ...record.thv, server: { container: 'f00', engine: '/x.sock' } } })
    await deleteWorkload(machine.deps, 'a', {}, never)
    expect(machine.reapedContainers).toEqual(['a at /x.sock'])
    expect(machine.reaped).toEqual([])
  })

  it('is made of what another program exported', async () => {
    const machine = createFakeMachine()
    const config: RunConfig = {
      schema_version: runConfigSchemaVersion,
      image: 'x:1',
      name: 'a',
      transport: 'stdio',
      host: '127.0.0.1',
      port: 0,
      permission_profile: null,
    }
    await runWorkload(machine.deps, { config }, quiet, never)
    expect(machine.configs.get('a')?.thv).toEqual({ runtime: 'container' })
    expect(machine.images).toEqual(['x:1'])
  })
})
