import { mkdtemp, readdir, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { existsSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openWorld, root, type World } from './harness.ts'

const memory = 'npx://@modelcontextprotocol/server-memory'
const shared = join(root, 'node_modules/.cache/thv-test')
let cache: string
let world: World

/** What `thv cache list --format json` prints of a package, as far as tests read it. */
interface Cached {
  kind: string
  name: string
  version: string
  bytes: number
  path: string
}

// A cache of its own, because prune empties it; the downloads are shared.
beforeAll(async () => {
  cache = await mkdtemp(join(tmpdir(), 'thv-e2e-cache-'))
  world = await openWorld({ cache })
  world.environment['npm_config_cache'] = join(shared, 'npm')
})

afterAll(async () => {
  await world.close()
  await rm(cache, { recursive: true, force: true })
})

describe('the package cache', () => {
  it('is empty before the first run', async () => {
    expect(await world.ok('cache', 'list')).toBe('No cached packages\n')
    expect(await world.ok('cache', 'list', '--format', 'json')).toBe('[]\n')
    expect(await world.ok('cache', 'prune')).toBe('Nothing to prune\n')
  })

  it('keeps what run has installed, with version, size and last use; run says what it does', async () => {
    const result = await world.thv('run', '--name', 'memory', memory)
    expect(result).toMatchObject({ code: 0, stdout: '' })
    expect(result.stderr).toMatch(/^resolving .*\ninstalling .*server-memory@\S+ \(npm\)\n/)
    const [cached] = await list()
    expect(cached).toMatchObject({ kind: 'npx', name: '@modelcontextprotocol/server-memory' })
    expect(cached?.bytes).toBeGreaterThan(1_000_000)
    const source = `${memory}@${cached?.version}`
    expect(await world.ok('cache', 'list')).toMatch(/^PACKAGE +SIZE +LAST USED\nnpx:\/\/\S+ +[\d.]+ MB +\d{4}-/)
    expect((await world.list())[0]?.package).toBe(source)
  })

  it('makes later starts and runs need no network', async () => {
    const offline = {
      // Nothing listens on this port, and no download is left to fall back on.
      npm_config_registry: 'http://127.0.0.1:9/',
      npm_config_cache: join(world.directory, 'no-downloads'),
    }
    await world.ok('stop', 'memory')
    expect(await world.run(['start', 'memory'], { environment: offline })).toMatchObject({ code: 0 })
    const again = await world.run(['run', '--name', 'second', memory], { environment: offline })
    expect(again).toMatchObject({ code: 0 })
    expect(again.stderr).not.toMatch(/installing/)
    expect(await world.list()).toMatchObject([{ status: 'running' }, { status: 'running' }])
    await world.ok('rm', 'second')
  })

  it('is not pruned of what a workload uses, running or stopped', async () => {
    expect(await world.ok('cache', 'prune')).toBe('Nothing to prune\n')
    await world.ok('stop', 'memory')
    expect(await world.ok('cache', 'prune')).toBe('Nothing to prune\n')
    expect(await list()).toHaveLength(1)
  })

  it('is pruned of everything by --all; the next start installs the same version again', async () => {
    const before = (await list())[0]!
    expect(await world.ok('cache', 'prune', '--all')).toMatch(/^Removed: npx:\/\/\S+server-memory@\S+ \([\d.]+ MB\)\n$/)
    expect(await list()).toEqual([])
    await world.ok('start', 'memory')
    expect(await list()).toMatchObject([{ name: before.name, version: before.version }])
  })

  it('is pruned of what no workload uses any more', async () => {
    await world.ok('rm', 'memory')
    const [cached] = await list()
    // Just installed: a run that is under way may be about to save it.
    expect(await world.thv('cache', 'prune')).toMatchObject({
      stdout: 'Nothing to prune\n',
      stderr: expect.stringMatching(/^kept: /),
    })
    const before = new Date(Date.now() - 2 * 60 * 60 * 1000)
    await utimes(join(cached?.path ?? '', 'thv-package.json'), before, before)
    expect(await world.ok('cache', 'prune')).toMatch(/^Removed: /)
    const left = await readdir(join(cache, 'toolhive/packages/npx'), { recursive: true }).catch(() => [])
    expect(left.filter((path) => path.includes('server-memory'))).toEqual([])
  })

  it('without uv on the search path, run says which tool is missing', async () => {
    const environment = { PATH: pathWithout('uv') }
    const result = await world.run(['run', '--name', 'x', 'uvx://mcp-server-time'], { environment })
    expect(result.code).toBe(1)
    expect(result.stderr).toMatch(/\[package-tool-missing\]\nTry: /)
    expect(await world.list()).toEqual([])
  })

  it('without network and with nothing cached, run says that the index does not answer', async () => {
    const environment = {
      npm_config_registry: 'http://127.0.0.1:9/',
      npm_config_cache: join(world.directory, 'no-downloads'),
      npm_config_fetch_retries: '0',
    }
    const result = await world.run(['run', '--name', 'x', `${memory}@2025.9.25`], { environment })
    expect(result.code).toBe(1)
    expect(result.stderr).toMatch(/^Error: .* \[package-index-unreachable\]\n[\s\S]*^Try: /m)
    expect(await world.list()).toEqual([])
  })
})

async function list(): Promise<Cached[]> {
  const found: Cached[] = JSON.parse(await world.ok('cache', 'list', '--format', 'json'))
  return found
}

/** The search path without the directories that have a tool. */
function pathWithout(tool: string): string {
  const directories = (process.env['PATH'] ?? '').split(delimiter)
  return directories.filter((directory) => !existsSync(join(directory, tool))).join(delimiter)
}
