import { once } from 'node:events'
import { chmod, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startAuthorizationServer, type AuthorizationServer } from '../fixtures/oauth/authorization-server.ts'
import { startProtectedServer, type ProtectedServer } from '../fixtures/oauth/protected-server.ts'
import { startApi } from './api-server.ts'
import { findBrowser, startPerson, type Person } from './browser.ts'
import { connectV2, type Peer } from './clients.ts'
import { eventually, openWorld, type CommandResult, type World } from './harness.ts'

const browser = findBrowser()

let world: World
let person: Person
let authority: AuthorizationServer
let server: ProtectedServer
let peers: Peer[] = []
/** Command lines of everything that ran in this world, as far as they were seen. */
const commandLines = new Set<string>()

const variables = {
  TOOLHIVE_SECRETS_PASSWORD: 'password of the test',
  TOOLHIVE_HEALTH_CHECK_INTERVAL: '500ms',
  TOOLHIVE_HEALTH_CHECK_RETRY_DELAY: '200ms',
}

beforeAll(async () => {
  if (browser === undefined) return
  world = await openWorld()
  Object.assign(world.environment, variables)
  person = await startPerson(browser)
})

beforeEach(async (context) => {
  if (browser === undefined) context.skip('missing: chromium')
  authority = await startAuthorizationServer()
  server = await startProtectedServer(authority)
})

afterEach(async () => {
  if (browser === undefined) return
  await Promise.all(peers.map(async (peer) => await peer.close().catch(() => {})))
  peers = []
  await nothingLeaks()
  await world.thv('rm', '--all')
  await server.close()
  await authority.close()
})

afterAll(async () => {
  await person?.close()
  await world?.close()
})

/** Runs a command that shows a URL, and logs in there. */
async function throughBrowser(...args: string[]): Promise<CommandResult & { page: string }> {
  const command = world.spawn(args)
  let [stdout, stderr] = ['', '']
  command.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  command.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const ended = once(command, 'close')
  const url = await eventually('the URL is shown', 30_000, async () => {
    if (command.exitCode !== null) throw new Error(`thv ${args.join(' ')} ended: ${stderr}${stdout}`)
    return /Please open this URL in your browser: (\S+)/.exec(stderr)?.[1]
  })
  await noteCommandLines()
  const { text, url: end } = await person.logIn(url)
  authority.secrets.add(new URL(end).searchParams.get('code') ?? 'no code')
  await ended
  return { code: command.exitCode, stdout, stderr, page: text }
}

async function runLoggedIn(name = 'far'): Promise<void> {
  const run = await throughBrowser('run', '--name', name, '--remote-auth', '--remote-auth-skip-browser', server.url)
  expect(run).toMatchObject({ code: 0, page: expect.stringContaining('You are logged in') })
  expect(run.stderr).toMatch(new RegExp(`logged in to ${name} at ${authority.issuer}; it is running`))
}

async function connect(name = 'far'): Promise<Peer> {
  const { url } = (await world.list()).find((workload) => workload.name === name)!
  const peer = await connectV2(url)
  peers.push(peer)
  return peer
}

async function isStatus(name: string, status: string): Promise<void> {
  await eventually(`${name} is ${status}`, 30_000, async () =>
    (await world.status(name)).status === status ? true : undefined,
  )
}

async function noteCommandLines(): Promise<void> {
  for (const pid of await world.processes()) {
    commandLines.add(await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''))
  }
}

/** No code, verifier or token stands in the clear: in no file of the world and in no command line. */
async function nothingLeaks(): Promise<void> {
  await noteCommandLines()
  const secrets = [...authority.secrets, ...server.requests.flatMap(({ token }) => token ?? [])]
  expect(secrets.length).toBeGreaterThanOrEqual(2 * authority.count('authorization_code'))
  const texts = new Map([...commandLines].map((line) => [line, line]))
  for (const entry of await readdir(world.directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    texts.set(path, await readFile(path, 'latin1').catch(() => ''))
  }
  const found = [...texts].filter(([, text]) => secrets.some((secret) => text.includes(secret)))
  expect(found.map(([where]) => where)).toEqual([])
}

describe('a remote server that wants a login', () => {
  it('is logged in to while it is run, and serves a client with tokens that are renewed', async () => {
    authority.switches.accessTokenSeconds = 6
    await runLoggedIn()
    const peer = await connect()
    const client = await peer.text('whoami')
    expect(client).not.toBe('nobody')
    await eventually('a token was renewed twice', 30_000, async () =>
      authority.count('refresh_token') >= 2 ? true : undefined,
    )
    expect(await peer.text('whoami')).toBe(client)
    expect(authority.count('authorization_code')).toBe(1)
    const shown = await world.ok('export', 'far', '/dev/stdout')
    expect(JSON.parse(shown)).toMatchObject({
      remote_auth_config: { cached_refresh_token_ref: 'OAUTH_REFRESH_TOKEN_far', cached_client_id: client },
    })
  })

  it('stays logged in over the death of its supervisor, and over a restart', async () => {
    await runLoggedIn()
    const peer = await connect()
    const client = await peer.text('whoami')
    process.kill((await world.status('far')).process_id, 'SIGKILL')
    await eventually('the death is seen', 10_000, async () =>
      (await world.list())[0]?.status === 'unhealthy' ? true : undefined,
    )
    await world.ok('start', 'far')
    expect(await peer.text('whoami')).toBe(client)
    await world.ok('restart', 'far')
    await isStatus('far', 'running')
    expect(await peer.text('whoami')).toBe(client)
    expect(authority.count('authorization_code')).toBe(1)
  })

  it('says so when its grant was revoked, and goes on with the old session after another login', async () => {
    await runLoggedIn()
    const peer = await connect()
    const client = await peer.text('whoami')
    authority.revokeAll()
    await isStatus('far', 'unauthenticated')
    expect(await world.ok('explain', 'far')).toMatch(/thv login far/)
    await expect(peer.text('whoami')).rejects.toThrow(/login/)
    const login = await throughBrowser('login', 'far', '--skip-browser', '--format', 'json')
    expect(login.code).toBe(0)
    expect(JSON.parse(login.stdout)).toMatchObject({ name: 'far', issuer: authority.issuer, status: 'running' })
    // The same client: it was registered once.
    expect(await peer.text('whoami')).toBe(client)
    expect(server.sessions).toHaveLength(new Set(server.sessions).size)
    expect(authority.requests.filter((line) => line === 'POST /reg')).toHaveLength(1)
  })

  it('asks for a scope that a tool turned out to need', async () => {
    await runLoggedIn()
    const peer = await connect()
    await expect(peer.text('write_note')).rejects.toThrow(/scope/)
    expect(await peer.text('whoami')).not.toBe('nobody')
    await eventually('the scope is known', 10_000, async () =>
      (await world.ok('explain', 'far')).includes('notes:write') ? true : undefined,
    )
    const login = await throughBrowser('login', 'far', '--skip-browser')
    expect(login.stdout).toMatch(/notes:read.*notes:write/)
    await eventually('the tool works', 20_000, async () =>
      (await peer.text('write_note').catch(() => undefined)) === 'written' ? true : undefined,
    )
  })

  it('shares its login with a copy, and one renewal serves both', async () => {
    await runLoggedIn()
    const file = join(world.directory, 'far.json')
    await world.ok('export', 'far', file)
    await world.ok('run', '--from-config', file, '--name', 'copy')
    expect((await world.list()).map(({ status }) => status)).toEqual(['running', 'running'])
    const [one, other] = [await connect('far'), await connect('copy')]
    await world.ok('stop', '--all')
    // Both find at once that they need another one.
    authority.endAccessTokens()
    await world.ok('start', 'far', 'copy')
    const first = server.requests.length
    await Promise.all([one.text('whoami'), other.text('whoami')])
    const tokens = new Set(server.requests.slice(first).map(({ token }) => token))
    expect(tokens.size).toBe(1)
    expect(authority.tokenRequests.map(({ grantType, error }) => [grantType, error])).toEqual([
      ['authorization_code', undefined],
      ['refresh_token', undefined],
    ])
    await world.ok('rm', 'far')
    expect(await other.text('whoami')).not.toBe('nobody')
  })

  it('refuses an answer that another authorization server gave', async () => {
    authority.switches.callback = (url) => {
      url.searchParams.set('iss', 'https://mixed.test')
      return url
    }
    const run = await throughBrowser('run', '--name', 'far', '--remote-auth', '--remote-auth-skip-browser', server.url)
    expect(run).toMatchObject({ code: 1, page: expect.stringContaining('The login has failed') })
    expect(run.stderr).toMatch(/'far' was created, and is unauthenticated/)
    expect(run.stderr).toMatch(/thv login far/)
    expect(run.stderr).not.toContain('mixed.test')
    expect(authority.count('authorization_code')).toBe(0)
    expect((await world.list())[0]?.status).toBe('unauthenticated')
  })

  it('stays unauthenticated when nobody logs in, and nothing is opened without a terminal', async () => {
    const silent = await world.thv('run', '--name', 'quiet', server.url)
    expect(silent).toMatchObject({ code: 0, stderr: expect.stringMatching(/warning: quiet is unauthenticated/) })
    expect(silent.stderr).not.toContain('Please open')
    const late = await world.thv('login', 'quiet', '--skip-browser', '--timeout', '1s')
    expect(late).toMatchObject({ code: 1, stderr: expect.stringMatching(/nobody has logged in to 'quiet' within 1 s/) })
    expect(authority.count('authorization_code')).toBe(0)
  })

  it('is logged out, here and there, and its removal forgets the login', async () => {
    await runLoggedIn()
    const peer = await connect()
    await peer.text('whoami')
    const token = server.requests.at(-1)?.token
    expect(await world.ok('logout', 'far')).toBe('Logged out of far\n')
    await isStatus('far', 'unauthenticated')
    expect(await introspect(token ?? '')).toBe(false)
    expect(await world.ok('logout', 'far')).toBe('far was not logged in\n')
    await throughBrowser('login', 'far', '--skip-browser')
    await isStatus('far', 'running')
    await world.ok('rm', 'far')
    await world.ok('run', '--name', 'far', server.url)
    expect((await world.list())[0]?.status).toBe('unauthenticated')
  })

  it('opens the browser that the user has named', async () => {
    await world.ok('run', '--name', 'far', server.url)
    const opener = join(world.directory, 'browser')
    const seen = join(world.directory, 'opened')
    await writeFile(opener, `#!/bin/sh\nprintf '%s' "$1" > '${seen}.part'\nmv '${seen}.part' '${seen}'\n`)
    await chmod(opener, 0o755)
    const login = world.spawn(['login', 'far'], { environment: { BROWSER: opener } })
    const ended = once(login, 'close')
    const url = await eventually(
      'the browser is open',
      20_000,
      async () => await readFile(seen, 'utf8').catch(() => undefined),
    )
    await person.logIn(url)
    await ended
    expect(login.exitCode).toBe(0)
    await isStatus('far', 'running')
  })

  it('is logged in to over the API, one login at a time, and a login can be cancelled', async () => {
    const api = await startApi(world)
    try {
      await api.call('POST', '/workloads', { name: 'far', url: server.url, oauth_config: { scopes: ['notes:read'] } })
      await api.reaches('far', 'unauthenticated')
      const cancelled = await api.call('POST', '/workloads/far/login')
      expect(cancelled.status).toBe(202)
      expect((await api.call('POST', '/workloads/far/login')).status).toBe(409)
      expect((await api.call('DELETE', '/workloads/far/login')).status).toBe(204)
      expect(await operationOf(cancelled.headers)).toMatchObject({ state: 'failed', error: { code: 'cancelled' } })
      const begun = await api.call('POST', '/workloads/far/login', {})
      const { text } = await person.logIn(begun.json<{ authorization_url: string }>().authorization_url)
      expect(text).toContain('You are logged in')
      expect(await operationOf(begun.headers)).toMatchObject({ kind: 'login', state: 'succeeded' })
      await api.reaches('far', 'running')
      const out = await api.call('POST', '/workloads/far/logout')
      expect(out.json()).toEqual({ was_logged_in: true, others: [] })
      await api.reaches('far', 'unauthenticated')
    } finally {
      await api.end()
    }

    async function operationOf(headers: Headers): Promise<unknown> {
      return (await api.call('GET', `/operations/${headers.get('x-thv-operation-id')}?wait=20`)).json()
    }
  })
})

/** Whether the authorization server still knows a token. */
async function introspect(token: string): Promise<boolean> {
  const { url, clientId, clientSecret } = authority.introspection
  const answer = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}` },
    body: new URLSearchParams({ token }),
  })
  return ((await answer.json()) as { active: boolean }).active
}
