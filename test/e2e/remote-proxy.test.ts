import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { makeCertificate } from '../../packages/runner/src/fixtures/make-certificate.ts'
import { startScriptedRemote, type ScriptedRemote } from '../../packages/runner/src/fixtures/scripted-remote.ts'
import { startConnectProxy, type ConnectProxy } from '../fixtures/proxies/connect-proxy.ts'
import { connectV2 } from './clients.ts'
import { eventually, openWorld, type World } from './harness.ts'

const login = 'clerk:s3cr3t-of-proxy'
const address = '127.8.0.1'
const authority = 'far.test:443'

let world: World
let remote: ScriptedRemote
let proxy: ConnectProxy
let bundle: string

beforeAll(async () => {
  world = await openWorld()
  Object.assign(world.environment, {
    TOOLHIVE_HEALTH_CHECK_INTERVAL: '400ms',
    TOOLHIVE_HEALTH_CHECK_RETRY_DELAY: '200ms',
    TOOLHIVE_HEALTH_CHECK_PING_TIMEOUT: '1500ms',
  })
  const tls = makeCertificate()
  bundle = join(world.directory, 'ca.pem')
  await writeFile(bundle, tls.cert)
  remote = await startScriptedRemote(tls)
})

beforeEach(async () => {
  proxy = await startConnectProxy(address, login)
  proxy.places.set(authority, remote.port)
  Object.assign(world.environment, { HTTPS_PROXY: `http://${login}@${address}:${proxy.port}` })
  delete world.environment['NO_PROXY']
})

afterEach(async () => {
  await world.thv('rm', '--all')
  await proxy.down()
})

afterAll(async () => {
  await world.close()
  await remote.down()
})

async function run(...more: string[]): Promise<string> {
  const { code, stderr } = await world.thv('run', '--name', 'far', '--thv-ca-bundle', bundle, ...more)
  expect([code, stderr]).toEqual([0, stderr])
  return stderr
}

async function record(): Promise<{ status: string; reason: string; status_context?: string; url: string }> {
  const [only]: Awaited<ReturnType<typeof record>>[] = JSON.parse(await world.ok('list', '--all', '--format', 'json'))
  if (only === undefined) throw new Error('nothing is listed')
  return only
}

async function becomes(status: string, reason: string): Promise<string> {
  return await eventually(`it is ${status} because of ${reason}`, 20_000, async () => {
    const found = await record()
    return found.status === status && found.reason === reason ? (found.status_context ?? '') : undefined
  })
}

/** Everything that thv shows or keeps of it. */
async function everythingSaid(): Promise<string> {
  const said: string[] = []
  for (const command of [
    ['list', '--all'],
    ['list', '--all', '--format', 'json'],
    ['status', 'far', '--format', 'json'],
    ['explain', 'far'],
    ['explain', 'far', '--format', 'json'],
    ['logs', 'far', '--proxy'],
    ['logs', 'far'],
    ['export', 'far', '/dev/stdout'],
  ]) {
    const { stdout, stderr } = await world.thv(...command)
    said.push(stdout, stderr)
  }
  for (const part of ['data', 'state', 'config']) {
    const directory = join(world.directory, part)
    const files = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => [])
    for (const file of files) if (file.isFile()) said.push(await readFile(join(file.parentPath, file.name), 'utf8'))
  }
  return said.join('\n')
}

function expectNoSecret(text: string): void {
  expect(text.length).toBeGreaterThan(100)
  for (const secret of [login, 's3cr3t', Buffer.from(login).toString('base64'), encodeURIComponent(login)])
    expect(text).not.toContain(secret)
}

describe('a remote server behind the proxy of a company', () => {
  it('is reached through it alone, is unreachable while it is dead, and is back with it, on the old session', async () => {
    await run('https://far.test/mcp')
    await becomes('running', 'serving')
    const peer = await connectV2((await record()).url)
    expect(await peer.text('echo', { text: 'before' })).toBe('before')
    expect(new Set(proxy.asked.map((one) => one.authority))).toEqual(new Set([authority]))
    expect(proxy.asked.every(({ authorization }) => authorization !== undefined)).toBe(true)
    await proxy.down()
    const why = await becomes('unhealthy', 'remote-unreachable')
    expect(why).toContain(`the proxy ${address}:${proxy.port} cannot reach ${authority}`)
    expect(why).toMatch(/ECONNREFUSED/)
    await expect(peer.text('echo', { text: 'meanwhile' })).rejects.toThrow(/the proxy .* cannot reach/)
    expectNoSecret(await everythingSaid())
    await proxy.up()
    await becomes('running', 'serving')
    expect(await peer.text('echo', { text: 'after' })).toBe('after')
    expectNoSecret(await everythingSaid())
    await peer.close()
  })

  it('is unreachable with what the proxy says: wrong credentials, and no way to it', async () => {
    Object.assign(world.environment, { HTTPS_PROXY: `http://clerk:s3cr3t-wrong@${address}:${proxy.port}` })
    expectNoSecret(`${'-'.repeat(100)}${await run('https://far.test/mcp')}`)
    expect(await becomes('unhealthy', 'remote-unreachable')).toMatch(/it answers 407/)
    expectNoSecret(await everythingSaid())
    await world.ok('rm', 'far')
    Object.assign(world.environment, { HTTPS_PROXY: `http://${login}@${address}:${proxy.port}` })
    proxy.places.clear()
    await run('https://far.test/mcp')
    expect(await becomes('unhealthy', 'remote-unreachable')).toMatch(/it answers 502/)
    proxy.places.set(authority, remote.port)
    await becomes('running', 'serving')
  })

  it.each(['far.test', '.test', '*'])('is not reached through it when NO_PROXY says %s', async (bypass) => {
    Object.assign(world.environment, { NO_PROXY: bypass })
    await run('https://far.test/mcp')
    // Without the proxy nobody knows that name.
    await becomes('unhealthy', 'remote-dns')
    expect(proxy.asked).toEqual([])
  })

  it('is not reached through it when it is on this machine', async () => {
    await run(remote.url)
    await becomes('running', 'serving')
    expect(proxy.asked).toEqual([])
  })
})
