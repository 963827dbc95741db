import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startAuthorizationServer, type AuthorizationServer } from '../fixtures/oauth/authorization-server.ts'
import { followForms } from '../fixtures/oauth/follow-forms.ts'
import { startProtectedServer, type ProtectedServer } from '../fixtures/oauth/protected-server.ts'
import { normal, startScriptedRemote } from '../../packages/runner/src/fixtures/scripted-remote.ts'
import { connectV2, generations, type Peer } from './clients.ts'
import { collect, eventually, openWorld, type World } from './harness.ts'

let world: World
let authority: AuthorizationServer
let server: ProtectedServer
let peers: Peer[] = []

beforeAll(async () => {
  world = await openWorld()
  Object.assign(world.environment, {
    TOOLHIVE_HEALTH_CHECK_INTERVAL: '1s',
    TOOLHIVE_HEALTH_CHECK_RETRY_DELAY: '300ms',
    TOOLHIVE_SECRETS_PASSWORD: 'p',
  })
})

beforeEach(async () => {
  authority = await startAuthorizationServer()
  server = await startProtectedServer(authority)
})

afterEach(async () => {
  await Promise.all(peers.map(async (peer) => await peer.close()))
  peers = []
  await world.thv('rm', '--all')
  await Promise.all([authority.close(), server.close()])
})

afterAll(async () => {
  await world.close()
})

interface Explained {
  status: string
  reason: string
  todo: string
  causes: { message: string }[]
}

async function explain(name: string): Promise<Explained> {
  const found: Explained = JSON.parse(await world.ok('explain', '--format', 'json', name))
  return found
}

async function reaches(name: string, wanted: string, withinMs = 20_000): Promise<void> {
  await eventually(`${name} is ${wanted}`, withinMs, async () =>
    (await world.status(name)).status === wanted ? true : undefined,
  )
}

/** A person who logs in, with a browser of their own. */
async function logIn(name: string): Promise<void> {
  const child = world.spawn(['login', '--skip-browser', name])
  const ended = collect(child)
  let said = ''
  child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const url = await eventually(
    'the URL of the login',
    20_000,
    async () => /Please open this URL in your browser: (\S+)/.exec(said)?.[1],
  )
  const redirectUri = new URL(url).searchParams.get('redirect_uri') ?? ''
  await fetch(await followForms(url, { redirectUri }))
  const { code, stderr } = await ended
  if (code !== 0) throw new Error(`thv login ended with ${code}: ${stderr}`)
}

/** A workload that somebody has logged in to, and where it is reached. */
async function running(name: string): Promise<string> {
  await world.ok('run', '--name', name, server.url)
  await logIn(name)
  await reaches(name, 'running')
  const [workload] = await world.list()
  return workload!.url
}

async function call(url: string, more: Record<string, string> = {}): Promise<Response> {
  return await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...more },
    body: JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/list', params: {} }),
  })
}

describe('the login at a remote server', () => {
  it.each(generations)(
    'serves %s again on its old session after the grant was revoked and renewed by hand',
    async (_name, connect) => {
      await world.ok('run', '--name', 'notes', server.url)
      expect((await explain('notes')).reason).toBe('remote-unauthorized')
      await logIn('notes')
      const began = performance.now()
      await reaches('notes', 'running')
      // It was looked for every second.
      expect(performance.now() - began).toBeLessThan(4_000)
      const [workload] = await world.list()
      const { url, supervisor_pid: pid } = workload!
      const peer = await connect(url)
      peers.push(peer)
      const who = await peer.text('whoami', {})
      authority.revokeAll()
      await reaches('notes', 'unauthenticated')
      expect(await explain('notes')).toMatchObject({
        reason: 'login-needed',
        todo: expect.stringContaining("'thv login notes'"),
      })
      const refused = await call(url, { authorization: 'Bearer of-a-client' })
      expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([503, null])
      expect(await refused.json()).toMatchObject({
        id: 7,
        error: { data: { outcome: 'not-sent', reason: 'login-needed' } },
      })
      await expect(peer.text('whoami', {})).rejects.toThrow(/login/)
      await logIn('notes')
      await reaches('notes', 'running')
      expect(await peer.text('whoami', {})).toBe(who)
      expect((await world.list())[0]).toMatchObject({ url, supervisor_pid: pid })
      expect(server.sessions.length).toBeGreaterThan(0)
      // The token of a client never came to the server, nor did that of anybody else.
      expect(server.requests.map(({ token }) => token)).not.toContain('of-a-client')
    },
  )

  it('is renewed ahead of its end, without a call that failed', async () => {
    authority.switches.accessTokenSeconds = 8
    const peer = await connectV2(await running('notes'))
    peers.push(peer)
    const before = authority.count('refresh_token')
    const end = performance.now() + 15_000
    while (performance.now() < end) {
      await peer.text('whoami', {})
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
    const renewals = authority.count('refresh_token') - before
    expect(renewals).toBeGreaterThanOrEqual(2)
    expect(renewals).toBeLessThanOrEqual(3)
    expect((await world.status('notes')).status).toBe('running')
  })

  it('whose tokens end earlier than they say is renewed by the call that finds out', async () => {
    authority.switches.saidSeconds = 3_600
    authority.switches.accessTokenSeconds = 3
    const url = await running('notes')
    const peer = await connectV2(url)
    peers.push(peer)
    authority.switches.accessTokenSeconds = 3_600
    const before = authority.count('refresh_token')
    await eventually('the token has ended', 10_000, async () =>
      authority.count('refresh_token') > before ? true : undefined,
    )
    expect(await peer.text('whoami', {})).not.toBe('')
    expect(authority.count('refresh_token')).toBe(before + 1)
    expect((await world.status('notes')).status).toBe('running')
  })

  it('that cannot be renewed for now: running while the token lasts, then auth_retrying, and back by itself', async () => {
    authority.switches.accessTokenSeconds = 10
    const url = await running('notes')
    const peer = await connectV2(url)
    peers.push(peer)
    authority.switches.tokenFault = { status: 503, body: 'away' }
    await eventually('a renewal has failed', 15_000, async () =>
      authority.count('refresh_token') > 0 ? true : undefined,
    )
    expect((await world.status('notes')).status).toBe('running')
    expect(await peer.text('whoami', {})).not.toBe('')
    await reaches('notes', 'auth_retrying')
    const { status_context: context } = await world.status('notes')
    expect(context).toMatch(/^Token refresh failing transiently; retrying every 10m0s/)
    const refused = await call(url)
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '10'])
    expect(await refused.json()).toMatchObject({ id: 7, error: { data: { reason: 'token-refresh-delayed' } } })
    authority.switches.accessTokenSeconds = 3_600
    authority.switches.tokenFault = undefined
    await reaches('notes', 'running', 30_000)
    expect(await peer.text('whoami', {})).not.toBe('')
    expect(server.sessions.filter((session) => session === server.sessions.at(-1))).toHaveLength(1)
  })

  it('that two workloads share is renewed once, and both go on', async () => {
    authority.switches.accessTokenSeconds = 8
    await running('one')
    await world.ok('stop', 'one')
    const path = join(world.directory, 'one.json')
    await world.ok('export', 'one', path)
    const config = JSON.parse(await readFile(path, 'utf8'))
    await writeFile(path, JSON.stringify({ ...config, name: 'two', base_name: 'two', container_name: 'two', port: 0 }))
    await world.ok('run', '--from-config', path)
    await world.ok('start', 'one')
    await Promise.all([reaches('one', 'running'), reaches('two', 'running')])
    authority.switches.accessTokenSeconds = 3_600
    const errors = (): unknown[] => authority.tokenRequests.filter(({ error }) => error !== undefined)
    const before = authority.count('refresh_token')
    await eventually('the token was renewed', 20_000, async () =>
      authority.count('refresh_token') > before ? true : undefined,
    )
    await new Promise((resolve) => setTimeout(resolve, 4_000))
    expect(authority.count('refresh_token') - before).toBe(1)
    expect(errors()).toEqual([])
    for (const name of ['one', 'two']) expect((await world.status(name)).status).toBe('running')
  })

  it('outlives a supervisor that is killed in the middle of a renewal', async () => {
    authority.switches.accessTokenSeconds = 6
    await running('notes')
    authority.switches.tokenFault = 'hang'
    await eventually('a renewal hangs', 15_000, async () => (authority.count('refresh_token') > 0 ? true : undefined))
    const { process_id: pid } = await world.status('notes')
    process.kill(pid, 'SIGKILL')
    authority.switches.tokenFault = undefined
    authority.switches.accessTokenSeconds = 3_600
    await world.ok('start', 'notes')
    await reaches('notes', 'running')
    expect(authority.tokenRequests.at(-1)?.error).toBeUndefined()
  })

  it('that lacks a scope: the call says which, others go on, and the next login asks for it', async () => {
    const url = await running('notes')
    const peer = await connectV2(url)
    peers.push(peer)
    await expect(peer.text('write_note', {})).rejects.toThrow(/notes:write/)
    expect(await peer.text('whoami', {})).not.toBe('')
    const told = await eventually('explain tells of the scope', 5_000, async () => {
      const { causes, status, todo } = await explain('notes')
      return causes.some(({ message }) => message.includes('notes:write')) ? { status, todo } : undefined
    })
    expect(told).toEqual({ status: 'running', todo: expect.stringContaining("'thv login notes'") })
    await logIn('notes')
    await eventually('the new login is in use', 10_000, async () =>
      (await peer.text('write_note', {}).catch(() => '')) === 'written' ? true : undefined,
    )
    await eventually('explain has nothing more to tell', 5_000, async () =>
      (await explain('notes')).causes.some(({ message }) => message.includes('notes:write')) ? undefined : true,
    )
  })
})

describe('a remote server that wants no login', () => {
  it('costs its supervisor neither OAuth nor a keyring', async () => {
    const remote = await startScriptedRemote()
    remote.behave = normal
    const seen = join(world.directory, 'loaded')
    await mkdir(seen)
    // Node writes down at the end which scripts were loaded.
    await world.run(['run', '--name', 'open', remote.url], { environment: { NODE_V8_COVERAGE: seen } })
    await reaches('open', 'running')
    await world.ok('stop', 'open')
    const reports = await Promise.all((await readdir(seen)).map(async (file) => await scriptsOf(join(seen, file))))
    const supervisors = reports.filter((urls) => urls.some((url) => url.includes('/wire-supervision-')))
    expect(supervisors).toHaveLength(1)
    expect(supervisors[0]!.filter((url) => /oauth|keyring/.test(url))).toEqual([])
    await remote.down()
  })
})

async function scriptsOf(path: string): Promise<string[]> {
  const { result }: { result: { url: string }[] } = JSON.parse(await readFile(path, 'utf8'))
  return result.map(({ url }) => url)
}
