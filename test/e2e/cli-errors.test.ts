import { execFileSync, spawn } from 'node:child_process'
import { chmod, chown, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { collect, fixture, openWorld, root, type CommandResult, type World } from './harness.ts'

let world: World

beforeAll(async () => {
  world = await openWorld()
})

afterAll(async () => {
  await world.close()
})

describe('bad input', () => {
  it.each<[code: string, args: string[]]>([
    ['invalid-argument', ['frobnicate']],
    ['invalid-argument', ['list', '--frobnicate']],
    ['invalid-argument', ['list', '--format', 'yaml']],
    ['invalid-argument', ['run']],
    ['invalid-argument', ['run', '--']],
    ['invalid-argument', ['run', 'npx://a', 'npx://b']],
    ['invalid-argument', ['run', '--proxy-port', '70000', '--', 'node']],
    ['invalid-argument', ['run', '--proxy-port', 'many', '--', 'node']],
    ['invalid-argument', ['run', '--env', 'NOVALUE', '--', 'node']],
    ['invalid-argument', ['run', '--label', 'no-equals', '--', 'node']],
    ['invalid-argument', ['run', '--transport', 'smoke', '--', 'node']],
    ['invalid-argument', ['stop']],
    ['invalid-argument', ['stop', '--timeout', '-1', 'x']],
    ['invalid-argument', ['stop', '--timeout', 'soon', 'x']],
    ['invalid-argument', ['rm']],
    ['invalid-argument', ['completion', 'tcsh']],
    ['invalid-argument', ['completion', 'toString']],
    ['invalid-flag-combination', ['stop', '--all', 'x']],
    ['invalid-flag-combination', ['run', '--target-port', '9', '--', 'node']],
    ['invalid-flag-combination', ['run', '--from-config', 'x', '--group', 'y']],
    ['invalid-flag-combination', ['run', '--from-config', 'x', '--', 'node']],
    ['invalid-flag-combination', ['start', '--foreground', 'a', 'b']],
    ['invalid-flag-combination', ['start', '--foreground', 'a', '--all']],
    ['invalid-flag-combination', ['start', '--foreground', 'a', '--group', 'default']],
    ['invalid-name', ['run', '--name', '../etc', '--', 'node']],
    ['invalid-name', ['run', '--name', 'a b', '--', 'node']],
    ['invalid-name', ['run', '--name', 'a/b', '--', 'node']],
    ['invalid-name', ['run', '--name', 'x'.repeat(101), '--', 'node']],
    ['invalid-name', ['run', '--name', '', '--', 'node']],
    ['invalid-name', ['stop', '../x']],
    ['invalid-name', ['rm', 'a/../b']],
    ['invalid-name', ['logs', '../../etc/passwd']],
    ['workload-not-found', ['rm', 'missing']],
    ['workload-not-found', ['stop', 'missing']],
    ['workload-not-found', ['start', 'missing']],
    ['workload-not-found', ['restart', 'missing']],
    ['workload-not-found', ['status', 'missing']],
    ['workload-not-found', ['logs', 'missing']],
    ['workload-not-found', ['logs', '--follow', 'missing']],
    ['workload-not-found', ['export', 'missing', 'file.json']],
    ['group-not-found', ['run', '--group', 'missing', '--', 'node']],
    ['command-not-found', ['run', '--name', 'x', '--', 'no-such-program-xyz']],
    ['command-not-found', ['run', '--name', 'x', '--', './no-such-file']],
    ['package-scheme-invalid', ['run', 'pip://x']],
    ['package-name-invalid', ['run', 'npx://Not/A/Name']],
    ['package-name-invalid', ['run', 'npx://--version']],
    ['package-not-found', ['run', 'npx://@modelcontextprotocol/does-not-exist-xyz']],
    ['package-version-not-found', ['run', 'npx://@modelcontextprotocol/server-memory@99.99.99']],
    ['engine-unreachable', ['run', 'fetch']],
    ['engine-unreachable', ['run', 'ghcr.io/example/server:latest']],
    ['invalid-argument', ['run', 'Not An Image', '--name', 'x']],
    ['invalid-flag-combination', ['run', 'fetch', '--runtime', 'process']],
    ['image-denied', ['run', 'fetch', '--image-verification', 'enabled']],
    ['image-denied', ['run', 'npx://x', '--image-verification', 'enabled']],
    ['invalid-flag-combination', ['run', 'npx://x', '--runtime', 'process', '--runtime-image', 'node:1']],
    ['invalid-flag-combination', ['run', 'go://./here', '--runtime', 'process']],
    ['engine-unreachable', ['run', 'npx://x', '--runtime-image', 'node:1']],
    ['engine-unreachable', ['run', 'npx://x', '--runtime', 'container']],
    ['engine-unreachable', ['run', 'go://./here']],
    ['invalid-argument', ['run', 'npx://x', '--runtime', 'container', '--ca-cert', 'no-such-file']],
    ['invalid-argument', ['run', 'http://example.test/mcp']],
    ['invalid-flag-combination', ['run', 'https://example.test/mcp', '--env', 'A=b']],
    ['invalid-flag-combination', ['run', 'npx://x', '--remote-forward-headers', 'A=b']],
    ['host-invalid', ['run', '--host', 'no such host', '--name', 'x', '--', 'node']],
  ])('is answered with %s: %j', async (code, args) => {
    const result = await world.thv(...args)
    expectRefusal(result, code)
    expect(await world.list()).toEqual([])
  })

  it('names the file when --env-file does not exist, as the installed command', async () => {
    const args = ['run', '--name', 'x', '--env-file', 'missing.env', '--', 'node']
    const result = await installed(...args)
    expectRefusal(result, 'invalid-argument')
    expect(result.stderr).toContain("'missing.env'")
    expect(await world.list()).toEqual([])
  })

  it('leaves neither files nor processes behind', async () => {
    expect(await world.processes()).toEqual([])
    const left = await readdir(world.directory, { recursive: true, withFileTypes: true })
    const files = left.filter((entry) => entry.isFile()).map((entry) => entry.name)
    expect(files.filter((name) => /\.json|\.log|lock|tmp/.test(name) && !/_logs|debug-0/.test(name))).toEqual([])
  })

  it('says "not found" and exits 1 when an unknown workload is removed', async () => {
    const { code, stderr } = await world.thv('rm', 'missing')
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^Error: workload 'missing' not found \[/)])
  })
})

describe('a server that cannot start', () => {
  it('makes run fail with its last words, and stays as error until it is run again under its name', async () => {
    const result = await world.thv('run', '--name', 'broken', '--', ...fixture('stdio-server.mjs', '--die=3'))
    expectRefusal(result, 'server-exited')
    expect(result.stderr).toMatch(/^ {2}\| cannot find the treasure map$/m)
    expect(await world.list()).toMatchObject([
      { name: 'broken', status: 'error', last_stderr: ['cannot find the treasure map'] },
    ])
    await world.ok('run', '--name', 'broken', '--', ...fixture('stdio-server.mjs'))
    expect(await world.list()).toMatchObject([{ name: 'broken', status: 'running' }])
    await world.ok('rm', 'broken')
  })
})

describe('the port', () => {
  it('that is taken is refused, and nothing is saved', async () => {
    const squatter = createServer().listen(0, '127.0.0.1')
    await once(squatter, 'listening')
    const address = squatter.address()
    const port = typeof address === 'object' ? String(address?.port) : ''
    const result = await world.thv('run', '--name', 'x', '--proxy-port', port, '--', ...fixture('stdio-server.mjs'))
    squatter.close()
    expectRefusal(result, 'port-in-use')
    expect(await world.list()).toEqual([])
    await world.ok('run', '--name', 'x', '--proxy-port', port, '--', ...fixture('stdio-server.mjs'))
    expect(await world.list()).toMatchObject([{ name: 'x', url: `http://127.0.0.1:${port}/mcp` }])
    await world.ok('rm', 'x')
  })
})

describe('--from-config', () => {
  const config = { schema_version: 'v0.1.0', name: 'given', transport: 'stdio', host: '127.0.0.1', port: 0 }
  it.each<[what: string, code: string, text: string | undefined]>([
    ['a missing file', 'run-config-unreadable', undefined],
    ['an empty file', 'run-config-unreadable', ''],
    ['a file that is not JSON', 'run-config-unreadable', 'name: yaml'],
    ['JSON that is no run config', 'invalid-run-config', '[1,2]'],
    ['a config without a name', 'invalid-run-config', JSON.stringify({ ...config, name: undefined })],
    [
      'a newer schema',
      'run-config-newer',
      JSON.stringify({ ...config, schema_version: 'v9.0.0', image: 'npx://a@1.0.0' }),
    ],
    [
      'an image without an engine',
      'engine-unreachable',
      JSON.stringify({ ...config, image: 'ghcr.io/example/server:latest' }),
    ],
    [
      'a key this version cannot honour',
      'run-config-unsupported',
      JSON.stringify({ ...config, image: 'npx://a@1.0.0', publish: ['1:2'] }),
    ],
    ['a name with a path in it', 'invalid-name', JSON.stringify({ ...config, name: '../x', image: 'npx://a@1.0.0' })],
  ])('refuses %s with %s', async (_what, code, text) => {
    const file = join(world.directory, 'given.json')
    await rm(file, { force: true })
    if (text !== undefined) await writeFile(file, text)
    expectRefusal(await world.thv('run', '--from-config', file), code)
    expect(await world.list()).toEqual([])
  })
})

describe('state that cannot be written', () => {
  it('is refused with state-denied where the user may not write', async (ctx) => {
    const isRoot = process.getuid?.() === 0
    const state = join(world.directory, 'state')
    if (!isRoot && process.platform === 'win32') ctx.skip('permissions of this kind are not on Windows')
    const before = await snapshot(state)
    // Another user may read the clone and the world, but not write the state.
    await open(world.directory)
    await chmod(state, 0o555)
    if (isRoot) await chown(state, 0, 0)
    const options = isRoot ? { uid: 65_534, environment: { XDG_CACHE_HOME: join(world.directory, 'cache') } } : {}
    const result = await world.run(['run', '--name', 'x', '--', ...fixture('stdio-server.mjs')], options)
    await chmod(state, 0o755)
    expectRefusal(result, 'state-denied')
    expect(await snapshot(state)).toEqual(before)
  })

  it('is refused with state-full when the disk is, and what was there is untouched', async (ctx) => {
    if (process.platform !== 'linux' || process.getuid?.() !== 0) ctx.skip('a small disk needs root on Linux')
    const disk = join(world.directory, 'disk')
    await mkdir(disk)
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k,mode=755', 'tmpfs', disk], { stdio: 'ignore' })
    } catch {
      ctx.skip('mounting is not allowed here')
    }
    const environment = { XDG_STATE_HOME: join(disk, 'state'), XDG_DATA_HOME: join(disk, 'data') }
    try {
      const args = (name: string) => ['run', '--name', name, '--', ...fixture('stdio-server.mjs')]
      expect(await world.run(args('first'), { environment })).toMatchObject({ code: 0 })
      expect(await world.run(['stop', 'first'], { environment })).toMatchObject({ code: 0 })
      await fillUp(join(disk, 'ballast'))
      const before = await snapshot(disk)
      expectRefusal(await world.run(args('second'), { environment }), 'state-full')
      expect(await snapshot(disk)).toEqual(before)
      await rm(join(disk, 'ballast'))
      expect(await world.run(['start', 'first'], { environment })).toMatchObject({ code: 0 })
    } finally {
      await world.run(['rm', '--all'], { environment })
      execFileSync('umount', ['-l', disk])
    }
  })
})

/** Runs `thv` by its own first line, the way npm has installed it. */
async function installed(...args: string[]): Promise<CommandResult> {
  const child = spawn(join(root, 'node_modules/.bin/thv'), args, {
    cwd: world.directory,
    env: world.environment,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return await collect(child)
}

/** Every refusal: exit 1, nothing on stdout, what and why with a code, what to do. */
function expectRefusal(result: CommandResult, code: string): void {
  expect(result.stderr).toMatch(new RegExp(`^Error: \\S.* \\[${code}\\]$`, 'm'))
  expect(result.stderr).toMatch(/^Try: \S/m)
  expect(result.stderr).not.toMatch(/^ {4}at /m)
  expect([result.code, result.stdout]).toEqual([1, ''])
}

async function fillUp(path: string): Promise<void> {
  await writeFile(path, '')
  for (const size of [65_536, 4096, 1]) {
    try {
      for (;;) await writeFile(path, Buffer.alloc(size), { flag: 'a' })
    } catch {
      // Full for this size.
    }
  }
}

/** Paths and contents below a directory, but for the ballast. */
async function snapshot(directory: string): Promise<[string, string][]> {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true }).catch(() => [])
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const wanted = paths.filter((path) => !path.endsWith('ballast')).toSorted()
  return await Promise.all(wanted.map(async (path): Promise<[string, string]> => [path, await readFile(path, 'utf8')]))
}

async function open(directory: string): Promise<void> {
  await chmod(directory, 0o755)
  for (const name of ['data', 'config', 'cache', 'state']) {
    await mkdir(join(directory, name), { recursive: true })
    await chmod(join(directory, name), name === 'state' ? 0o755 : 0o777)
  }
}
