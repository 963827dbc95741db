import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { announce, serve, standIn } from './announced-server.ts'
import { eventually, fixture, isAlive, openWorld, type CommandResult, type World } from './harness.ts'

interface ServerStatus {
  state: string
  url?: string
  pid?: number
  reason?: string
}

const alone = { THV_NO_SERVER: '1' }
let world: World

beforeEach(async () => {
  world = await openWorld()
})
afterEach(async () => {
  await world.thv('server', 'stop')
  await world.close()
})

describe('a server in the background', () => {
  test('is started once, found, and stopped; its log is private and says where', async () => {
    expect(await world.thv('server', 'status')).toMatchObject({ code: 1, stdout: 'State:   not_found\n' })
    expect((await world.ok('server', 'stop')).trim()).toBe('No API server runs')
    const first = await world.ok('server', 'start', '--port', '0')
    const { state, url, pid } = await serverStatus()
    expect(state).toBe('running')
    expect(first).toBe(`The API server runs at ${url} (PID ${pid})\n`)
    expect(await world.ok('server', 'start')).toBe(`The API server already runs at ${url} (PID ${pid})\n`)
    const log = join(world.directory, 'data/toolhive/logs/api/serve.log')
    expect(await readFile(log, 'utf8')).toContain(`listening on ${url}`)
    expect((await stat(log)).mode & 0o777).toBe(0o600)
    expect((await world.thv('server', 'start', '--openapi')).stderr).toContain('the flags are for a new server')
    expect(await world.ok('server', 'stop')).toBe(`The API server at ${url} (PID ${pid}) was stopped\n`)
    expect(await isAlive(pid!)).toBe(false)
    expect(await serverStatus()).toEqual({ state: 'not_found' })
  }, 60_000)

  test('that cannot start says why, in its own words, and leaves no process', async () => {
    const { port } = await serve(() => {})
    const failed = await world.thv('server', 'start', '--port', String(port))
    expect(failed.code).toBe(1)
    expect(failed.stderr).toMatch(/the API server did not start: it ended \[api-server-start-failed\]/)
    expect(failed.stderr).toMatch(/ {2}\| .*\[address-in-use\]/)
    expect(await world.processes()).toEqual([])
  }, 60_000)

  test('is one, when ten start it at once', async () => {
    const starts = await Promise.all(Array.from({ length: 10 }, async () => await world.ok('server', 'start')))
    const { pid, url } = await serverStatus()
    expect(new Set(starts.map((said) => said.replace(' already', '')))).toEqual(
      new Set([`The API server runs at ${url} (PID ${pid})\n`]),
    )
    await eventually('only the server is left', 10_000, async () =>
      (await world.processes()).join() === String(pid) ? true : undefined,
    )
  }, 120_000)

  test('is one, when two commands want it at once', async () => {
    const lists = await Promise.all([world.ok('list', '--auto-start'), world.ok('list', '--auto-start')])
    expect(lists).toEqual(['No MCP servers found\n', 'No MCP servers found\n'])
    const { pid } = await serverStatus()
    await eventually('only the server is left', 10_000, async () =>
      (await world.processes()).join() === String(pid) ? true : undefined,
    )
  }, 60_000)

  test('that hangs does not keep a list waiting, and can be stopped', async () => {
    await world.ok('server', 'start', '--port', '0')
    const { pid } = await serverStatus()
    process.kill(pid!, 'SIGSTOP')
    const began = performance.now()
    expect(await world.ok('list')).toBe('No MCP servers found\n')
    expect(performance.now() - began).toBeLessThan(4_500)
    expect(await serverStatus()).toMatchObject({ state: 'unhealthy', reason: 'no answer within 5 s' })
    await world.ok('server', 'stop')
    expect(await isAlive(pid!)).toBe(false)
  }, 60_000)
})

describe('a record whose process number belongs to somebody else now', () => {
  let stranger: ChildProcess
  beforeEach(async () => {
    stranger = spawn('sleep', ['300'], { stdio: 'ignore' })
    await once(stranger, 'spawn')
  })
  afterEach(async () => {
    stranger.kill('SIGKILL')
    await once(stranger, 'exit')
  })

  test('does not end the stranger', async () => {
    await announce(world, { url: 'http://127.0.0.1:1', pid: stranger.pid!, thv: { started: 'long ago' } })
    expect(await serverStatus()).toMatchObject({ state: 'stale', pid: stranger.pid })
    expect(await world.ok('server', 'stop')).toBe('No API server runs\n')
    expect(await isAlive(stranger.pid!)).toBe(true)
    expect(await serverStatus()).toEqual({ state: 'not_found' })
  }, 30_000)

  test('and no start time leaves the stranger alone, and says so', async () => {
    await announce(world, { url: 'http://127.0.0.1:1', pid: stranger.pid! })
    const { code, stderr } = await world.thv('server', 'stop')
    expect([code, stderr]).toEqual([1, expect.stringContaining('[api-server-unverified]')])
    expect(await isAlive(stranger.pid!)).toBe(true)
  }, 30_000)
})

describe('commands', () => {
  test('say the same with and without a server, also when they fail', async () => {
    await runServer('notes', '--label', 'team=a')
    await runServer('mail')
    await world.ok('stop', 'mail')
    await writeFile(join(world.directory, 'data/toolhive/statuses/torn.json'), '{"status":')
    await world.ok('server', 'start', '--port', '0')
    const questions = [
      ['list'],
      ['list', '--all', '--format', 'json'],
      ['list', '--format', 'mcpservers'],
      ['list', '--format', 'json', '--label', 'team=a'],
      ['list', '--format', 'json', '--label', 'team=b'],
      ['list', '--all', '--format', 'json', '--group', 'default'],
      ['list', '--group', 'nobody'],
      ['status', 'mail', '--format', 'json'],
      ['status', 'mail'],
      ['status', 'nobody'],
      ['export', 'notes', '/dev/stdout'],
      ['export', 'nobody', '/dev/stdout'],
      ['stop', 'nobody'],
      ['stop', '../x'],
      ['stop', 'mail'],
      ['stop', 'nobody', 'no-one'],
      ['stop', '--group', 'nobody'],
      ['rm', 'nobody'],
      ['rm', '../x'],
    ]
    for (const question of questions) {
      const answers = [await world.thv(...question), await world.run(question, { environment: alone })]
      expect({ question, ...answers[0] }).toEqual({ question, ...answers[1] })
    }
  }, 120_000)

  test('that change something are carried out by the server, and are over when they return', async () => {
    await runServer('notes')
    await world.ok('server', 'start', '--port', '0')
    await world.ok('stop', 'notes')
    expect(await world.status('notes')).toMatchObject({ status: 'stopped' })
    const { url = '' } = await serverStatus()
    const removal = await world.run(['rm', 'notes'], { environment: { TOOLHIVE_API_URL: url } })
    expect(removal).toEqual({ code: 0, stdout: '', stderr: '' })
    expect(await world.list()).toEqual([])
    const log = await readFile(join(world.directory, 'data/toolhive/logs/api/serve.log'), 'utf8')
    expect(log.match(/"msg":"(?:stop|delete) is done"/g)).toHaveLength(2)
  }, 60_000)

  test('read from the server', async () => {
    const asked = await standIn(world, (request, response) => {
      response.end(`{"workloads":[{"name":"${request.url === '/api/v1beta/workloads' ? 'theirs' : 'other'}"}]}`)
    })
    expect(await world.ok('list')).toContain('theirs')
    expect(asked).toEqual(['GET /health', 'GET /api/v1beta/workloads'])
  }, 30_000)

  test.each([
    ['version', { version: '0.0.0-other' }],
    ['data directory', { data: '/elsewhere' }],
  ])(
    'leave a server of another %s alone',
    async (_what, other) => {
      const asked = await standIn(
        world,
        (_request, response) => response.end('{"workloads":[{"name":"theirs"}]}'),
        other,
      )
      expect(await world.ok('list')).toBe('No MCP servers found\n')
      expect(asked).toEqual([])
    },
    30_000,
  )

  test('work alone when the server answers nonsense', async () => {
    const asked = await standIn(world, (_request, response) => response.writeHead(200).end('<html>'))
    expect(await world.ok('list')).toBe('No MCP servers found\n')
    expect(asked).toHaveLength(2)
  }, 30_000)

  test('ask the server that TOOLHIVE_API_URL names, and nobody else', async () => {
    const { port } = await serve((_request, response) => response.end('{"workloads":[{"name":"theirs"}]}'))
    const url = `http://127.0.0.1:${port}`
    const named = await world.run(['list'], { environment: { TOOLHIVE_API_URL: url } })
    expect(named.stdout).toContain('theirs')
    const dead = await world.run(['list'], { environment: { TOOLHIVE_API_URL: 'http://127.0.0.1:1' } })
    expect([dead.code, dead.stderr]).toEqual([1, expect.stringContaining('[api-server-unreachable]')])
    const flag = await world.run(['list', '--auto-start'], { environment: { TOOLHIVE_API_URL: url } })
    expect(flag.stderr).toContain('[invalid-flag-combination]')
    const start = await world.run(['start', 'theirs'], { environment: { TOOLHIVE_API_URL: url } })
    expect(start.stderr).toContain("note: 'start' works on this machine, and does not ask TOOLHIVE_API_URL")
  }, 30_000)

  test('finish a stop alone when the server is killed in the middle', async () => {
    await runServer('stubborn', '--', '--ignore-eof', '--ignore-term')
    await world.ok('server', 'start', '--port', '0')
    const { pid } = await serverStatus()
    const stop = world.thv('stop', 'stubborn')
    await eventually('the stop has begun', 20_000, async () =>
      (await world.status('stubborn')).status === 'stopping' ? true : undefined,
    )
    process.kill(pid!, 'SIGKILL')
    expect(await stop).toEqual({ code: 0, stdout: '', stderr: '' })
    expect(await world.status('stubborn')).toMatchObject({ status: 'stopped' })
    expect(await serverStatus()).toMatchObject({ state: 'stale' })
  }, 120_000)

  test('one through the server and one alone, at once and again and again, leave nothing broken', async () => {
    await runServer('notes')
    await world.ok('server', 'start', '--port', '0')
    for (let round = 0; round < 4; round += 1) {
      expect(codes(await both('stop', 'notes'))).toEqual([0, 0])
      expect(await world.status('notes')).toMatchObject({ status: 'stopped' })
      expect(codes(await both('start', 'notes'))).toEqual([0, 0])
      const [workload] = await world.list()
      expect(workload).toMatchObject({ name: 'notes', status: 'running' })
      await allWhole()
    }
    const mixed = await Promise.all([
      world.thv('stop', 'notes'),
      world.run(['start', 'notes'], { environment: alone }),
      world.run(['restart', 'notes'], { environment: alone }),
      world.thv('stop', 'notes'),
    ])
    for (const { code, stderr } of mixed) {
      if (code !== 0) expect(stderr).toMatch(/\[(?:workload-busy|cancelled|server-exited)\]/)
    }
    await allWhole()
    const removals = await both('rm', 'notes')
    expect(codes(removals)).toContain(0)
    for (const { code, stderr } of removals) expect(code === 0 || stderr.includes('[workload-not-found]')).toBe(true)
    expect(await world.list()).toEqual([])
    const { pid } = await serverStatus()
    await eventually('only the server is left', 10_000, async () =>
      (await world.processes()).join() === String(pid) ? true : undefined,
    )
  }, 240_000)
})

async function runServer(name: string, ...more: string[]): Promise<void> {
  const dashes = more.indexOf('--')
  const [flags, own] = dashes < 0 ? [more, []] : [more.slice(0, dashes), more.slice(dashes + 1)]
  await world.ok('run', '--name', name, ...flags, '--', ...fixture('stdio-server.mjs', ...own))
}

/** The same command through the server and alone, at once. */
async function both(...args: string[]): Promise<CommandResult[]> {
  return await Promise.all([world.thv(...args), world.run(args, { environment: alone })])
}

function codes(results: readonly CommandResult[]): (number | null)[] {
  return results.map(({ code }) => code)
}

/** Every file of the state is whole. */
async function allWhole(): Promise<void> {
  for (const directory of ['data/toolhive/statuses', 'state/toolhive/runconfigs']) {
    for (const file of await readdir(join(world.directory, directory))) {
      if (!file.endsWith('.json')) continue
      const text = await readFile(join(world.directory, directory, file), 'utf8')
      expect(() => void JSON.parse(text)).not.toThrow()
    }
  }
}

async function serverStatus(): Promise<ServerStatus> {
  const { stdout } = await world.thv('server', 'status', '--format', 'json')
  const status: ServerStatus = JSON.parse(stdout)
  return status
}
