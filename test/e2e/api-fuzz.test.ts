import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApi, type ApiProcess } from './api-server.ts'
import { fixture, openWorld, root, type World } from './harness.ts'
import { hostileRequests, type HostileRequest } from './hostile-requests.ts'
import { fuzz, installSchemathesis } from './schemathesis.ts'

const documentPath = join(root, 'docs/reference/openapi.json')
const seed = Number(process.env['THV_FUZZ_SEED'] ?? Date.now() % 1_000_000)
const fuzzSeconds = 20
const answerMs = 10_000

let world: World
let api: ApiProcess

describe('the API under everything its own document allows, and what it does not', () => {
  beforeAll(open)
  afterAll(close)

  it(`answers as documented for ${fuzzSeconds} s, and keeps what it has (seed ${seed})`, async (context) => {
    const program = await installSchemathesis().catch((error: unknown) => String(error))
    if (!program.startsWith('/')) context.skip(`missing: schemathesis (${program})`)
    const found = await fuzz(program, {
      document: documentPath,
      origin: api.origin,
      directory: world.directory,
      seconds: fuzzSeconds,
      seed,
    })
    expect(found.stdout).toMatch(/\b\d{3,} generated/)
    expect([found.code, found.code === 0 ? '' : found.stdout]).toEqual([0, ''])
    // It finds out the names that there are, and may use them; whatever it does, the server serves.
    await expectServing()
    const { workloads } = (await api.call('GET', '/workloads?all=true')).json<Listing>()
    expect(workloads.filter(({ name }) => name !== 'kept')).toEqual([])
  }, 300_000)
})

describe('the API under what no client would send', () => {
  beforeAll(open)
  afterAll(close)

  it(`answers at once, with no fault of its own, and a refusal changes nothing (seed ${seed})`, async () => {
    const document: { paths: Record<string, Record<string, unknown>> } = JSON.parse(
      await readFile(documentPath, 'utf8'),
    )
    const targets = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => ({ method: method.toUpperCase(), path })),
    )
    const seen = new Set<number>()
    let before = await snapshot()
    await fc.assert(
      fc.asyncProperty(hostileRequests(targets), async (sent) => {
        const status = await send(sent)
        seen.add(status)
        expect([status, status < 500 || status === 501]).toEqual([status, true])
        const after = await snapshot()
        if (status >= 400) expect(after).toEqual(before)
        before = after
      }),
      { seed, numRuns: 600, interruptAfterTimeLimit: 15_000, endOnFailure: true },
    )
    // It came past the first check of every kind.
    expect([...seen]).toEqual(expect.arrayContaining([200, 400, 404, 501]))
    await expectUnharmed()
  })

  it.each([
    ['a foreign Host', 'GET /api/v1beta/workloads HTTP/1.1\r\nHost: evil.example\r\n\r\n', 403],
    [
      'a Host with a loopback name in front',
      'GET /api/v1beta/workloads HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\n\r\n',
      403,
    ],
    [
      'a foreign Origin',
      'GET /api/v1beta/workloads HTTP/1.1\r\nHost: HOST\r\nOrigin: http://evil.example\r\n\r\n',
      403,
    ],
    ['the Origin null', 'GET /api/v1beta/workloads HTTP/1.1\r\nHost: HOST\r\nOrigin: null\r\n\r\n', 403],
    ['no Host', 'GET /api/v1beta/workloads HTTP/1.1\r\n\r\n', 400],
    ['two Hosts', 'GET /health HTTP/1.1\r\nHost: HOST\r\nHost: evil.example\r\n\r\n', 403],
    [
      'a length beside chunks',
      'POST /api/v1beta/groups HTTP/1.1\r\nHost: HOST\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    [
      'a length that is too large',
      'POST /api/v1beta/groups HTTP/1.1\r\nHost: HOST\r\nContent-Length: 9999999999\r\n\r\n',
      413,
    ],
    [
      'a broken chunk',
      'POST /api/v1beta/groups HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n',
      400,
    ],
    ['no HTTP', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', 400],
  ])('refuses %s', async (_what, text, wanted) => {
    const before = await snapshot()
    expect(await raw(text.replaceAll('HOST', new URL(api.origin).host))).toBe(wanted)
    expect(await snapshot()).toEqual(before)
  })

  it('refuses a body of chunks that goes beyond the limit', async () => {
    const head = `POST /api/v1beta/groups HTTP/1.1\r\nHost: ${new URL(api.origin).host}\r\nTransfer-Encoding: chunked\r\n\r\n`
    const chunk = `10000\r\n${' '.repeat(65_536)}\r\n`
    expect(await raw(head + chunk.repeat(17))).toBe(413)
    await expectUnharmed()
  })

  it('tells whoever sends far too much why it is refused, also when it waits for no answer', async () => {
    const sent = { method: 'POST', path: '/api/v1beta/groups', body: ' '.repeat(5_000_000), headers: {} }
    for (let turn = 0; turn < 20; turn += 1) expect(await send(sent)).toBe(413)
  })

  it('outlives two hundred requests that are left half said', async () => {
    const { host, hostname, port } = new URL(api.origin)
    const halves = [
      'GET /api',
      `POST /api/v1beta/groups HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 50\r\n\r\n{"name":`,
    ]
    const before = await snapshot()
    const sockets = Array.from({ length: 200 }, (_none, index) => {
      const socket = connect({ host: hostname, port: Number(port) })
      socket.on('error', () => {}).write(halves[index % 2] ?? '')
      return socket
    })
    await Promise.all(sockets.map(async (socket) => (socket.connecting ? await once(socket, 'connect') : undefined)))
    // While they are open others are served.
    expect((await api.call('GET', '/workloads?all=true')).status).toBe(200)
    for (const socket of sockets) socket.destroy()
    await expectUnharmed()
    expect(await snapshot()).toEqual(before)
  })
})

async function open(): Promise<void> {
  world = await openWorld()
  await world.ok('run', '--name', 'kept', '--', ...fixture('stdio-server.mjs'))
  await world.ok('stop', 'kept')
  // No package manager and no engine: nothing that is made up here can be installed or run.
  world.environment['PATH'] = join(world.directory, 'no-programs')
  world.environment['XDG_CACHE_HOME'] = join(world.directory, 'cache')
  api = await startApi(world, '--openapi')
}

async function close(): Promise<void> {
  await api?.end()
  await world.close()
}

interface Listing {
  workloads: { name: string; status: string }[]
}

/** Resolves to the status; rejects when there is none in time. Not `fetch`, which tidies paths up. */
async function send({ method, path, body, headers }: HostileRequest): Promise<number> {
  const { hostname, port } = new URL(api.origin)
  // Without it Node sends the body of a DELETE without a frame, as a second request.
  const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
  return await new Promise((resolve, reject) => {
    const sent = request(
      { host: hostname, port, method, path, headers: { ...headers, ...length }, agent: false, timeout: answerMs },
      (response) => {
        const status = response.statusCode ?? 0
        // Streams have no end; whoever leaves one must not harm it either.
        const isStream = response.headers['x-accel-buffering'] === 'no'
        if (isStream) response.destroy()
        if (isStream) resolve(status)
        else response.resume().once('end', () => resolve(status))
      },
    )
    sent.once('timeout', () => sent.destroy(new Error(`no answer to ${method} ${path.slice(0, 200)}`)))
    sent.once('error', reject)
    sent.end(body)
  })
}

/** Writes text to a connection and resolves to the status of the first answer. */
async function raw(text: string): Promise<number> {
  const { hostname, port } = new URL(api.origin)
  const socket = connect({ host: hostname, port: Number(port), timeout: answerMs })
  socket.on('timeout', () => socket.destroy(new Error('no answer')))
  socket.write(text, 'latin1')
  try {
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    return Number(/^HTTP\/1\.1 (\d{3})/.exec(chunk.toString('latin1'))?.[1] ?? 0)
  } finally {
    socket.on('error', () => {}).destroy()
  }
}

/** Every file in the user's directories but the record of the server. */
async function snapshot(): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const base of ['config', 'data', 'state']) {
    const directory = join(world.directory, base)
    const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => [])
    for (const entry of entries.filter((one) => one.isFile())) {
      const path = join(entry.parentPath, entry.name)
      if (!path.split('/').includes('server')) found[path] = await readFile(path, 'base64')
    }
  }
  return found
}

/** The server that was started is the one that answers, and it had no fault of its own. */
async function expectServing(): Promise<void> {
  expect([api.process.exitCode, api.process.signalCode]).toEqual([null, null])
  expect((await api.call('GET', '//health')).status).toBe(204)
  expect(api.log()).not.toContain('a request failed')
}

/** The same, and the workload is as it was. */
async function expectUnharmed(): Promise<void> {
  await expectServing()
  const { workloads } = (await api.call('GET', '/workloads?all=true')).json<Listing>()
  expect(workloads.map(({ name, status }) => [name, status])).toEqual([['kept', 'stopped']])
}
