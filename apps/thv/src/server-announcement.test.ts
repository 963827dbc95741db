import { parseServerRecord, type ServerRecord } from '@thv/core'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'

interface Said {
  ready?: boolean
  announced?: ServerRecord
  warnings?: string[]
  refused?: string
  code?: string
  withdrew?: boolean
}

interface Server {
  child: ChildProcess
  next: () => Promise<Said>
}

const script = fileURLToPath(new URL('fixtures/announce.ts', import.meta.url))
let home: string
let servers: Server[] = []

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'thv-announce-'))
})
afterEach(async () => {
  await Promise.all(servers.splice(0).map(async ({ child }) => await end(child, 'SIGKILL')))
  rmSync(home, { recursive: true, force: true })
})

test('of 30 servers that start at once one stays, the others say who it is, and the record is that one', async () => {
  const crowd = await Promise.all(Array.from({ length: 30 }, async () => await ready()))
  for (const { child } of crowd) child.stdin?.write('go\n')
  const said = await Promise.all(crowd.map(async (server) => await server.next()))
  const [winner, ...more] = said.flatMap(({ announced }) => announced ?? [])
  expect(more).toEqual([])
  expect(readRecord()).toEqual(winner)
  const losers = said.filter(({ announced }) => announced === undefined)
  const words = `another ToolHive server is already running at ${winner!.url} (PID ${winner!.pid})`
  expect(losers).toEqual(Array.from({ length: 29 }, () => ({ refused: words, code: 'api-server-running' })))
  // No lock, claim or temporary file is left.
  expect(readdirSync(join(home, 'toolhive/server'))).toEqual(['server.json'])
  // Every one of them compiles its sources first.
}, 240_000)

test('the record is private, and goes away with its server', async () => {
  const server = await start()
  const { announced } = await server.next()
  expect(announced).toMatchObject({ pid: server.child.pid, nonce: expect.stringMatching(/^[0-9a-f]{32}$/) })
  expect([mode('toolhive'), mode('toolhive/server'), mode('toolhive/server/server.json')]).toEqual([
    0o750, 0o700, 0o600,
  ])
  server.child.kill('SIGTERM')
  expect(await server.next()).toEqual({ withdrew: true })
  expect(readdirSync(join(home, 'toolhive/server'))).toEqual([])
})

test('the record of a server that was killed is replaced without a word', async () => {
  const first = await start()
  const { announced: old } = await first.next()
  await end(first.child, 'SIGKILL')
  expect(readRecord()).toEqual(old)
  const { announced, warnings } = await (await start()).next()
  expect(warnings).toEqual([])
  expect(readRecord()).toEqual(announced)
})

test('a server that hangs is replaced with a warning, and does not take the record of its successor when it ends', async () => {
  const first = await start('hang')
  await first.next()
  const { announced, warnings } = await (await start()).next()
  expect(warnings).toEqual([
    expect.stringMatching(/^replacing the record of a server that cannot be verified at .*: no answer within 5 s$/),
  ])
  first.child.kill('SIGTERM')
  expect(await first.next()).toEqual({ withdrew: false })
  expect(readRecord()).toEqual(announced)
}, 60_000)

test('a record whose pid and port now belong to others does not keep a server from starting', async () => {
  const stranger = createServer((_request, response) => {
    response.writeHead(204, { 'X-Toolhive-Nonce': 'f'.repeat(32) }).end()
  }).listen(0, '127.0.0.1')
  await once(stranger, 'listening')
  const { port } = stranger.address() as { port: number }
  place({
    url: `http://127.0.0.1:${port}`,
    pid: process.pid,
    nonce: '0'.repeat(32),
    started_at: '2026-08-21T10:26:05Z',
  })
  const { announced, warnings } = await (await start()).next()
  stranger.close()
  expect(warnings).toEqual([expect.stringContaining('another server answers there')])
  expect(readRecord()).toEqual(announced)
})

test('a torn record is replaced, and told', async () => {
  place('{"url":"http://127.0.0.1:1')
  const { announced, warnings } = await (await start()).next()
  expect(warnings).toEqual([expect.stringMatching(/^replacing '.*server\.json': it is not JSON/)])
  expect(readRecord()).toEqual(announced)
})

async function start(...args: string[]): Promise<Server> {
  const server = await ready(...args)
  server.child.stdin?.write('go\n')
  return server
}

/** A server that listens, and waits to announce itself. */
async function ready(...args: string[]): Promise<Server> {
  const child = spawn(process.execPath, ['--conditions=@thv/source', '--import', 'tsx', script, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, XDG_STATE_HOME: home },
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const server: Server = {
    child,
    next: async () => {
      const { value, done } = await lines.next()
      if (done === true) throw new Error('the server ended without a word')
      return JSON.parse(value) as Said
    },
  }
  servers.push(server)
  expect(await server.next()).toEqual({ ready: true })
  return server
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill(signal)
  await once(child, 'exit')
}

function readRecord(): ServerRecord {
  return parseServerRecord(readFileSync(join(home, 'toolhive/server/server.json'), 'utf8'))
}

function place(record: unknown): void {
  mkdirSync(join(home, 'toolhive/server'), { recursive: true, mode: 0o700 })
  const text = typeof record === 'string' ? record : JSON.stringify(record)
  writeFileSync(join(home, 'toolhive/server/server.json'), text, { mode: 0o600 })
}

function mode(path: string): number {
  return statSync(join(home, path)).mode & 0o777
}
