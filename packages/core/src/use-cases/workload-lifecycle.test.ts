import { describe, expect, it } from 'vitest'
import { createFakeMachine, selfPid, serve } from '../fakes/fake-deps.ts'
import { runConfigSchemaVersion, type RunConfig } from '../domain/run-config.ts'
import { ThvError } from '../errors.ts'
import { deleteWorkload } from './delete-workload.ts'
import { getWorkload, listWorkloads } from './list-workloads.ts'
import { runWorkload } from './run-workload.ts'
import type { RunRequest } from './run-request.ts'
import { restartWorkload, startWorkload } from './start-workload.ts'
import { stopWorkload } from './stop-workload.ts'

const never = new AbortController().signal
const quiet = (): void => {}
const request = (more: Partial<RunRequest> = {}): { request: RunRequest } => ({
  request: { source: 'npx://pkg', args: [], environment: {}, labels: {}, ...more },
})
const start = { debug: false, progress: quiet }

describe('run', () => {
  it('saves the resolved package and ends in running', async () => {
    const machine = createFakeMachine()
    const config = await runWorkload(machine.deps, request({ name: 'a' }), quiet, never)
    expect(config).toMatchObject({ name: 'a', image: 'npx://pkg@1.0.0', port: 12_345, transport: 'stdio' })
    expect(machine.statuses.get('a')).toMatchObject({ status: 'running', process_id: 1000 })
    expect((await getWorkload(machine.deps, 'a')).url).toBe('http://127.0.0.1:12345/mcp')
  })

  it('pins a workload to one shared server on request, and only where there can be more', async () => {
    const machine = createFakeMachine()
    const shared = await runWorkload(machine.deps, request({ name: 'a', sharedServer: true }), quiet, never)
    const free = await runWorkload(machine.deps, request({ name: 'b' }), quiet, never)
    expect([shared.thv?.lanes, free.thv?.lanes]).toEqual(['shared', undefined])
    const http = request({ name: 'c', sharedServer: true, transport: 'streamable-http' })
    await expect(runWorkload(machine.deps, http, quiet, never)).rejects.toMatchObject({
      code: 'invalid-flag-combination',
    })
  })

  it('pins a workload to an era on request', async () => {
    const machine = createFakeMachine()
    const pinned = await runWorkload(machine.deps, request({ name: 'a', era: 'modern' }), quiet, never)
    const free = await runWorkload(machine.deps, request({ name: 'b' }), quiet, never)
    expect([pinned.thv?.era, free.thv?.era]).toEqual(['modern', undefined])
  })

  it('saves how the proxy is reached from beyond another one', async () => {
    const machine = createFakeMachine()
    const front = { transport: 'sse', trustProxyHeaders: true, endpointPrefix: '/team/notes' } as const
    const config = await runWorkload(machine.deps, request({ name: 'a', ...front }), quiet, never)
    expect(config).toMatchObject({ trust_proxy_headers: true, endpoint_prefix: '/team/notes' })
  })

  it.each([
    [{ stateless: true, proxyMode: 'sse' }, 'invalid-flag-combination'],
    [{ stateless: true, transport: 'sse' }, 'invalid-flag-combination'],
    [{ stateless: true, sessionTtl: '1m' }, 'invalid-flag-combination'],
    [{ sessionTtl: 'soon' }, 'invalid-argument'],
    [{ endpointPrefix: '/a' }, 'invalid-flag-combination'],
    [{ transport: 'streamable-http', endpointPrefix: '/a' }, 'invalid-flag-combination'],
    [{ transport: 'sse', endpointPrefix: 'a' }, 'invalid-argument'],
    [{ transport: 'sse', endpointPrefix: '//evil' }, 'invalid-argument'],
    [{ proxyMode: 'sse', endpointPrefix: '/a?b' }, 'invalid-argument'],
  ] as const)('refuses %j with %s', async (more, code) => {
    const machine = createFakeMachine()
    await expect(runWorkload(machine.deps, request({ name: 'a', ...more }), quiet, never)).rejects.toMatchObject({
      code,
    })
  })

  it('refuses a name that is in use, and changes nothing', async () => {
    const machine = createFakeMachine()
    await runWorkload(machine.deps, request({ name: 'a' }), quiet, never)
    const before = structuredClone(machine.statuses.get('a'))
    await expect(runWorkload(machine.deps, request({ name: 'a' }), quiet, never)).rejects.toMatchObject({
      code: 'workload-exists',
      message: "workload with name 'a' already exists",
    })
    expect(machine.statuses.get('a')).toEqual(before)
  })

  it('refuses the name of a stopped workload too', async () => {
    const machine = createFakeMachine()
    await runWorkload(machine.deps, request({ name: 'a' }), quiet, never)
    await stopWorkload(machine.deps, 'a', {}, never)
    await expect(runWorkload(machine.deps, request({ name: 'a' }), quiet, never)).rejects.toMatchObject({
      code: 'workload-exists',
    })
  })

  it('takes the name of a failed workload', async () => {
    const machine = createFakeMachine()
    machine.onLaunch = (name, supervisor) => {
      const record = machine.statuses.get(name)!
      machine.statuses.set(name, { ...record, status: 'error', status_context: 'boom', process_id: 0 })
      machine.alive.delete(supervisor.pid)
    }
    await expect(runWorkload(machine.deps, request({ name: 'a' }), quiet, never)).rejects.toMatchObject({
      code: 'server-exited',
      message: "'a' did not start: boom",
    })
    machine.onLaunch = (name, supervisor) => serve(machine, name, supervisor)
    await runWorkload(machine.deps, request({ name: 'a' }), quiet, never)
    expect(machine.statuses.get('a')?.status).toBe('running')
  })

  it('leaves no trace when the config cannot be saved', async () => {
    const machine = createFakeMachine()
    machine.failSave = new ThvError('state-full', 'no space')
    await expect(runWorkload(machine.deps, request({ name: 'a' }), quiet, never)).rejects.toMatchObject({
      code: 'state-full',
    })
    expect(machine.statuses.size).toBe(0)
    expect(machine.configs.size).toBe(0)
  })

  it('fails at once when the supervisor dies without a word, and says how it died', async () => {
    const machine = createFakeMachine()
    machine.onLaunch = (_name, supervisor) => {
      machine.alive.delete(supervisor.pid)
    }
    await expect(runWorkload(machine.deps, request({ name: 'a' }), quiet, never)).rejects.toMatchObject({
      code: 'supervisor-failed',
      message: "'a' did not start: its supervisor was killed by SIGKILL",
    })
    const { workloads } = await listWorkloads(machine.deps, {})
    expect(workloads).toMatchObject([
      { name: 'a', status: 'error', status_context: 'its supervisor was killed by SIGKILL' },
    ])
  })

  it('refuses a port that is taken before anything is saved', async () => {
    const machine = createFakeMachine()
    machine.busyPorts.add(4000)
    await expect(
      runWorkload(machine.deps, request({ name: 'a', proxyPort: 4000 }), quiet, never),
    ).rejects.toMatchObject({ code: 'port-in-use', message: 'requested proxy port 4000 is not available' })
    expect(machine.statuses.size).toBe(0)
  })

  it('refuses an unknown group and a bad name', async () => {
    const machine = createFakeMachine()
    await expect(runWorkload(machine.deps, request({ group: 'dev' }), quiet, never)).rejects.toMatchObject({
      message: "group 'dev' does not exist",
    })
    await expect(runWorkload(machine.deps, request({ name: '../x' }), quiet, never)).rejects.toMatchObject({
      code: 'invalid-name',
    })
  })

  it('removes the workload again when interrupted while it starts', async () => {
    const machine = createFakeMachine()
    const controller = new AbortController()
    machine.onLaunch = () => {
      setImmediate(() => controller.abort(new Error('received SIGINT')))
    }
    await expect(runWorkload(machine.deps, request({ name: 'a' }), quiet, controller.signal)).rejects.toThrow('SIGINT')
    expect(machine.statuses.size).toBe(0)
    expect(machine.configs.size).toBe(0)
  })
})

describe('start, stop, restart, delete', () => {
  it('starting a running workload launches no second supervisor', async () => {
    const machine = createFakeMachine()
    await runWorkload(machine.deps, request({ name: 'a' }), quiet, never)
    await startWorkload(machine.deps, 'a', start, never)
    expect(machine.statuses.get('a')?.process_id).toBe(1000)
  })

  it('a restart keeps the port and gets a new supervisor', async () => {
    const machine = createFakeMachine()
    await runWorkload(machine.deps, request({ name: 'a' }), quiet, never)
    await restartWorkload(machine.deps, 'a', { ...start, timeoutMs: 1000 }, never)
    expect(machine.statuses.get('a')).toMatchObject({ status: 'running', process_id: 1001 })
    expect(machine.configs.get('a')?.port).toBe(12_345)
  })

  it('a stop ends in stopped and a default list hides it', async () => {
    const machine = createFakeMachine()
    await runWorkload(machine.deps, request({ name: 'a' }), quiet, never)
    await stopWorkload(machine.deps, 'a', {}, never)
    expect(machine.statuses.get('a')).toMatchObject({ status: 'stopped', process_id: 0 })
    expect((await listWorkloads(machine.deps, {})).workloads).toEqual([])
    expect((await listWorkloads(machine.deps, { all: true })).workloads).toHaveLength(1)
  })

  it('a supervisor that ignores SIGTERM is killed after the timeout', async () => {
    const machine = createFakeMachine()
    machine.onSigterm = quiet
    await runWorkload(machine.deps, request({ name: 'a' }), quiet, never)
    await stopWorkload(machine.deps, 'a', { timeoutMs: 1000 }, never)
    expect(machine.alive.has(1000)).toBe(false)
    expect(machine.statuses.get('a')?.status).toBe('stopped')
  })

  it('a killed supervisor reads unhealthy, without a write, and can be started at once', async () => {
    const machine = createFakeMachine()
    await runWorkload(machine.deps, request({ name: 'a' }), quiet, never)
    machine.alive.delete(1000)
    const before = structuredClone(machine.statuses.get('a'))
    const { workloads } = await listWorkloads(machine.deps, {})
    expect(workloads[0]).toMatchObject({
      status: 'unhealthy',
      status_context: 'proxy process not running: workload shows running but proxy process for a is not active',
    })
    expect(machine.statuses.get('a')).toEqual(before)
    await startWorkload(machine.deps, 'a', start, never)
    expect(machine.statuses.get('a')).toMatchObject({ status: 'running', process_id: 1001 })
  })

  it('a pid that was given to another process does not count as the supervisor', async () => {
    const machine = createFakeMachine()
    await runWorkload(machine.deps, request({ name: 'a' }), quiet, never)
    machine.alive.set(1000, 'someone else')
    expect((await getWorkload(machine.deps, 'a')).status).toBe('unhealthy')
    await stopWorkload(machine.deps, 'a', {}, never)
    expect(machine.alive.has(1000)).toBe(true)
  })

  it('stopping reaps what a dead supervisor left behind', async () => {
    const machine = createFakeMachine()
    await runWorkload(machine.deps, request({ name: 'a' }), quiet, never)
    const server = { pid: 7, started: 'x', group: 7, marker: 'm' }
    const record = machine.statuses.get('a')!
    const lanes = [8, 9].map((pid) => ({ pid, started: 'x', group: pid, marker: `m${pid}` }))
    machine.statuses.set('a', { ...record, thv: { ...record.thv, server, lanes } })
    machine.alive.delete(1000)
    await stopWorkload(machine.deps, 'a', {}, never)
    expect(machine.reaped).toEqual([server, ...lanes])
    expect(machine.statuses.get('a')).toMatchObject({ status: 'stopped' })
    expect(Object.keys(machine.statuses.get('a')!.thv!)).not.toContain('lanes')
  })

  it('running a failed workload again hands on what its dead supervisor left behind', async () => {
    const machine = createFakeMachine()
    await runWorkload(machine.deps, request({ name: 'a' }), quiet, never)
    const lanes = [{ pid: 8, started: 'x', group: 8, marker: 'm' }]
    const record = machine.statuses.get('a')!
    machine.statuses.set('a', { ...record, status: 'error', thv: { ...record.thv, lanes } })
    machine.alive.delete(1000)
    await runWorkload(machine.deps, request({ name: 'a' }), quiet, never)
    expect(machine.statuses.get('a')?.thv?.lanes).toEqual(lanes)
  })

  it('removing reaps the servers of single clients too', async () => {
    const machine = createFakeMachine()
    await runWorkload(machine.deps, request({ name: 'a' }), quiet, never)
    const lanes = [{ pid: 8, started: 'x', group: 8, marker: 'm' }]
    const record = machine.statuses.get('a')!
    machine.statuses.set('a', { ...record, thv: { ...record.thv, lanes } })
    machine.alive.delete(1000)
    await deleteWorkload(machine.deps, 'a', {}, never)
    expect(machine.reaped).toEqual(lanes)
  })

  it('sessions are forgotten with a removal, and when another server takes the name', async () => {
    const machine = createFakeMachine()
    machine.sessions.add('a')
    await runWorkload(machine.deps, request({ name: 'a' }), quiet, never)
    expect(machine.sessions.has('a')).toBe(false)
    machine.sessions.add('a')
    await stopWorkload(machine.deps, 'a', {}, never)
    expect(machine.sessions.has('a')).toBe(true)
    await deleteWorkload(machine.deps, 'a', {}, never)
    expect(machine.sessions.has('a')).toBe(false)
  })

  it('a removal deletes config and status and can be repeated after an interruption', async () => {
    const machine = createFakeMachine()
    await runWorkload(machine.deps, request({ name: 'a' }), quiet, never)
    const record = machine.statuses.get('a')!
    machine.statuses.set('a', { ...record, status: 'removing' })
    machine.alive.delete(1000)
    expect((await getWorkload(machine.deps, 'a')).status).toBe('error')
    await deleteWorkload(machine.deps, 'a', {}, never)
    expect(machine.statuses.size + machine.configs.size).toBe(0)
    await expect(deleteWorkload(machine.deps, 'a', {}, never)).rejects.toMatchObject({ code: 'workload-not-found' })
  })

  it('unknown names are not found', async () => {
    const machine = createFakeMachine()
    for (const action of [
      async () => await startWorkload(machine.deps, 'nope', start, never),
      async () => await stopWorkload(machine.deps, 'nope', {}, never),
      async () => await deleteWorkload(machine.deps, 'nope', {}, never),
      async () => await getWorkload(machine.deps, 'nope'),
    ]) {
      await expect(action()).rejects.toMatchObject({ code: 'workload-not-found', message: "workload 'nope' not found" })
    }
  })

  it('a start that fails before the launch says why in the status', async () => {
    const machine = createFakeMachine()
    await runWorkload(machine.deps, request({ name: 'a' }), quiet, never)
    await stopWorkload(machine.deps, 'a', {}, never)
    machine.busyPorts.add(12_345)
    await expect(startWorkload(machine.deps, 'a', start, never)).rejects.toMatchObject({ code: 'port-in-use' })
    expect(await getWorkload(machine.deps, 'a')).toMatchObject({ status: 'error' })
  })

  it('a status written by ToolHive counts as running while its pid is a supervisor', async () => {
    const machine = createFakeMachine()
    await runWorkload(machine.deps, request({ name: 'a' }), quiet, never)
    const { thv: _thv, ...foreign } = machine.statuses.get('a')!
    machine.statuses.set('a', foreign)
    expect((await getWorkload(machine.deps, 'a')).status).toBe('running')
    await stopWorkload(machine.deps, 'a', {}, never)
    expect(machine.statuses.get('a')?.status).toBe('stopped')
    expect([...machine.alive.keys()]).toEqual([selfPid])
  })

  it('a config that ToolHive saved again without our keys still starts the same package', async () => {
    const machine = createFakeMachine()
    await runWorkload(machine.deps, request({ name: 'a' }), quiet, never)
    await stopWorkload(machine.deps, 'a', {}, never)
    const { thv: _thv, ...foreign } = machine.configs.get('a')!
    machine.configs.set('a', foreign)
    await startWorkload(machine.deps, 'a', start, never)
    expect(machine.installed.at(-1)).toEqual({ kind: 'npx', name: 'pkg', version: '1.0.0' })
  })
})

describe('what the server is to listen on', () => {
  const http = { name: 'a', transport: 'streamable-http' as const }

  it('a given target port that is taken is refused before anything is saved', async () => {
    const machine = createFakeMachine()
    machine.busyPorts.add(4000)
    await expect(runWorkload(machine.deps, request({ ...http, targetPort: 4000 }), quiet, never)).rejects.toMatchObject(
      { code: 'port-in-use', message: expect.stringContaining('target port 4000') },
    )
    expect(machine.statuses.size + machine.configs.size).toBe(0)
  })

  it('a target port that was taken meanwhile is refused at the start, after leftovers were ended', async () => {
    const machine = createFakeMachine()
    await runWorkload(machine.deps, request({ ...http, targetPort: 4000 }), quiet, never)
    const server = { pid: 7, started: 'x', group: 7, marker: 'm' }
    const record = machine.statuses.get('a')!
    machine.statuses.set('a', { ...record, thv: { ...record.thv, server } })
    machine.alive.delete(1000)
    machine.busyPorts.add(4000)
    await expect(startWorkload(machine.deps, 'a', start, never)).rejects.toMatchObject({
      code: 'port-in-use',
      message: expect.stringContaining('target port 4000'),
    })
    expect(machine.reaped).toEqual([server])
    expect(machine.alive.has(1001)).toBe(false)
  })

  it.each([{ host: '' }, { host: '[::1]' }, { ...http, targetHost: 'http://x' }])(
    'refuses the host of %j',
    async (more) => {
      const machine = createFakeMachine()
      await expect(runWorkload(machine.deps, request({ name: 'a', ...more }), quiet, never)).rejects.toMatchObject({
        code: 'host-invalid',
      })
      expect(machine.statuses.size).toBe(0)
    },
  )

  it('a config from a file gets a target port, or has its own checked', async () => {
    const machine = createFakeMachine()
    const config: RunConfig = {
      schema_version: runConfigSchemaVersion,
      image: 'npx://pkg@1.0.0',
      name: 'a',
      transport: 'sse',
      host: '',
      port: 0,
      permission_profile: null,
    }
    await runWorkload(machine.deps, { config: { ...config } }, quiet, never)
    expect(machine.configs.get('a')?.target_port).toBe(12_345)
    machine.busyPorts.add(4000)
    await expect(
      runWorkload(machine.deps, { config: { ...config, name: 'b', target_port: 4000 } }, quiet, never),
    ).rejects.toMatchObject({ code: 'port-in-use' })
    expect([...machine.statuses.keys()]).toEqual(['a'])
  })

  it('refuses NUL bytes that no process could be given', async () => {
    const machine = createFakeMachine()
    for (const more of [{ args: ['a\0'] }, { environment: { A: '\0' } }, { environment: { 'A\0': '' } }]) {
      await expect(runWorkload(machine.deps, request(more), quiet, never)).rejects.toMatchObject({
        code: 'invalid-argument',
      })
    }
  })
})

describe('a supervisor that writes its verdict and exits between two looks', () => {
  it('is judged by its verdict, by whoever waits and by whoever lists', async () => {
    const machine = createFakeMachine()
    machine.onLaunch = () => {}
    const { processes } = machine.deps
    machine.deps.processes = {
      ...processes,
      isAlive: async (identity) => {
        const record = machine.statuses.get('a')
        if (identity.pid !== selfPid && record?.status === 'starting') {
          machine.statuses.set('a', { ...record, status: 'error', status_context: 'boom', process_id: 0 })
          machine.alive.delete(identity.pid)
        }
        return await processes.isAlive(identity)
      },
    }
    await expect(runWorkload(machine.deps, request({ name: 'a' }), quiet, never)).rejects.toMatchObject({
      message: "'a' did not start: boom",
    })
    const dying = { ...machine.statuses.get('a')!, status: 'starting' as const, process_id: 1000 }
    machine.statuses.set('a', { ...dying, thv: { owner: { pid: 1000, started: 'boot:1000' } } })
    expect(await getWorkload(machine.deps, 'a')).toMatchObject({ status: 'error', status_context: 'boom' })
  })
})

describe('a disk that takes no status', () => {
  it.each(['state-full', 'state-denied', 'state-failed'] as const)(
    '(%s) does not keep a server running',
    async (code) => {
      const machine = createFakeMachine()
      await runWorkload(machine.deps, request({ name: 'a' }), quiet, never)
      const server = { pid: 7, started: 'x', group: 7, marker: 'm' }
      const record = machine.statuses.get('a')!
      machine.statuses.set('a', { ...record, thv: { ...record.thv, server } })
      machine.failUpdate = new ThvError(code, 'cannot write')
      await expect(stopWorkload(machine.deps, 'a', {}, never)).rejects.toMatchObject({
        code,
        message: "'a' was stopped, but its status could not be written: cannot write",
      })
      expect([...machine.alive.keys()]).toEqual([selfPid])
      expect(machine.reaped).toEqual([server])
    },
  )

  it('does not keep a server running that is removed', async () => {
    const machine = createFakeMachine()
    await runWorkload(machine.deps, request({ name: 'a' }), quiet, never)
    machine.failUpdate = new ThvError('state-full', 'no space')
    await expect(deleteWorkload(machine.deps, 'a', {}, never)).rejects.toMatchObject({
      code: 'state-full',
      message: "'a' was stopped, but could not be removed: no space",
    })
    expect([...machine.alive.keys()]).toEqual([selfPid])
  })

  it('ends nobody who cannot be proven to be the supervisor', async () => {
    const machine = createFakeMachine()
    await runWorkload(machine.deps, request({ name: 'a' }), quiet, never)
    machine.alive.set(1000, 'someone else')
    machine.failUpdate = new ThvError('state-full', 'no space')
    await expect(stopWorkload(machine.deps, 'a', {}, never)).rejects.toMatchObject({ code: 'state-full' })
    expect(machine.signalled).toEqual([])
  })
})

describe('a workload that another program runs', () => {
  it('is neither said to be stopped nor removed, and says nothing of its isolation', async () => {
    const machine = createFakeMachine()
    await runWorkload(machine.deps, request({ name: 'a' }), quiet, never)
    const record = machine.statuses.get('a')!
    machine.statuses.set('a', { ...record, thv: { ...record.thv, isolation: 'sandbox' } })
    expect((await getWorkload(machine.deps, 'a')).isolation).toBe('sandbox')
    const { thv: _thv, ...config } = machine.configs.get('a')!
    machine.configs.set('a', { ...config, image: 'ghcr.io/x/fetch:1' })
    const before = structuredClone(machine.statuses.get('a'))
    for (const action of [stopWorkload, deleteWorkload]) {
      await expect(action(machine.deps, 'a', {}, never)).rejects.toMatchObject({
        code: 'runtime-unsupported',
        message: "'a' runs image 'ghcr.io/x/fetch:1', which this thv does not run",
        hint: expect.stringContaining('with the program that runs it'),
      })
    }
    expect(machine.statuses.get('a')).toEqual(before)
    expect(machine.signalled).toEqual([])
    expect(await getWorkload(machine.deps, 'a')).not.toHaveProperty('isolation')
  })
})

describe('what a list says of a command', () => {
  it.each([
    ['server.js', 'node server.js'],
    ['--inspect', 'node'],
    ['TOKEN=hunter2', 'node'],
    ['https://user:hunter2@example.com', 'node'],
  ])('with the first argument %s it is %s', async (argument, shown) => {
    const machine = createFakeMachine()
    const local = { request: { args: ['node', argument], environment: {}, labels: {}, name: 'a' } }
    await runWorkload(machine.deps, local, quiet, never)
    expect((await getWorkload(machine.deps, 'a')).package).toBe(shown)
  })
})
