import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

/** The clone's root. */
export const root = resolve(import.meta.dirname, '../..')
/** What `thv` is started by. */
export const program = join(root, 'apps/thv/bin/thv.mjs')

/** A fixture server's command line, for after `--`. */
export function fixture(file: string, ...flags: string[]): string[] {
  return [process.execPath, join(root, 'test/fixtures/mcp-servers', file), ...flags]
}

/** What a command printed and how it ended. */
export interface CommandResult {
  code: number | null
  stdout: string
  stderr: string
}

/** A user's machine of its own: home, state and cache in a temp directory, everything it starts marked. */
export interface World {
  directory: string
  environment: Record<string, string>
  /** Runs `thv` to its end. */
  thv(...args: string[]): Promise<CommandResult>
  /** Runs `thv` and throws unless it exits 0; resolves to stdout. */
  ok(...args: string[]): Promise<string>
  /** Runs `thv` to its end, with a caller of its own kind. */
  run(args: readonly string[], options: CallerOptions): Promise<CommandResult>
  /** Starts `thv` and hands out the process. */
  spawn(args: readonly string[], options?: CallerOptions & { ipc?: boolean }): ChildProcess
  list(): Promise<ListedWorkload[]>
  status(name: string): Promise<StoredStatus>
  /** Pids of every living process that this world started, however deep. */
  processes(): Promise<number[]>
  /** Removes all workloads and the directory; fails when a process is left. */
  close(): Promise<void>
}

/** Who calls `thv`, where it differs from the world: variables (undefined takes one away), directory, user. */
export interface CallerOptions {
  environment?: Record<string, string | undefined>
  cwd?: string
  uid?: number
}

export interface ListedWorkload {
  name: string
  url: string
  port: number
  status: string
  status_context?: string
  package: string
  supervisor_pid?: number
  restarts?: number
  last_stderr?: string[]
}

export interface StoredStatus {
  status: string
  process_id: number
  status_context?: string
  thv?: {
    server?: { pid: number; group: number; marker: string }
    lanes?: { pid: number }[]
    restarts?: number
    reason?: string
    last_error?: { reason: string }
  }
}

/** The package cache is shared by all tests of a run, as it is on a user's machine. */
const sharedCache = join(root, 'node_modules/.cache/thv-test')

/** Opens a world. */
export async function openWorld(options: { cache?: string } = {}): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), 'thv-e2e-'))
  const mark = randomBytes(8).toString('hex')
  const cache = options.cache ?? sharedCache
  await mkdir(cache, { recursive: true })
  const environment: Record<string, string> = {
    ...inherited(),
    ...packageIndexSettings(cache),
    HOME: directory,
    XDG_CONFIG_HOME: join(directory, 'config'),
    XDG_DATA_HOME: join(directory, 'data'),
    XDG_STATE_HOME: join(directory, 'state'),
    XDG_CACHE_HOME: cache,
    TOOLHIVE_SKIP_DESKTOP_CHECK: '1',
    // Never the keyring of whoever runs the tests.
    TOOLHIVE_SECRETS_PASSWORD: `password-${mark}`,
    // Never the engine of this machine: a test that wants one starts its own.
    TOOLHIVE_DOCKER_SOCKET: join(directory, 'no-engine.sock'),
    THV_TEST_WORLD: mark,
  }
  const world: World = {
    directory,
    environment,
    spawn: (args, more = {}) =>
      spawn(process.execPath, ['--', program, ...args], {
        cwd: more.cwd ?? directory,
        env: { ...environment, ...more.environment },
        stdio: more.ipc === true ? ['ignore', 'pipe', 'pipe', 'ipc'] : ['ignore', 'pipe', 'pipe'],
        ...(more.uid === undefined ? {} : { uid: more.uid, gid: more.uid }),
      }),
    run: async (args, options) => await collect(world.spawn(args, options)),
    thv: async (...args) => await collect(world.spawn(args)),
    ok: async (...args) => {
      const result = await world.thv(...args)
      if (result.code !== 0)
        throw new Error(`thv ${args.join(' ')} exited ${result.code}: ${result.stderr}${result.stdout}`)
      return result.stdout
    },
    list: async () => parse<ListedWorkload[]>(await world.ok('list', '--all', '--format', 'json')),
    status: async (name) =>
      parse<StoredStatus>(await readFile(join(directory, 'data/toolhive/statuses', `${name}.json`), 'utf8')),
    processes: async () => await marked(directory, mark),
    close: async () => await closeWorld(world),
  }
  return world
}

/** Waits until a condition holds; the poll is short because the awaited thing is another process. */
export async function eventually<T>(what: string, withinMs: number, probe: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + withinMs
  for (;;) {
    const value = await probe()
    if (value !== undefined) return value
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`)
    await new Promise((wake) => {
      setTimeout(wake, 20)
    })
  }
}

/** Collects a child's output until it has ended and its pipes are closed. */
export async function collect(child: ChildProcess): Promise<CommandResult> {
  let stdout = ''
  let stderr = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk.toString()
  })
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  await once(child, 'close')
  return { code: child.exitCode, stdout, stderr }
}

/** Whether a process lives; a zombie does not. */
export async function isAlive(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return stat !== '' && !/\) [ZX] /.test(stat)
}

/** Trusts the shape: a test that reads a wrong one fails on what it asserts. */
function parse<T>(text: string): T {
  const value: T = JSON.parse(text)
  return value
}

/** A world has another home, but the package indexes are this machine's, and downloads are kept between runs. */
function packageIndexSettings(cache: string): Record<string, string> {
  const home = homedir()
  const config = process.env['XDG_CONFIG_HOME'] ?? join(home, '.config')
  const uvConfig = join(config, 'uv/uv.toml')
  return {
    npm_config_userconfig: process.env['npm_config_userconfig'] ?? join(home, '.npmrc'),
    npm_config_cache: join(cache, 'npm'),
    GOENV: process.env['GOENV'] ?? join(config, 'go/env'),
    GOMODCACHE: join(cache, 'go-mod'),
    ...(existsSync(uvConfig) ? { UV_CONFIG_FILE: uvConfig } : {}),
  }
}

function inherited(): Record<string, string> {
  const kept = Object.entries(process.env).filter(([key, value]) => {
    return value !== undefined && !/^(XDG_|TOOLHIVE_|VITEST|NODE_OPTIONS|THV_)/.test(key)
  })
  return Object.fromEntries(kept.map(([key, value]) => [key, value ?? '']))
}

/**
 * Servers get no environment of ours, but live in the world's directory or carry its
 * path in their command line or environment; supervisors carry the mark.
 */
async function marked(directory: string, mark: string): Promise<number[]> {
  const found: number[] = []
  for (const entry of await readdir('/proc')) {
    const pid = Number(entry)
    if (!Number.isInteger(pid) || pid === process.pid || !(await isAlive(pid))) continue
    const [environ, cmdline] = await Promise.all(
      ['environ', 'cmdline'].map(async (file) => await readFile(`/proc/${pid}/${file}`, 'latin1').catch(() => '')),
    )
    const text = `${environ}${cmdline}`
    if (text.includes(mark) || text.includes(directory)) found.push(pid)
  }
  return found
}

async function closeWorld(world: World): Promise<void> {
  try {
    await world.thv('rm', '--all')
    await eventually('no process of this world is left', 10_000, async () => {
      return (await world.processes()).length === 0 ? true : undefined
    })
  } finally {
    for (const pid of await world.processes()) process.kill(pid, 'SIGKILL')
    await rm(world.directory, { recursive: true, force: true })
  }
}
