import { beforeEach, describe, expect, it } from 'vitest'
import { assertRunConfig, type RunConfig } from '../domain/run-config.ts'
import { ThvError } from '../errors.ts'
import { createFakeMachine, type FakeMachine } from '../fakes/fake-deps.ts'
import { deleteWorkload } from './delete-workload.ts'
import { planEdit, replaceRunConfig } from './edit-workload.ts'
import type { RunRequest } from './run-request.ts'
import { runWorkload } from './run-workload.ts'
import { startWorkload } from './start-workload.ts'
import { listWorkloadsUsingSecret } from './workload-secrets.ts'

const { signal } = new AbortController()
const quiet = (): void => {}
const url = 'https://notes.example.com/mcp'
const kept = '__thv_workloads_BEARER_TOKEN_notes'
let machine: FakeMachine

beforeEach(() => {
  machine = createFakeMachine()
})

async function run(more: Partial<RunRequest>): Promise<RunConfig> {
  const request = { args: [], environment: {}, labels: {}, name: 'notes', ...more }
  return await runWorkload(machine.deps, { request }, quiet, signal)
}

describe('a secret of a local server', () => {
  it('stands in the run config by its name alone', async () => {
    machine.secrets.set('github', 'hidden')
    const config = await run({ source: 'npx://pkg', secrets: ['github,target=TOKEN'] })
    expect(config.secrets).toEqual(['github,target=TOKEN'])
    expect(JSON.stringify([...machine.configs, ...machine.statuses])).not.toContain('hidden')
    expect(() => assertRunConfig(JSON.parse(JSON.stringify(config)), 'it')).not.toThrow()
    expect(await listWorkloadsUsingSecret(machine.deps.configs, 'github')).toEqual(['notes'])
    expect(await listWorkloadsUsingSecret(machine.deps.configs, 'other')).toEqual([])
  })

  it('that is not there is told before anything is installed or saved', async () => {
    await expect(run({ source: 'npx://pkg', secrets: ['github,target=TOKEN'] })).rejects.toMatchObject({
      code: 'secret-not-found',
      message: "a secret of 'notes' cannot be used: secret not found: 'github'",
      hint: "run 'thv secret set github'",
    })
    expect([machine.installed, machine.configs.size, machine.statuses.size]).toEqual([[], 0, 0])
  })

  it('that was deleted since is told at the next start, before anything is started', async () => {
    machine.secrets.set('github', 'hidden')
    await run({ source: 'npx://pkg', secrets: ['github,target=TOKEN'] })
    for (const pid of machine.alive.keys()) if (pid !== 100) machine.alive.delete(pid)
    machine.secrets.clear()
    let launched = false
    machine.onLaunch = () => {
      launched = true
    }
    const starting = startWorkload(machine.deps, 'notes', { debug: false, progress: quiet }, signal)
    await expect(starting).rejects.toMatchObject({ code: 'secret-not-found' })
    expect(launched).toBe(false)
    expect(machine.statuses.get('notes')?.status).toBe('error')
  })

  it('of a config from a file is checked as well', async () => {
    machine.secrets.set('github', 'hidden')
    const config = await run({ source: 'npx://pkg', secrets: ['github,target=TOKEN'], name: 'first' })
    machine.secrets.clear()
    const copy = { ...structuredClone(config), name: 'copy' }
    const running = runWorkload(machine.deps, { config: copy }, quiet, signal)
    await expect(running).rejects.toMatchObject({ code: 'secret-not-found' })
  })
})

describe('a header from a secret', () => {
  it('stands in the run config by the name of the secret', async () => {
    machine.secrets.set('key', 'hidden')
    const config = await run({ remote: { url, secretHeaders: { 'X-Key': 'key' } } })
    expect(config.header_forward).toEqual({ add_headers_from_secret: { 'X-Key': 'key' } })
    expect(() => assertRunConfig(JSON.parse(JSON.stringify(config)), 'it')).not.toThrow()
    expect(await listWorkloadsUsingSecret(machine.deps.configs, 'key')).toEqual(['notes'])
  })

  it.each([
    ['a header that the proxy sets', { secretHeaders: { Host: 'key' } }, 'invalid-argument'],
    ["a secret of thv's own", { secretHeaders: { 'X-Key': kept } }, 'invalid-argument'],
    ['a header twice', { secretHeaders: { 'X-Key': 'key' }, headers: { 'x-key': '1' } }, 'invalid-flag-combination'],
    ['a token twice', { secretHeaders: { authorization: 'key' }, bearerToken: 't' }, 'invalid-flag-combination'],
    ['a value that no header can hold', { secretHeaders: { 'X-Key': 'lines' } }, 'invalid-argument'],
    ['a secret that is not there', { secretHeaders: { 'X-Key': 'none' } }, 'secret-not-found'],
  ])('is refused for %s', async (_, refused, code) => {
    machine.secrets.set('key', '1').set('lines', 'hidden\nvalue').set(kept, 'hidden')
    const running = run({ remote: { url, ...refused } })
    await expect(running).rejects.toMatchObject({ code, message: expect.not.stringContaining('hidden') })
    expect(machine.configs.size).toBe(0)
  })
})

describe('the token of a remote server', () => {
  it('goes into the store, and with its workload out of it', async () => {
    const config = await run({ remote: { url, bearerToken: 'hidden' } })
    expect(config.remote_auth_config).toEqual({ bearer_token: 'BEARER_TOKEN_notes,target=bearer_token' })
    expect([...machine.secrets]).toEqual([[kept, 'hidden']])
    expect(JSON.stringify([...machine.configs])).not.toContain('hidden')
    await deleteWorkload(machine.deps, 'notes', {}, signal)
    expect(machine.secrets.size).toBe(0)
  })

  it('needs no provider, because it is nothing that a user keeps', async () => {
    machine.provider = undefined
    await run({ remote: { url, bearerToken: 'hidden' } })
    expect(machine.secrets.get(kept)).toBe('hidden')
  })

  it('gets another name when its own is taken, and takes nothing away from whom it was', async () => {
    machine.secrets.set(kept, 'left behind')
    const config = await run({ remote: { url, bearerToken: 'hidden' } })
    expect(config.remote_auth_config?.['bearer_token']).toBe('BEARER_TOKEN_notes_2,target=bearer_token')
    await deleteWorkload(machine.deps, 'notes', {}, signal)
    expect([...machine.secrets.keys()]).toEqual([kept])
  })

  it('is taken back when the workload cannot be saved', async () => {
    machine.failSave = new Error('no disk')
    await expect(run({ remote: { url, bearerToken: 'hidden' } })).rejects.toThrow('no disk')
    expect(machine.secrets.size).toBe(0)
  })

  it('stays while another workload uses it, and so does a secret of the user', async () => {
    const config = await run({ remote: { url, bearerToken: 'hidden' } })
    await runWorkload(machine.deps, { config: { ...structuredClone(config), name: 'copy', port: 0 } }, quiet, signal)
    await deleteWorkload(machine.deps, 'notes', {}, signal)
    expect([...machine.secrets.keys()]).toEqual([kept])
    await deleteWorkload(machine.deps, 'copy', {}, signal)
    expect(machine.secrets.size).toBe(0)
    machine.secrets.set('mine', 'hidden')
    await run({ remote: { url, bearerTokenSecret: 'mine' } })
    await deleteWorkload(machine.deps, 'notes', {}, signal)
    expect([...machine.secrets.keys()]).toEqual(['mine'])
  })

  it('does not keep a workload from being removed when the store cannot be opened', async () => {
    await run({ remote: { url, bearerToken: 'hidden' } })
    const { store } = machine.deps.userSecrets
    store.update = async () => await Promise.reject(new ThvError('secrets-locked-away', 'locked'))
    await deleteWorkload(machine.deps, 'notes', {}, signal)
    expect(machine.configs.size).toBe(0)
  })

  it.each([
    ['the token of another server', kept.replace('__thv_workloads_', ''), 'invalid-argument'],
    ['the login of another server', 'OAUTH_REFRESH_TOKEN_notes', 'secret-not-found'],
  ])('is not %s, whatever a config says', async (_, name, code) => {
    const config = await run({ remote: { url, bearerToken: 'hidden' } })
    machine.secrets.set('__thv_workloads_OAUTH_REFRESH_TOKEN_notes', 'refresh')
    const bearer_token = `${name},target=bearer_token`
    const evil = { ...structuredClone(config), remote_url: 'https://evil.example.com/mcp', port: 0, name: 'evil' }
    evil.remote_auth_config = { bearer_token }
    await expect(runWorkload(machine.deps, { config: evil }, quiet, signal)).rejects.toMatchObject({ code })
    const remote = { url: evil.remote_url, bearerTokenSecret: name }
    await expect(run({ name: 'evil', remote })).rejects.toMatchObject({ code })
    expect([...machine.configs.keys()]).toEqual(['notes'])
  })

  it('does not go along when an edit names it with another server', async () => {
    await run({ remote: { url, bearerToken: 'hidden' } })
    const remote = { url: 'https://other.example.com/mcp', bearerTokenSecret: 'BEARER_TOKEN_notes' }
    const edit = planEdit(machine.deps, { args: [], environment: {}, labels: {}, name: 'notes', remote }, quiet, signal)
    await expect(edit).rejects.toMatchObject({ code: 'invalid-argument', message: /another one/ })
    machine.secrets.clear()
    // A secret of the user may go anywhere, whatever it is called.
    machine.secrets.set('BEARER_TOKEN_notes', 'own')
    await run({ name: 'other', remote })
  })

  it.each([
    ['stays in an edit', { url }, [kept]],
    ['goes with another server', { url: 'https://other.example.com/mcp' }, []],
    ['goes with another token', { url, bearerTokenSecret: 'mine' }, []],
  ])('%s', async (_, remote, left) => {
    await run({ remote: { url, bearerToken: 'hidden' } })
    machine.secrets.set('mine', 'other')
    const request = { args: [], environment: {}, labels: {}, name: 'notes', remote }
    await replaceRunConfig(machine.deps, await planEdit(machine.deps, request, quiet, signal), signal)
    machine.secrets.delete('mine')
    expect([...machine.secrets.keys()]).toEqual(left)
  })
})

it.each<[string, Record<string, unknown>]>([
  ['a list of secrets that is none', { secrets: 'a,target=B' }],
  ['a secret without a target', { secrets: ['a'] }],
  ['a secret whose target is no variable', { secrets: ['a,target=1'] }],
  ["a secret of thv's own", { secrets: [`${kept},target=A`] }],
  ['a token as it is', { remote_auth_config: { bearer_token: 'hidden' } }],
  ['a restricted header', { header_forward: { add_headers_from_secret: { Cookie: 'a', Host: 'b' } } }],
  ['a header without a secret', { header_forward: { add_headers_from_secret: { 'X-Key': 7 } } }],
])('a run config with %s is refused, and no value is repeated', (_, more) => {
  const config = { schema_version: 'v0.1.0', name: 'a', transport: 'stdio', port: 1, permission_profile: null, ...more }
  const check = (): void => assertRunConfig(config, 'it')
  expect(check).toThrow(expect.objectContaining({ code: 'invalid-run-config' }))
  expect(check).not.toThrow(/hidden/)
})
