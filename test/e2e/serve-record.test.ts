import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, lstat, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer, get, type Server } from 'node:http'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startApi, type ApiProcess } from './api-server.ts'
import { eventually, isAlive, openWorld, type CommandResult, type World } from './harness.ts'

interface ServerRecord {
  url: string
  pid: number
  nonce: string
  started_at: string
  thv?: { started: string }
}

const stranger = 65_534
const isRoot = process.getuid?.() === 0

let world: World
let apis: ApiProcess[]
let path: string

beforeEach(async () => {
  world = await openWorld()
  apis = []
  path = join(world.directory, 'state/toolhive/server/server.json')
  await mkdir(join(world.directory, 'state/toolhive/server'), { recursive: true, mode: 0o700 })
})

afterEach(async () => {
  for (const { process: child } of apis) await kill(child)
  await world.close()
})

describe('a record of no server', () => {
  it.each([
    ['torn', '{"url":"http://127.0.0.1:1', /replacing '.*server\.json': it is not JSON/],
    ['empty', '', /replacing '.*server\.json': /],
    ['of another shape', '[{"url":1}]', /replacing '.*server\.json': /],
    ['huge', `"${'x'.repeat(2_000_000)}"`, /replacing '.*server\.json': it is larger than 16384 bytes/],
  ])('is replaced with the reason when it is %s', async (_kind, text, reason) => {
    await writeFile(path, text, { mode: 0o600 })
    const api = await serve()
    expect(api.log()).toMatch(reason)
    expect((await readRecord()).pid).toBe(api.process.pid)
    expect((await lstat(path)).mode & 0o777).toBe(0o600)
  })

  it.each(['http://192.0.2.1:80', 'http://localhost:8080', 'http://0.0.0.0:8080', 'https://127.0.0.1', 'unix://../x'])(
    'is not followed when it says %s',
    async (url) => {
      await writeRecord({ url, pid: 1, nonce: '0'.repeat(32), started_at: '2026-08-21T10:26:05Z' })
      const api = await serve()
      expect(api.log()).toContain('"level":"WARN","msg":"replacing')
      expect((await readRecord()).pid).toBe(api.process.pid)
    },
  )

  it('is replaced by a private one when other users can change it, and its directory is closed with a word', async () => {
    const record = {
      url: 'http://127.0.0.1:1',
      pid: 2 ** 22 + 1,
      nonce: '0'.repeat(32),
      started_at: '2026-08-21T10:26:05Z',
    }
    await writeFile(path, JSON.stringify(record))
    await chmod(path, 0o666)
    await chmod(dirname(path), 0o777)
    const api = await serve()
    expect(api.log()).toMatch(/the directory of '.*server\.json' was open to other users; it is private again/)
    expect((await lstat(dirname(path))).mode & 0o777).toBe(0o700)
    expect((await readRecord()).pid).toBe(api.process.pid)
    expect((await lstat(path)).mode & 0o777).toBe(0o600)
  })

  it('is left alone, with the reason, when it is a link, and so is what the link leads to', async () => {
    const target = join(world.directory, 'precious.json')
    await writeFile(target, 'precious')
    await symlink(target, path)
    expect(await refused()).toMatch(/it is a symbolic link/)
    expect([await readFile(target, 'utf8'), (await lstat(path)).isSymbolicLink()]).toEqual(['precious', true])
  })

  it('is left alone, with the reason, when it is a directory', async () => {
    await mkdir(path)
    expect(await refused()).toMatch(/it is not a regular file/)
    expect((await lstat(path)).isDirectory()).toBe(true)
  })

  it('is left alone, with the reason, when it belongs to somebody else', async (context) => {
    // A user cannot give files away.
    if (!isRoot) context.skip('a foreign file needs root')
    await writeFile(path, '{}', { mode: 0o600 })
    await chown(path, stranger, stranger)
    expect(await refused()).toMatch(/it belongs to another user \(uid 65534\)/)
    expect((await lstat(path)).uid).toBe(stranger)
  })

  it('is replaced without a word when its process has ended and its number is in use again', async () => {
    const other = await strangeServer('f'.repeat(32))
    const bystander = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
    try {
      await writeRecord({
        url: other.url,
        pid: bystander.pid ?? 0,
        nonce: '0'.repeat(32),
        started_at: '2026-08-21T10:26:05Z',
        thv: { started: '00000000:1' },
      })
      const api = await serve()
      expect(api.log()).not.toContain('WARN')
      expect((await readRecord()).pid).toBe(api.process.pid)
      expect(await isAlive(bystander.pid ?? 0)).toBe(true)
    } finally {
      other.server.close()
      await kill(bystander)
    }
  })
})

describe('where a server can be found', () => {
  it('is told apart from who holds its port', async () => {
    const first = await serve()
    const { port } = new URL(first.origin)
    await rm(path)
    const result = await world.thv('serve', '--port', port)
    expect(result.code).toBe(1)
    expect(result.stderr).toContain(`cannot listen on 127.0.0.1:${port}: address already in use [address-in-use]`)
    await expect(readRecord()).rejects.toThrow('ENOENT')
  })

  it.each(['0.0.0.0', '::', 'localhost', '127.0.0.1', '::1'])(
    'is a loopback URL that works with --host %s',
    async (host) => {
      await serve('--host', host)
      const { url, nonce } = await readRecord()
      expect(url).toMatch(/^http:\/\/(127\.0\.0\.1|\[::1\]):\d+$/)
      const answer = await fetch(`${url}/health`)
      expect([answer.status, answer.headers.get('x-toolhive-nonce')]).toEqual([204, nonce])
      const second = await world.thv('serve', '--host', host, '--port', '0')
      expect([second.code, second.stderr]).toEqual([1, expect.stringContaining(`already running at ${url} (PID `)])
    },
  )

  it('is a port and a socket at once, and the socket goes with its server', async () => {
    const socket = join(world.directory, 'thv.sock')
    const api = await serve('--socket', socket)
    const { url, nonce } = await readRecord()
    expect(url).toBe(api.origin)
    expect(await nonceBySocket(socket)).toBe(nonce)
    expect((await fetch(`${url}/health`)).headers.get('x-toolhive-nonce')).toBe(nonce)
    expect((await lstat(socket)).mode & 0o777).toBe(0o660)
    expect(await api.end()).toBe(0)
    await expect(lstat(socket)).rejects.toThrow('ENOENT')
    await expect(readRecord()).rejects.toThrow('ENOENT')
  })

  it('is a socket alone, which a killed server leaves and the next one takes', async () => {
    const socket = join(world.directory, 'thv.sock')
    for (let turn = 0; turn < 2; turn += 1) {
      const child = world.spawn(['serve', '--socket', socket])
      const nonce = await eventually(
        'the socket answers',
        20_000,
        async () => await nonceBySocket(socket).catch(() => undefined),
      )
      const record = await eventually('it is announced', 20_000, async () => {
        const read = await readRecord().catch(() => undefined)
        return read?.pid === child.pid ? read : undefined
      })
      expect([record.url, record.nonce]).toEqual([`unix://${socket}`, nonce])
      await kill(child)
    }
  })
})

describe('a server that hangs', () => {
  it('is replaced with a warning, and leaves the record of its successor when it ends after all', async () => {
    const hung = await serve()
    hung.process.kill('SIGSTOP')
    try {
      const next = await serve()
      expect(next.log()).toMatch(
        new RegExp(
          `replacing the record of a server that cannot be verified at ${hung.origin} \\(PID ${hung.process.pid}\\)`,
        ),
      )
      const record = await readRecord()
      expect(record.pid).toBe(next.process.pid)
      hung.process.kill('SIGCONT')
      expect(await hung.end()).toBe(0)
      expect(await readRecord()).toEqual(record)
    } finally {
      hung.process.kill('SIGCONT')
    }
  })
})

async function serve(...flags: string[]): Promise<ApiProcess> {
  const api = await startApi(world, ...flags)
  apis.push(api)
  return api
}

/** What a server says that must not start. */
async function refused(): Promise<string> {
  const result: CommandResult = await world.thv('serve', '--port', '0')
  expect(result.code).toBe(1)
  return result.stderr
}

async function writeRecord(record: ServerRecord): Promise<void> {
  await writeFile(path, JSON.stringify(record), { mode: 0o600 })
}

async function readRecord(): Promise<ServerRecord> {
  const record: ServerRecord = JSON.parse(await readFile(path, 'utf8'))
  return record
}

async function strangeServer(nonce: string): Promise<{ server: Server; url: string }> {
  const server = createServer((_request, response) => {
    response.writeHead(204, { 'X-Toolhive-Nonce': nonce }).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('it has no port')
  return { server, url: `http://127.0.0.1:${address.port}` }
}

async function nonceBySocket(socketPath: string): Promise<string> {
  return await new Promise((resolve, reject) => {
    get({ socketPath, path: '/health' }, (response) => {
      response.resume()
      resolve(String(response.headers['x-toolhive-nonce']))
    }).once('error', reject)
  })
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}
