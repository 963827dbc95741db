import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { lstat, readdir, readFile, readlink, realpath, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { collect, eventually, fixture, isAlive, openWorld, root, type CommandResult, type World } from './harness.ts'

const launcher = join(root, 'apps/thv/bin/thv.mjs')
let world: World

beforeAll(async () => {
  world = await openWorld()
  await world.ok('run', '--name', 'one', '--', ...fixture('stdio-server.mjs'))
})

afterAll(async () => {
  await world.close()
})

describe('start --all', () => {
  it('starts what a killed supervisor has left', async () => {
    const pid = (await one()).supervisor_pid ?? 0
    process.kill(pid, 'SIGKILL')
    await eventually('the supervisor is gone', 5000, async () => ((await isAlive(pid)) ? undefined : true))
    expect((await one()).status).not.toBe('running')
    expect(await world.ok('start', '--all')).toContain('1 succeeded, 0 failed')
    expect((await one()).status).toBe('running')
  })
})

describe('export', () => {
  it('writes into a device, a pipe and through the own link of the user, without putting a file in its place', async () => {
    await world.ok('export', 'one', '/dev/null')
    expect((await lstat('/dev/null')).isCharacterDevice()).toBe(true)
    const printed = await world.ok('export', 'one', '/dev/stdout')
    expect(JSON.parse(printed)).toMatchObject({ name: 'one' })
    const target = join(world.directory, 'target.json')
    const link = join(world.directory, 'link.json')
    await writeFile(target, 'old')
    await symlink(target, link)
    await world.ok('export', 'one', link)
    expect((await lstat(link)).isSymbolicLink()).toBe(true)
    expect(JSON.parse(await readFile(target, 'utf8'))).toMatchObject({ name: 'one' })
  })

  it('to a pipe without a reader is refused', async () => {
    const path = fifo('unread')
    expect(await world.thv('export', 'one', path)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('nobody reads'),
    })
  })
})

describe('a pipe as a file of the user', () => {
  it.each([
    ['--from-config', ['run', '--from-config', 'PIPE']],
    ['--env-file', ['run', '--name', 'x', '--env-file', 'PIPE', '--', 'node']],
    ['--args-file', ['mcp', 'call', 'echo', '--server', 'one', '--args-file', 'PIPE']],
  ])('without a writer is an error of %s, not a wait', async (flag, args) => {
    const path = fifo(flag.slice(2))
    const result = await world.thv(...args.map((word) => (word === 'PIPE' ? path : word)))
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain('it is empty')
  })

  it('with a slow writer is waited for; a signal ends the wait', async () => {
    const slow = `(sleep 2; echo 'A=1') | '${process.execPath}' -- '${launcher}' run --name piped --env-file /dev/stdin -- no-such-program-xyz`
    const child = spawn('sh', ['-c', slow], { env: world.environment, cwd: world.directory })
    const { stderr } = await collect(child)
    expect(stderr).toContain('[command-not-found]')
    const path = fifo('endless')
    const writer = spawn('sh', ['-c', `exec 3<>'${path}'; sleep 60`])
    await hasOpened(writer.pid, path)
    const waiting = world.spawn(['run', '--from-config', path])
    const ended = collect(waiting)
    await hasOpened(waiting.pid, path)
    waiting.kill('SIGTERM')
    expect((await ended).code).toBe(143)
    writer.kill('SIGKILL')
  })
})

describe('exit codes', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('%s while a pipe is waited for gives %i', async (signal, code) => {
    const path = fifo(`signal-${signal}`)
    const writer = spawn('sh', ['-c', `exec 3<>'${path}'; sleep 60`])
    const child = world.spawn(['run', '--from-config', path])
    const ended = collect(child)
    await hasOpened(child.pid, path)
    child.kill(signal)
    expect((await ended).code).toBe(code)
    writer.kill('SIGKILL')
  })

  it.runIf(existsSync('/dev/full'))('a full disk behind standard output is an error', async () => {
    const result = await shell(`'${process.execPath}' -- '${launcher}' list > /dev/full`)
    expect(result).toMatchObject({ code: 1, stderr: expect.stringContaining('[state-full]') })
  })
})

describe('what the user types', () => {
  it('behind the dashes does not switch thv to debug', async () => {
    const { stderr } = await world.thv('run', '--name', 'x', '--', 'no-such-program-xyz', '--debug')
    expect(stderr).not.toMatch(/^ {4}at /m)
  })

  it('as an env file with NODE_OPTIONS is not applied to thv', async () => {
    const script = join(world.directory, 'evil.cjs')
    const proof = join(world.directory, 'proof')
    await writeFile(script, `require('node:fs').writeFileSync(${JSON.stringify(proof)}, '')`)
    const file = join(world.directory, 'evil.env')
    await writeFile(file, `NODE_OPTIONS=--require=${script}\n`)
    const thv = join(root, 'node_modules/.bin/thv')
    await shell(`'${thv}' run --name y --env-file '${file}' -- no-such-program-xyz`)
    expect(existsSync(proof)).toBe(false)
  })

  it('without a home of its own is kept in the home of the user', async () => {
    const environment = {
      HOME: '',
      XDG_STATE_HOME: undefined,
      XDG_DATA_HOME: undefined,
      XDG_CONFIG_HOME: undefined,
      // The check of the engine names it.
      TOOLHIVE_DOCKER_SOCKET: '/no-engine.sock',
    }
    const result = await world.run(['doctor', '--format', 'json'], { environment })
    expect(result.stdout).not.toContain(world.directory)
  })
})

describe('a supervisor', () => {
  it('is found by its command line', async () => {
    const pid = (await one()).supervisor_pid ?? 0
    const line = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ')
    expect(line).toMatch(/thv\.mjs start one --foreground/)
  })

  it('has a bound on its young generation, which would never be given back', async () => {
    const pid = (await one()).supervisor_pid ?? 0
    expect(await readFile(`/proc/${pid}/cmdline`, 'utf8')).toContain('--max-semi-space-size=4\0')
  })
})

describe('cache prune', () => {
  it('removes nothing when a config cannot be read', async () => {
    const path = join(world.directory, 'state/toolhive/runconfigs/bad.json')
    await writeFile(path, '{')
    const result = await world.thv('cache', 'prune')
    await world.thv('rm', 'bad')
    expect(result).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('nothing was pruned') })
  })
})

async function one() {
  const found = (await world.list()).find(({ name }) => name === 'one')
  if (found === undefined) throw new Error('there is no workload one')
  return found
}

/** Resolves when a process has a file open; without /proc, when it must have. */
async function hasOpened(pid: number | undefined, path: string): Promise<void> {
  if (process.platform !== 'linux') return await delay(1_200)
  const real = await realpath(path)
  await eventually(`${path} is open`, 30_000, async () => {
    const files = await readdir(`/proc/${pid}/fd`).catch(() => [])
    const targets = await Promise.all(
      files.map(async (file) => await readlink(`/proc/${pid}/fd/${file}`).catch(() => '')),
    )
    return targets.includes(real) ? true : undefined
  })
}

function fifo(name: string): string {
  const path = join(world.directory, `${name}.fifo`)
  spawnSync('mkfifo', [path])
  return path
}

async function shell(script: string): Promise<CommandResult> {
  const child = spawn('sh', ['-c', script], { env: world.environment, cwd: world.directory })
  void once(child, 'exit')
  return await collect(child)
}
