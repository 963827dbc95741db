import { beforeEach, describe, expect, it } from 'vitest'
import { assertRunConfig, type RunConfig } from '../domain/run-config.ts'
import { ThvError } from '../errors.ts'
import { createFakeMachine, selfPid, type FakeMachine } from '../fakes/fake-deps.ts'
import { applyEvent } from './change-status.ts'
import { assertSupportedRunConfig } from './check-run-config.ts'
import { explainWorkload } from './explain-workload.ts'
import { getWorkload } from './list-workloads.ts'
import type { RunRequest } from './run-request.ts'
import { createWorkload, runWorkload } from './run-workload.ts'
import { startWorkload } from './start-workload.ts'

const signal = new AbortController().signal
const url = 'https://api.example.com/team/mcp?key=1'
const request: RunRequest = { args: [], environment: {}, labels: {}, remote: { url } }

/** As ToolHive writes it. */
const foreign = {
  schema_version: 'v0.1.0',
  image: '',
  name: 'far',
  transport: 'streamable-http',
  host: '127.0.0.1',
  port: 4000,
  permission_profile: null,
  remote_url: url,
  remote_auth_config: { use_pkce: true, timeout: 30_000_000_000, cached_token_expiry: '0001-01-01T00:00:00Z' },
} satisfies RunConfig

let machine: FakeMachine

beforeEach(() => {
  machine = createFakeMachine()
})

describe('a remote workload', () => {
  it('is saved under the name of its host, with nothing to install and no port of a server', async () => {
    const config = await createWorkload(machine.deps, { request }, () => {}, signal)
    expect(config).toMatchObject({
      name: 'example',
      image: '',
      remote_url: url,
      transport: 'streamable-http',
      thv: { runtime: 'remote', detects_transport: true },
    })
    expect(config.target_port).toBeUndefined()
    expect(machine.installed).toEqual([])
    expect(() => assertRunConfig(JSON.parse(JSON.stringify(config)), 'it')).not.toThrow()
    expect(() => assertSupportedRunConfig(config)).not.toThrow()
  })

  it('pins what its server speaks when that is said', async () => {
    const config = await createWorkload(machine.deps, { request: { ...request, transport: 'sse' } }, () => {}, signal)
    expect(config).toMatchObject({ transport: 'sse', thv: { runtime: 'remote' } })
    expect(config.thv?.detects_transport).toBeUndefined()
    expect((await getWorkload(machine.deps, 'example')).url).toBe('http://127.0.0.1:12345/team/mcp#example')
  })

  it.each<[string, Partial<RunRequest>]>([
    ['arguments', { args: ['a'] }],
    ['environment', { environment: { A: 'b' } }],
    ['stdio', { transport: 'stdio' }],
    ['volumes', { volumes: ['/a:/b'] }],
    ['isolation', { isolation: 'required' }],
    ['proxy mode', { proxyMode: 'sse' }],
    ['target port', { targetPort: 1 }],
    ['runtime', { runtime: 'process' }],
    ['Authorization', { remote: { url, headers: { authorization: 'a' }, bearerTokenFile: '/t' } }],
  ])('is not created with a wish for %s', async (what, more) => {
    const created = createWorkload(machine.deps, { request: { ...request, ...more } }, () => {}, signal)
    await expect(created).rejects.toThrow(what)
    expect(machine.statuses.size).toBe(0)
  })

  it('is run when another program has saved it', async () => {
    assertRunConfig(foreign, 'it')
    await createWorkload(machine.deps, { config: structuredClone(foreign) }, () => {}, signal)
    expect(await getWorkload(machine.deps, 'far')).toMatchObject({ remote: true, package: 'remote' })
  })

  it.each<[string, Partial<RunConfig>]>([
    ['headers of a registry entry', { remote_auth_config: { headers: [{}] } }],
    ['variables of a server that is not started', { secrets: ['A,target=B'] }],
    ['headers', { header_forward: { add_headers_from_file: { A: 'b' } } }],
    [
      'without its URL',
      { remote_url: '', image: 'npx://a@1.0.0', header_forward: { add_plaintext_headers: { A: 'b' } } },
    ],
  ])('that asks for %s is refused and not run in part', (what, more) => {
    expect(() => assertSupportedRunConfig({ ...foreign, ...more })).toThrow(what)
  })

  it.each<[string, Partial<RunConfig>]>([
    ['remote_url', { remote_url: 'http://example.com' }],
    ['stdio', { transport: 'stdio' }],
    ['header_forward', { header_forward: { add_plaintext_headers: { Host: 'b' } } }],
  ])('with a wrong %s is no run config', (what, more) => {
    expect(() => assertRunConfig({ ...foreign, ...more }, 'it')).toThrow(what)
  })

  it.each(['down', 'denied'] as const)(
    'whose server is %s at the start is created, and started again is left alone',
    async (event) => {
      machine.onLaunch = (name, supervisor) => {
        const record = machine.statuses.get(name)!
        const extension = { owner: supervisor }
        machine.statuses.set(name, applyEvent(record, event, new Date(), { processId: supervisor.pid, extension })!)
      }
      await runWorkload(machine.deps, { request }, () => {}, signal)
      const { status } = machine.statuses.get('example')!
      expect(status).toBe(event === 'down' ? 'unhealthy' : 'unauthenticated')
      const launches = machine.alive.size
      await startWorkload(machine.deps, 'example', { debug: false, progress: () => {} }, signal)
      expect(machine.alive.size).toBe(launches)
    },
  )
})

describe('explaining', () => {
  it('goes from what is seen to what led to it, and says what to do', async () => {
    await createWorkload(machine.deps, { request }, () => {}, signal)
    const probes = [
      { reason: 'serving', message: 'it answered', since: '2026-01-01T00:00:00Z', count: 9 },
      { reason: 'remote-dns', message: 'no such name', since: '2026-01-01T00:01:30Z', count: 3 },
    ] as const
    const record = machine.statuses.get('example')!
    const details = { context: 'Health check failed: no such name', reason: 'remote-dns', processId: selfPid } as const
    const down = applyEvent(record, 'down', new Date('2026-01-01T00:01:40Z'), {
      ...details,
      extension: { probes: [...probes] },
    })!
    machine.statuses.set('example', down)
    const before = structuredClone(down)
    expect(await explainWorkload(machine.deps, 'example')).toMatchObject({
      status: 'unhealthy',
      reason: 'remote-dns',
      since: '2026-01-01T00:01:40.000Z',
      causes: [
        { at: '2026-01-01T00:01:40.000Z', message: 'it is unhealthy: Health check failed: no such name' },
        { at: '2026-01-01T00:01:30Z', message: 'since then its probes have found: no such name' },
        { at: '2026-01-01T00:00:00Z', message: 'before that, 9 times: it answered' },
        { message: expect.stringContaining(`process ${selfPid}`) },
      ],
      probes,
      todo: expect.stringContaining('check the name and the network'),
    })
    expect(machine.statuses.get('example')).toEqual(before)
  })

  it('of a workload whose supervisor died says so, and how to start it', async () => {
    await createWorkload(machine.deps, { request }, () => {}, signal)
    const running = applyEvent(machine.statuses.get('example')!, 'ready', new Date(), {
      processId: 7,
      extension: {
        owner: { pid: 7, started: 'gone' },
        probes: [{ reason: 'serving', message: 'it answered', since: '2026-01-01T00:00:00Z', count: 1 }],
      },
    })!
    machine.statuses.set('example', running)
    const explanation = await explainWorkload(machine.deps, 'example')
    expect(explanation).toMatchObject({
      status: 'unhealthy',
      reason: 'supervisor-gone',
      todo: expect.stringContaining("'thv start example'"),
    })
    // Nobody asks any more, so nothing is found since then.
    expect(explanation.causes).toContainEqual({
      at: '2026-01-01T00:00:00Z',
      message: 'its last probes found: it answered',
    })
    expect(explanation.supervisor_pid).toBeUndefined()
  })

  it('of a workload that another program calls unhealthy claims to know no more', async () => {
    machine.configs.set('far', structuredClone(foreign))
    const stamp = '2026-01-01T00:00:00Z'
    machine.statuses.set('far', { status: 'unhealthy', created_at: stamp, updated_at: stamp, process_id: 0 })
    expect(await explainWorkload(machine.deps, 'far')).toMatchObject({
      reason: 'reported-unhealthy',
      todo: expect.stringContaining("'thv restart far'"),
    })
  })

  it('of a workload whose status file is damaged says that', async () => {
    machine.configs.set('far', structuredClone(foreign))
    const statuses = {
      ...machine.deps.statuses,
      read: async () => await Promise.reject(new ThvError('state-corrupt', 'it is damaged')),
    }
    expect(await explainWorkload({ ...machine.deps, statuses }, 'far')).toMatchObject({
      status: 'unknown',
      reason: 'status-unreadable',
    })
  })

  it('knows what is saved but was never started, and nothing of what is not there', async () => {
    machine.configs.set('far', structuredClone(foreign))
    expect(await explainWorkload(machine.deps, 'far')).toMatchObject({ status: 'stopped', reason: 'stopped' })
    await expect(explainWorkload(machine.deps, 'none')).rejects.toMatchObject({ code: 'workload-not-found' })
  })
})
