import { beforeEach, describe, expect, it } from 'vitest'
import type { RemoteAuthConfig } from '../domain/remote-auth.ts'
import { assertRunConfig, type RunConfig } from '../domain/run-config.ts'
import { createFakeMachine, type FakeMachine } from '../fakes/fake-deps.ts'
import { createFakeLogin, grantOf, planOf, type FakeLogin } from '../fakes/fake-login.ts'
import { deleteWorkload } from './delete-workload.ts'
import { planEdit, replaceRunConfig } from './edit-workload.ts'
import { logIn, type LoggedIn, type LogInRequest } from './log-in.ts'
import { logOut } from './log-out.ts'
import type { RemoteRequest, RunRequest } from './run-request.ts'
import { createWorkload } from './run-workload.ts'

const signal = new AbortController().signal
const url = 'https://api.example.com/mcp'
const quiet = (): void => {}
const reference = 'OAUTH_REFRESH_TOKEN_far'

let machine: FakeMachine
let login: FakeLogin

beforeEach(() => {
  machine = createFakeMachine()
  login = createFakeLogin(machine)
})

function requestOf(remote: Partial<RemoteRequest> = {}, name = 'far'): RunRequest & { name: string } {
  return { name, args: [], environment: {}, labels: {}, remote: { url, ...remote } }
}

async function create(remote: Partial<RemoteRequest> = {}, name = 'far'): Promise<RunConfig> {
  return await createWorkload(machine.deps, { request: requestOf(remote, name) }, quiet, signal)
}

async function doLogIn(more: Partial<LogInRequest> = {}): Promise<LoggedIn> {
  return await logIn(login.deps, { name: 'far', timeoutMs: 5_000, ...more }, login.show, signal)
}

function authOf(name = 'far'): RemoteAuthConfig | undefined {
  return machine.configs.get(name)?.remote_auth_config
}

describe('a login', () => {
  it('keeps the grant under the name that the config had from the beginning, and writes down the client', async () => {
    await create()
    expect(authOf()).toEqual({ cached_refresh_token_ref: reference })
    expect(await doLogIn()).toEqual({ issuer: 'https://as.test', scopes: ['read'], renews: true })
    expect(machine.grants.get(reference)).toMatchObject({ refreshToken: 'refresh', client: { clientId: 'client-1' } })
    expect(authOf()).toEqual({
      cached_refresh_token_ref: reference,
      cached_client_id: 'client-1',
      cached_token_auth_method: 'none',
      cached_dcr_callback_port: 8666,
    })
    expect(login.pages).toEqual(['done'])
    expect(login.listeners).toBe(0)
    expect(() => assertRunConfig(machine.configs.get('far'), 'it')).not.toThrow()
    expect(JSON.stringify([...machine.configs.values()])).not.toMatch(/access"|"refresh"/)
  })

  it('tells discovery what the config says', async () => {
    login.files.set('/ca.pem', 'PEM')
    await create({ caBundle: '/ca.pem', login: { issuer: 'https://as.test', resource: 'urn:x' } })
    await doLogIn()
    expect(login.targets).toEqual([{ url, issuer: 'https://as.test', resource: 'urn:x', ca: 'PEM' }])
  })

  it('is done as the same client again, at its port', async () => {
    await create()
    login.busyPorts.add(8666)
    await doLogIn()
    login.busyPorts.clear()
    await doLogIn()
    expect(login.wishes.map(({ redirectUri, client }) => [redirectUri, client?.clientId])).toEqual([
      ['http://localhost:40000/callback', undefined],
      ['http://localhost:40000/callback', 'client-1'],
    ])
  })

  it.each<[string, () => void]>([
    ['another issuer', () => (login.plan = planOf('https://other.test'))],
    ['its port taken', () => login.busyPorts.add(8666)],
    [
      'its secret ended',
      () => {
        const grant = machine.grants.get(reference)!
        grant.client = { ...grant.client, clientSecretExpiresAt: '2001-01-01T00:00:00Z' }
      },
    ],
  ])('is done as a new client with %s', async (_what, change) => {
    await create()
    await doLogIn()
    change()
    await doLogIn()
    expect(login.wishes[1]?.client).toBeUndefined()
  })

  it('asks for what was granted before and what calls need, too, and for nothing else when that is said', async () => {
    await create()
    machine.grants.set(reference, { ...grantOf('https://as.test'), scopes: ['old'] })
    const record = machine.statuses.get('far')!
    machine.statuses.set('far', { ...record, thv: { ...record.thv, wanted_scopes: ['write', 'read'] } })
    await doLogIn()
    await doLogIn({ scopes: ['only'] })
    expect(login.wishes.map(({ scopes }) => scopes)).toEqual([['read', 'old', 'write'], ['only']])
  })

  it('uses a client that was set up by hand, with its secret and at no other port', async () => {
    await create({ login: { client_id: 'mine', callback_port: 9000 }, clientSecret: 'hush' })
    expect(authOf()).toMatchObject({ client_secret: 'OAUTH_CLIENT_SECRET_far,target=oauth_secret' })
    expect([...machine.secrets]).toEqual([['__thv_workloads_OAUTH_CLIENT_SECRET_far', 'hush']])
    await doLogIn()
    expect(login.wishes[0]).toMatchObject({
      redirectUri: 'http://localhost:9000/callback',
      client: { clientId: 'mine', clientSecret: 'hush', authMethod: 'client_secret_basic', kind: 'configured' },
    })
    login.busyPorts.add(9000)
    await expect(doLogIn()).rejects.toThrow('9000')
  })

  it('takes the secret of a user, or of a file', async () => {
    machine.secrets.set('own', 'users')
    await create({ login: { client_id: 'mine', client_secret: 'own,target=oauth_secret' } })
    await create({ login: { client_id: 'mine', client_secret_file: '/s' } }, 'file')
    login.files.set('/s', 'of-file\n')
    await doLogIn()
    await doLogIn({ name: 'file' })
    expect(login.wishes.map(({ client }) => client?.clientSecret)).toEqual(['users', 'of-file'])
    await deleteWorkload(machine.deps, 'far', {}, signal)
    expect(machine.secrets.get('own')).toBe('users')
  })

  it('is a client metadata document where the client id is its URL and the server takes such', async () => {
    const document = 'https://me.test/client.json'
    await create({ login: { client_id: document } })
    login.plan = { ...login.plan, takesMetadataDocuments: true }
    await doLogIn()
    login.plan = { ...login.plan, takesMetadataDocuments: false }
    await doLogIn()
    expect(login.wishes.map(({ metadataDocumentUrl }) => metadataDocumentUrl)).toEqual([document, undefined])
  })

  it('that nobody answers ends in time, and leaves everything as it was', async () => {
    await create()
    login.person = () => {}
    await expect(doLogIn({ timeoutMs: 10 })).rejects.toMatchObject({ code: 'login-timeout', hint: /thv login far/ })
    expect([machine.grants.size, login.listeners]).toEqual([0, 0])
  })

  it('that fails at the end says so on the page', async () => {
    await create()
    login.failFinish = new Error('no')
    await expect(doLogIn()).rejects.toThrow('no')
    expect([login.pages, machine.grants.size, login.listeners]).toEqual([['failed'], 0, 0])
  })

  it('is found by the config before it is kept, and forgotten when it cannot be', async () => {
    await create()
    let seen: RemoteAuthConfig | undefined
    login.deps.grants.renew = async () => {
      seen = authOf()
      throw new Error('full')
    }
    await expect(doLogIn()).rejects.toThrow('full')
    expect(seen).toMatchObject({ cached_refresh_token_ref: reference, cached_client_id: 'client-1' })
    expect(authOf()).toEqual({ cached_refresh_token_ref: reference })
  })

  it('does not tell the client secret to an authorization server that has taken the place of another one', async () => {
    await create({ login: { client_id: 'mine' }, clientSecret: 'hush' })
    await doLogIn()
    login.plan = planOf('https://other.test')
    await expect(doLogIn()).rejects.toMatchObject({ code: 'login-failed', message: /other\.test/ })
    expect(login.wishes).toHaveLength(1)
    login.plan = planOf('https://as.test')
    await doLogIn()
  })

  it('is refused when the workload was changed meanwhile', async () => {
    await create()
    login.person = (arrive) => {
      machine.configs.set('far', { ...machine.configs.get('far')!, remote_url: 'https://b.test/mcp' })
      arrive()
    }
    await expect(doLogIn()).rejects.toThrow('changed')
    expect(machine.grants.size).toBe(0)
  })

  it('is for remote servers that ask for one, and have no token', async () => {
    await create({ bearerTokenFile: '/t' }, 'token')
    expect(authOf('token')).toEqual({ bearer_token_file: '/t' })
    await expect(doLogIn({ name: 'token' })).rejects.toMatchObject({ code: 'invalid-argument' })
    await expect(doLogIn({ name: 'none' })).rejects.toMatchObject({ code: 'workload-not-found' })
    await create()
    login.isProtected = false
    await expect(doLogIn()).rejects.toMatchObject({ code: 'login-failed' })
  })
})

describe('what a login left', () => {
  it('is shared by a workload that was exported after it, and goes with the last one', async () => {
    await create()
    await doLogIn()
    const config = { ...structuredClone(machine.configs.get('far')!), name: 'copy', base_name: 'copy' }
    await createWorkload(machine.deps, { config }, quiet, signal)
    expect(authOf('copy')?.cached_refresh_token_ref).toBe(reference)
    await deleteWorkload(machine.deps, 'far', {}, signal)
    expect(machine.grants.has(reference)).toBe(true)
    // The name is free again, and its grant is not that of the other one.
    await create()
    expect(authOf()?.cached_refresh_token_ref).toBe(`${reference}_2`)
    await deleteWorkload(machine.deps, 'copy', {}, signal)
    expect(machine.grants.size).toBe(0)
  })

  it('does not follow its name into the config of another server', async () => {
    await create()
    await doLogIn()
    const remote_url = 'https://b.test/mcp'
    const config = { ...structuredClone(machine.configs.get('far')!), name: 'other', base_name: 'other', remote_url }
    await createWorkload(machine.deps, { config }, quiet, signal)
    expect(authOf('other')).toEqual({ cached_refresh_token_ref: 'OAUTH_REFRESH_TOKEN_other' })
    // Somebody may write into the saved file.
    machine.configs.set('other', { ...config, remote_auth_config: authOf()! })
    await expect(doLogIn({ name: 'other' })).rejects.toMatchObject({ code: 'login-failed' })
    expect(machine.grants.get(reference)?.resource).toBe(url)
  })

  it('is not looked for under a name that a config has from nowhere', async () => {
    machine.secrets.set('github', 'hidden')
    const remote_auth_config = { cached_refresh_token_ref: 'github', cached_client_id: 'client' }
    const config = { ...structuredClone(await create()), remote_auth_config }
    const evil = { ...config, name: 'evil', base_name: 'evil', remote_url: 'https://evil.test/mcp' }
    await createWorkload(machine.deps, { config: structuredClone(evil) }, quiet, signal)
    expect(authOf('evil')).toEqual({ cached_refresh_token_ref: 'OAUTH_REFRESH_TOKEN_evil' })
    // What another program has logged in to is shared, and stays so in an edit.
    machine.configs.set('far', config)
    await createWorkload(machine.deps, { config: { ...config, name: 'copy', base_name: 'copy' } }, quiet, signal)
    expect(authOf('copy')).toEqual(remote_auth_config)
    await createWorkload(machine.deps, { config: { ...evil, name: 'worse', base_name: 'worse' } }, quiet, signal)
    expect(authOf('worse')).toEqual({ cached_refresh_token_ref: 'OAUTH_REFRESH_TOKEN_worse' })
    await deleteWorkload(machine.deps, 'copy', {}, signal)
    expect((await planEdit(machine.deps, requestOf(), quiet, signal)).remote_auth_config).toEqual(remote_auth_config)
  })

  it.each<[string, Partial<RemoteRequest>]>([
    ['the same server', {}],
    ['another one', { url: 'https://b.test/mcp' }],
  ])('does not stay when the workload is run again for %s', async (_what, remote) => {
    await create({ login: { client_id: 'mine' }, clientSecret: 'hush' })
    await doLogIn()
    machine.statuses.set('far', { ...machine.statuses.get('far')!, status: 'error' })
    await create(remote)
    expect([machine.grants.size, machine.secrets.size]).toEqual([0, 0])
    machine.statuses.set('far', { ...machine.statuses.get('far')!, status: 'error' })
    await create({ login: { client_id: 'mine' }, clientSecret: 'new' })
    machine.statuses.set('far', { ...machine.statuses.get('far')!, status: 'error' })
    await create({ login: { client_id: 'mine' }, clientSecret: 'newer' })
    expect([...machine.secrets.values()]).toEqual(['newer'])
  })

  it('goes with the last one that has it, also after a logout of one', async () => {
    await create()
    await doLogIn()
    const config = { ...structuredClone(machine.configs.get('far')!), name: 'copy', base_name: 'copy' }
    await createWorkload(machine.deps, { config }, quiet, signal)
    await logOut(login.deps, 'far', signal)
    await doLogIn({ name: 'copy' })
    await deleteWorkload(machine.deps, 'copy', {}, signal)
    await deleteWorkload(machine.deps, 'far', {}, signal)
    expect(machine.grants.size).toBe(0)
  })

  it('is not shared with one that was exported before', async () => {
    const config = { ...structuredClone(await create()), name: 'copy', base_name: 'copy' }
    await createWorkload(machine.deps, { config }, quiet, signal)
    expect(authOf('copy')?.cached_refresh_token_ref).toBe('OAUTH_REFRESH_TOKEN_copy')
  })

  it('goes with a removal, as the client secret does; nothing is asked of the store without either', async () => {
    await create({ login: { client_id: 'mine' }, clientSecret: 'hush' })
    await doLogIn()
    await deleteWorkload(machine.deps, 'far', {}, signal)
    expect([machine.grants.size, machine.secrets.size]).toEqual([0, 0])
    await create()
    machine.deps.grants.renew = async () => await Promise.reject(new Error('must not be asked'))
    await deleteWorkload(machine.deps, 'far', {}, signal)
    expect(machine.configs.size).toBe(0)
  })

  it('does not stay when the config cannot be saved', async () => {
    machine.failSave = new Error('full')
    await expect(create({ login: { client_id: 'mine' }, clientSecret: 'hush' })).rejects.toThrow('full')
    expect(machine.secrets.size).toBe(0)
  })

  it('is not left behind by an edit that takes the client secret away', async () => {
    await create({ login: { client_id: 'mine' }, clientSecret: 'hush' })
    await doLogIn()
    await replaceRunConfig(machine.deps, await planEdit(machine.deps, requestOf(), quiet, signal), signal)
    expect([machine.grants.size, machine.secrets.size]).toEqual([1, 0])
  })

  it('stays over an edit, but not when the server becomes another one', async () => {
    await create({ login: { scopes: ['a'], timeout: 1 } })
    await doLogIn()
    const edit = async (remote: Partial<RemoteRequest>): Promise<void> =>
      await replaceRunConfig(machine.deps, await planEdit(machine.deps, requestOf(remote), quiet, signal), signal)
    await edit({ login: { scopes: ['b'] } })
    expect(authOf()).toMatchObject({ scopes: ['b'], timeout: 1, cached_client_id: 'client-1' })
    expect(machine.grants.size).toBe(1)
    await edit({ url: 'https://b.test/mcp' })
    expect(authOf()).toEqual({ cached_refresh_token_ref: reference })
    expect(machine.grants.size).toBe(0)
  })
})

describe('a logout', () => {
  beforeEach(async () => {
    await create()
    await doLogIn()
  })

  it('tells the authorization server, and forgets the grant and the client', async () => {
    expect(await logOut(login.deps, 'far', signal)).toEqual({ wasLoggedIn: true, others: [] })
    expect(login.revoked).toMatchObject([{ refreshToken: 'refresh' }])
    expect(authOf()).toEqual({ cached_refresh_token_ref: reference })
    expect(machine.grants.size).toBe(0)
    expect(await logOut(login.deps, 'far', signal)).toEqual({ wasLoggedIn: false, others: [] })
  })

  it('forgets also when the authorization server cannot be told', async () => {
    login.failRevoke = new Error('unreachable')
    expect(await logOut(login.deps, 'far', signal)).toMatchObject({ wasLoggedIn: true, problem: 'unreachable' })
    expect(machine.grants.size).toBe(0)
  })

  it('says who else was logged out', async () => {
    const config = { ...structuredClone(machine.configs.get('far')!), name: 'copy', base_name: 'copy' }
    await createWorkload(machine.deps, { config }, quiet, signal)
    expect(await logOut(login.deps, 'copy', signal)).toMatchObject({ others: ['far'] })
  })
})

describe('a run config with a login', () => {
  it.each<[string, Partial<RemoteRequest>]>([
    ['exclude', { login: { issuer: 'https://a.test', token_url: 'https://a.test/t' } }],
    ['no meaning', { login: { authorize_url: 'https://a.test/a' } }],
    ['https', { login: { issuer: 'http://example.com' } }],
    ['client id', { clientSecret: 'x' }],
    ['exclude', { login: { client_id: 'a', client_secret_file: '/s' }, clientSecret: 'x' }],
    ['exclude', { login: { client_id: 'a' }, bearerTokenFile: '/t' }],
  ])('that makes no sense is refused: %s', async (why, remote) => {
    await expect(create(remote)).rejects.toThrow(why)
    expect([machine.configs.size, machine.secrets.size]).toEqual([0, 0])
  })

  it('never repeats a secret that stands in the clear', async () => {
    const config = { ...(await create()), name: 'clear', remote_auth_config: { client_id: 'a', client_secret: 'hush' } }
    const refused = createWorkload(machine.deps, { config }, quiet, signal)
    await expect(refused).rejects.toThrow(/^(?!.*hush).*client_secret/)
  })
})
