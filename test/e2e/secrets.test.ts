import { spawn } from 'node:child_process'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startApi, type ApiProcess } from './api-server.ts'
import { collect, eventually, fixture, openWorld, program, type CommandResult, type World } from './harness.ts'
import { runHostile } from './hostile.ts'

const value = 'ghp_hidden-value-0815'
const boxes = existsSync('/usr/bin/bwrap') ? ['auto', 'none'] : ['none']
let world: World

beforeAll(async () => {
  world = await openWorld()
  await world.ok('secret', 'setup')
})

afterEach(async () => {
  await world.thv('rm', '--all')
})

afterAll(async () => {
  await world.close()
})

describe('thv secret', () => {
  it('needs a set-up, and says so', async () => {
    const other = await openWorld()
    try {
      expect(await other.thv('secret', 'get', 'a')).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('secrets provider not configured'),
      })
      const environment = { TOOLHIVE_SECRETS_PROVIDER: 'environment', TOOLHIVE_SECRET_a: 'x' }
      expect(await other.run(['secret', 'get', 'a'], { environment })).toMatchObject({ code: 0, stdout: 'x\n' })
      expect(await other.run(['secret', 'list'], { environment })).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('[secrets-read-only]'),
      })
    } finally {
      await other.close()
    }
  })

  it('keeps, shows, lists and deletes, and never takes a value from the command line', async () => {
    expect(await piped(['secret', 'set', 'github'], `${value}\n`)).toMatchObject({ code: 0, stdout: '', stderr: '' })
    expect(await world.ok('secret', 'get', 'github')).toBe(`${value}\n`)
    expect(await world.ok('secret', 'list')).toBe('Available secrets:\n  - github\n')
    expect(await world.ok('__complete', '--', 'secret', 'get', 'g')).toBe('github\t\n')
    expect(await world.thv('secret', 'set', 'github', value)).toMatchObject({
      code: 1,
      stderr: expect.not.stringContaining(value),
    })
    expect(await piped(['secret', 'set', 'github'], '')).toMatchObject({ code: 1 })
    expect(await piped(['secret', 'set', 'github'], Buffer.from([0x61, 0xff]))).toMatchObject({ code: 1 })
    expect(await world.ok('secret', 'get', 'github')).toBe(`${value}\n`)
    expect(await world.thv('secret', 'get', '__thv_workloads_a')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('reserved for system use'),
    })
    await world.ok('secret', 'delete', 'github')
    expect(await world.ok('secret', 'list')).toBe('No secrets found\n')
    expect(await world.thv('secret', 'delete', 'github')).toMatchObject({ code: 1 })
    expect((await stat(join(world.directory, 'data/toolhive/secrets_encrypted'))).mode & 0o777).toBe(0o600)
  })

  it('does not open the file with another password, and leaves it alone', async () => {
    await piped(['secret', 'set', 'github'], value)
    const path = join(world.directory, 'data/toolhive/secrets_encrypted')
    const before = await readFile(path)
    const environment = { TOOLHIVE_SECRETS_PASSWORD: 'another' }
    const wrong = await world.run(['secret', 'get', 'github'], { environment })
    expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining('unable to decrypt secrets file') })
    expect(wrong.stderr).not.toContain('another-')
    expect(await world.run(['secret', 'setup'], { environment })).toMatchObject({ code: 1 })
    expect(await readFile(path)).toEqual(before)
  })
})

describe.runIf(process.platform === 'linux')('without a keyring', () => {
  it('the password lies in memory, and is asked of nobody', async () => {
    const memory = mkdtempSync('/dev/shm/thv-e2e-')
    const other = await openWorld()
    try {
      other.environment['XDG_RUNTIME_DIR'] = memory
      other.environment['PATH'] = '/nonexistent'
      other.environment['DBUS_SESSION_BUS_ADDRESS'] = `unix:path=${memory}/none`
      delete other.environment['TOOLHIVE_SECRETS_PASSWORD']
      await other.ok('secret', 'setup')
      expect(await piped(['secret', 'set', 'a'], value, other)).toMatchObject({ code: 0 })
      expect(await other.ok('secret', 'get', 'a')).toBe(`${value}\n`)
      const key = join(memory, 'thv/secrets-key')
      const password = await readFile(key, 'utf8')
      expect((await stat(key)).mode & 0o777).toBe(0o600)
      expect(await filesWith(other.directory, password)).toEqual([])
      expect(await other.ok('secret', 'reset-keyring')).toContain('taken out')
      const locked = await other.thv('secret', 'get', 'a')
      expect(locked).toMatchObject({ code: 1, stderr: expect.stringMatching(/secrets-locked-away|secrets-denied/) })
      const environment = { TOOLHIVE_SECRETS_PASSWORD: password }
      expect(await other.run(['secret', 'get', 'a'], { environment })).toMatchObject({ code: 0, stdout: `${value}\n` })
    } finally {
      await other.close()
      rmSync(memory, { recursive: true, force: true })
    }
  })
})

// Looks into /proc, and for a key in the memory of Linux.
describe.runIf(process.platform === 'linux')('a server', () => {
  it.each(boxes)('with isolation %s gets a secret as a variable, and nobody else sees it', async (isolation) => {
    await piped(['secret', 'set', 'github'], value)
    const words = ['--isolation', isolation, '--secret', 'github,target=TOKEN', '--', ...fixture('hostile-server.mjs')]
    const attempt = await runHostile(world, 'boxed', words)
    const environment = (await attempt('environment')).done as Record<string, string>
    expect(environment['TOKEN']).toBe(value)
    expect(Object.keys(environment).filter((name) => name.startsWith('TOOLHIVE_'))).toEqual([])
    expect(await filesWith(world.directory, value)).toEqual([])
    expect(await commandLinesWith(value)).toEqual([])
    expect(await world.ok('export', 'boxed', '/dev/stdout')).toContain('github,target=TOKEN')
    const path = join(world.directory, 'data/toolhive/secrets_encrypted')
    const seen = isolation === 'none' ? { done: expect.any(String) } : { failed: expect.any(String) }
    expect(await attempt('read', { path })).toEqual(seen)
    const memory = mkdtempSync('/dev/shm/thv-e2e-')
    try {
      const key = join(memory, 'secrets-key')
      await writeFile(key, 'a password', { mode: 0o600 })
      expect(await attempt('read', { path: key })).toEqual(seen)
    } finally {
      rmSync(memory, { recursive: true, force: true })
    }
    expect((await piped(['secret', 'set', 'github'], value)).stderr).toContain('used by boxed')
    expect((await world.thv('secret', 'delete', 'github')).stderr).toContain('used by boxed')
    const restarted = await world.thv('restart', 'boxed')
    expect(restarted).toMatchObject({ code: 1, stderr: expect.stringContaining("secret not found: 'github'") })
  })

  it('whose secret is not there is not even begun', async () => {
    const words = ['--name', 'none', '--secret', 'gone,target=TOKEN', '--', ...fixture('stdio-server.mjs')]
    expect(await world.thv('run', ...words)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("secret not found: 'gone'"),
    })
    expect(await world.list()).toEqual([])
  })
})

describe('a remote server', () => {
  let server: Server
  let seen: { key: string | undefined; authorization: string | undefined }[]
  let url: string

  beforeAll(async () => {
    server = createServer((request, response) => {
      const { 'x-key': key, authorization } = request.headers
      seen.push({ key: typeof key === 'string' ? key : undefined, authorization })
      answer(request, response)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`
    Object.assign(world.environment, { TOOLHIVE_HEALTH_CHECK_INTERVAL: '300ms' })
  })
  afterAll(() => server.close())

  it('is sent a header from a secret, and a new one when it changes', async () => {
    seen = []
    await piped(['secret', 'set', 'key'], value)
    await world.ok('run', '--name', 'far', '--remote-forward-headers-secret', 'X-Key=key', url)
    expect(seen.map(({ key }) => key)).toContain(value)
    expect(seen.every(({ key }) => key === value)).toBe(true)
    await piped(['secret', 'set', 'key'], `${value}-new`)
    await eventually('the new value is sent', 20_000, async () =>
      seen.at(-1)?.key === `${value}-new` ? true : undefined,
    )
    expect(await filesWith(world.directory, value)).toEqual([])
    expect(await commandLinesWith(value)).toEqual([])
  })

  it('is sent a token that is kept as a secret, and goes with its workload', async () => {
    seen = []
    const run = await world.thv('run', '--name', 'far', '--remote-auth-bearer-token', value, url)
    expect(run).toMatchObject({ code: 0, stderr: expect.stringContaining('warning: other users') })
    expect(seen.every(({ authorization }) => authorization === `Bearer ${value}`)).toBe(true)
    expect(await world.ok('secret', 'list', '--system')).toContain('__thv_workloads_BEARER_TOKEN_far  [workloads]')
    expect(await world.ok('secret', 'list')).not.toContain('BEARER')
    expect(await filesWith(world.directory, value)).toEqual([])
    expect(await commandLinesWith(value)).toEqual([])
    await world.ok('rm', 'far')
    expect(await world.ok('secret', 'list', '--system')).toBe('No system-managed secrets found\n')
  })
})

describe('over the API', () => {
  let api: ApiProcess
  let other: World
  beforeAll(async () => {
    other = await openWorld()
    api = await startApi(other)
  })
  afterAll(async () => {
    await api.end()
    await other.close()
  })

  it('secrets are set up, saved, listed, changed and deleted, and never shown', async () => {
    const status = async (method: string, path: string, body?: unknown): Promise<number> =>
      (await api.call(method, `/secrets${path}`, body)).status
    expect(await status('GET', '/default')).toBe(404)
    expect(await status('POST', '/default/keys', { key: 'a', value: '1' })).toBe(404)
    expect(await status('POST', '', { provider_type: 'vault' })).toBe(400)
    expect(await status('POST', '', { provider_type: '1password' })).toBe(501)
    const setUp = await api.call('POST', '/secrets', { provider_type: 'encrypted' })
    expect([setUp.status, setUp.json()]).toEqual([
      201,
      { provider_type: 'encrypted', message: 'Secrets provider setup successfully' },
    ])
    expect((await api.call('GET', '/secrets/default')).json()).toMatchObject({
      name: 'default',
      provider_type: 'encrypted',
      capabilities: { can_write: true },
    })
    expect(await status('POST', '/default/keys', { key: 'a', value: '' })).toBe(400)
    expect(await status('POST', '/default/keys', { key: '__thv_x_y', value: '1' })).toBe(400)
    expect(await status('POST', '/default/keys', { key: 'a', value })).toBe(201)
    expect(await status('POST', '/default/keys', { key: 'a', value: '2' })).toBe(409)
    expect((await api.call('GET', '/secrets/default/keys')).json()).toEqual({ keys: [{ key: 'a' }] })
    expect(await status('PUT', '/default/keys/a', { value: '2' })).toBe(200)
    expect(await other.ok('secret', 'get', 'a')).toBe('2\n')
    expect(await status('PUT', '/default/keys/b', { value: '2' })).toBe(404)
    expect(await status('DELETE', '/default/keys/a')).toBe(204)
    expect(await status('DELETE', '/default/keys/a')).toBe(404)
    expect(await status('POST', '', { provider_type: 'environment' })).toBe(201)
    expect(await status('GET', '/default/keys')).toBe(405)
    expect(await status('POST', '/default/keys', { key: 'a', value: '1' })).toBe(405)
  })
})

/** Answers as an MCP server without sessions does. */
function answer(request: IncomingMessage, response: ServerResponse): void {
  let body = ''
  request.on('data', (piece: Buffer) => {
    body += piece.toString()
  })
  request.on('end', () => {
    const { id, method } = JSON.parse(body === '' ? '{}' : body) as { id?: number; method?: string }
    if (id === undefined) {
      response.writeHead(202).end()
      return
    }
    const handshake = {
      protocolVersion: '2025-06-18',
      capabilities: { tools: {} },
      serverInfo: { name: 'far', version: '1' },
    }
    const result = method === 'initialize' ? handshake : {}
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id, result }))
  })
}

async function piped(args: readonly string[], input: string | Buffer, where = world): Promise<CommandResult> {
  const child = spawn(process.execPath, ['--', program, ...args], { cwd: where.directory, env: where.environment })
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  return await collect(child)
}

/** Every file of a world that holds a text: state, settings, logs. */
async function filesWith(directory: string, text: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  expect(files.length).toBeGreaterThan(0)
  const found = await Promise.all(files.map(async (file) => (await readFile(file, 'latin1')).includes(text)))
  return files.filter((_file, index) => found[index])
}

async function commandLinesWith(text: string): Promise<string[]> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))
  const lines = await Promise.all(
    pids.map(async (pid) => await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')),
  )
  return lines.filter((line) => line.includes(text))
}
