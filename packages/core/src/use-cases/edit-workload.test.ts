import { describe, expect, it } from 'vitest'
import { createFakeMachine, type FakeMachine } from '../fakes/fake-deps.ts'
import { planEdit, replaceRunConfig } from './edit-workload.ts'
import type { RemoteRequest, RunRequest } from './run-request.ts'
import { createWorkload, runWorkload } from './run-workload.ts'

const never = new AbortController().signal
const quiet = (): void => {}
const requestOf = (more: Partial<RunRequest>): RunRequest & { name: string } => ({
  name: 'a',
  source: 'npx://pkg',
  args: [],
  environment: {},
  labels: {},
  ...more,
})

async function machineWith(more: Partial<RunRequest>): Promise<FakeMachine> {
  const machine = createFakeMachine()
  await runWorkload(machine.deps, { request: requestOf(more) }, quiet, never)
  // What it listens on is taken, by itself.
  const { port, target_port: target = 0 } = machine.configs.get('a') ?? { port: 0 }
  machine.busyPorts = new Set([port, target])
  return machine
}

describe('an edit', () => {
  it('replaces everything, but keeps the name and the port', async () => {
    const machine = await machineWith({ environment: { A: '1' }, proxyPort: 4000 })
    const config = await planEdit(machine.deps, requestOf({ args: ['x'] }), quiet, never)
    expect(config).toMatchObject({ name: 'a', port: 4000, cmd_args: ['x'] })
    expect(config.env_vars).toBeUndefined()
  })

  it('keeps a port of the server that it holds itself, and refuses one that another program holds', async () => {
    const machine = await machineWith({ transport: 'streamable-http', targetPort: 5000 })
    const http = { transport: 'streamable-http' as const }
    const same = await planEdit(machine.deps, requestOf({ ...http, targetPort: 5000 }), quiet, never)
    expect(same.target_port).toBe(5000)
    machine.busyPorts.add(6000)
    const taken = planEdit(machine.deps, requestOf({ ...http, targetPort: 6000 }), quiet, never)
    await expect(taken).rejects.toMatchObject({ code: 'port-in-use' })
  })

  it('keeps the token of a remote server and whom to trust, but gives them to no other server', async () => {
    const url = 'https://a.test/mcp'
    const { source: _none, ...request } = requestOf({})
    const machine = createFakeMachine()
    const remote = { url, bearerTokenFile: '/token', tokenFromEnvironment: true, caBundle: '/ca.pem' }
    await createWorkload(machine.deps, { request: { ...request, remote } }, quiet, never)
    const edited = async (more: RemoteRequest): Promise<unknown[]> => {
      const config = await planEdit(machine.deps, { ...request, remote: more }, quiet, never)
      return [config.remote_auth_config, config.thv?.token_from_environment, config.thv_ca_bundle]
    }
    expect(await edited({ url: 'https://a.test/other' })).toEqual([{ bearer_token_file: '/token' }, true, '/ca.pem'])
    expect(await edited({ url, headers: { authorization: 'Basic eA==' } })).toEqual([undefined, undefined, '/ca.pem'])
    for (const other of ['https://b.test/mcp', 'https://a.test:8443/mcp']) {
      expect(await edited({ url: other })).toEqual([
        { cached_refresh_token_ref: 'OAUTH_REFRESH_TOKEN_a' },
        undefined,
        undefined,
      ])
    }
  })

  it('changes nothing while it is planned', async () => {
    const machine = await machineWith({})
    const before = structuredClone([machine.configs, machine.statuses])
    await planEdit(machine.deps, requestOf({ args: ['x'] }), quiet, never)
    await expect(planEdit(machine.deps, requestOf({ group: 'none' }), quiet, never)).rejects.toThrow('none')
    expect([machine.configs, machine.statuses, machine.signalled]).toEqual([...before, []])
  })

  it('stops the workload, forgets the sessions and saves when it is carried out', async () => {
    const machine = await machineWith({})
    machine.sessions.add('a')
    const config = await planEdit(machine.deps, requestOf({ args: ['x'] }), quiet, never)
    await replaceRunConfig(machine.deps, config, never)
    expect(machine.configs.get('a')?.cmd_args).toEqual(['x'])
    expect([machine.statuses.get('a')?.status, machine.sessions.size]).toEqual(['stopped', 0])
  })

  it('needs a workload', async () => {
    const machine = createFakeMachine()
    await expect(planEdit(machine.deps, requestOf({}), quiet, never)).rejects.toMatchObject({
      code: 'workload-not-found',
    })
  })
})
