import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { fixture, openWorld, type World } from './harness.ts'

let world: World

beforeAll(async () => {
  world = await openWorld()
  await Promise.all(
    ['state/toolhive/runconfigs', 'data/toolhive/statuses'].map(
      async (path) => await mkdir(at(path), { recursive: true }),
    ),
  )
})

afterEach(async () => {
  await world.thv('rm', '--all')
  // What another program runs, thv does not remove.
  for (const path of Object.keys(await files())) await rm(at(path))
})

afterAll(async () => {
  await world.close()
})

describe('state that ToolHive wrote', () => {
  const config = {
    schema_version: 'v0.1.0',
    image: 'ghcr.io/example/fetch:1.2.3',
    name: 'fetch',
    container_name: 'fetch',
    base_name: 'fetch',
    transport: 'streamable-http',
    host: '127.0.0.1',
    port: 21_345,
    target_port: 8080,
    permission_profile: { network: { outbound: { insecure_allow_all: true } } },
    env_vars: { MCP_TRANSPORT: 'streamable-http' },
    container_labels: { toolhive: 'true', 'toolhive-name': 'fetch', team: 'green' },
    isolate_network: true,
    proxy_mode: 'streamable-http',
    group: 'default',
    a_key_of_the_future: { nested: [1, 2] },
  }
  const status = {
    status: 'stopped',
    created_at: '2026-08-21T10:00:00.123456789Z',
    updated_at: '2026-08-21T10:01:00Z',
    process_id: 0,
  }

  it('is listed: a stopped workload with --all, by its label and group', async () => {
    await write('fetch', config, status)
    expect(await world.ok('list')).toBe('No MCP servers found\n')
    expect(await world.list()).toMatchObject([
      {
        name: 'fetch',
        package: 'ghcr.io/example/fetch:1.2.3',
        url: 'http://127.0.0.1:21345/mcp',
        port: 21_345,
        transport_type: 'streamable-http',
        proxy_mode: 'streamable-http',
        status: 'stopped',
        labels: { team: 'green' },
        group: 'default',
      },
    ])
    expect(JSON.parse(await world.ok('list', '-a', '-l', 'team=green', '--format', 'json'))).toHaveLength(1)
    expect(await world.ok('list', '-a')).toMatch(
      /2026-08-21 10:00:00\.123456789 \+0000 UTC|2026-08-21 10:00:00\.123 \+0000 UTC/,
    )
  })

  it('is not started: an image is refused with runtime-unsupported, and the files stay as they were', async () => {
    await write('fetch', config, status)
    const before = await files()
    const result = await world.thv('start', 'fetch')
    expect(result.code).toBe(1)
    expect(result.stderr).toMatch(/^Error: .*'?ghcr\.io\/example\/fetch:1\.2\.3'?.* \[runtime-unsupported\]\nTry: /m)
    expect(await files()).toEqual(before)
  })

  it('is exported with the keys this version does not know', async () => {
    await write('fetch', config, status)
    const file = join(world.directory, 'fetch.json')
    await world.ok('export', 'fetch', file)
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(config)
  })

  it.each(['stop', 'rm'])('is not said to be gone by %s: another program runs its container', async (command) => {
    await write('fetch', config, { ...status, status: 'running', process_id: 4_194_000 })
    const before = await files()
    const result = await world.thv(command, 'fetch')
    expect(result.code).toBe(1)
    expect(result.stderr).toMatch(/runs image 'ghcr\.io\/example\/fetch:1\.2\.3'.* \[runtime-unsupported\]/)
    expect(await files()).toEqual(before)
    expect(await world.ok('status', 'fetch')).not.toContain('Isolation')
  })

  it('that says running while its process is gone is listed as unhealthy, with the reason, and not rewritten', async () => {
    await write('fetch', config, { ...status, status: 'running', process_id: 4_194_000 })
    const before = await files()
    expect(await world.list()).toMatchObject([
      { name: 'fetch', status: 'unhealthy', status_context: expect.stringMatching(/^proxy process not running: /) },
    ])
    expect(await files()).toEqual(before)
  })
})

describe('damaged state', () => {
  const good = {
    status: 'stopped',
    created_at: '2026-08-21T10:00:00Z',
    updated_at: '2026-08-21T10:00:00Z',
    process_id: 0,
  }
  const config = { schema_version: 'v0.1.0', image: '', name: 'x', transport: 'stdio', host: '127.0.0.1', port: 21_346 }

  it('does not keep list from working: what cannot be read is named on stderr, the rest is listed', async () => {
    await world.ok('run', '--name', 'healthy', '--', ...fixture('stdio-server.mjs'))
    await write('nonsense', config, 'not json at all')
    await write('empty', config, '')
    await write('badconfig', '{"name": 5', good)
    const result = await world.thv('list', '--all', '--format', 'json')
    expect(result.code).toBe(0)
    const listed: { name: string; status: string }[] = JSON.parse(result.stdout)
    expect(listed.map(({ name, status }) => `${name} ${status}`)).toEqual(
      expect.arrayContaining(['healthy running', 'nonsense unknown', 'empty unknown']),
    )
    for (const file of ['statuses/nonsense.json', 'statuses/empty.json', 'runconfigs/badconfig.json']) {
      expect(result.stderr).toContain(`note: ${file} was passed over: `)
    }
    expect(await world.ok('mcp', 'call', 'echo', '--server', 'healthy', '--args', '{"message":"ok"}')).toBe('ok\n')
  })

  it('with braces too many or too few is repaired while it is read', async () => {
    await write('surplus', { ...config, name: 'surplus' }, `${JSON.stringify(good)}}}`)
    await write('missing', { ...config, name: 'missing' }, JSON.stringify(good).slice(0, -1))
    await write('control', { ...config, name: 'control' }, `${JSON.stringify(good)}\u0000\u0007`)
    const result = await world.thv('list', '--all', '--format', 'json')
    expect(JSON.parse(result.stdout)).toMatchObject([
      { name: 'control', status: 'stopped' },
      { name: 'missing', status: 'stopped' },
      { name: 'surplus', status: 'stopped' },
    ])
  })

  it('can be removed', async () => {
    await write('nonsense', config, 'not json at all')
    await write('badconfig', '{"name": 5', good)
    await world.ok('rm', 'badconfig')
    await world.ok('rm', 'nonsense')
    expect(Object.keys(await files()).filter((path) => !path.endsWith('.corrupted'))).toEqual([])
  })

  it('never reaches the terminal: control characters in a file are shown as text', async () => {
    await write('sneaky', { ...config, image: 'npx://evil\u001b]0;owned\u0007\u001b[2J@1.0.0', name: 'sneaky' }, good)
    for (const args of [
      ['list', '-a'],
      ['status', 'sneaky'],
    ]) {
      const { stdout, stderr } = await world.thv(...args)
      expect(`${stdout}${stderr}`).not.toContain('\u001b')
      expect(`${stdout}${stderr}`).not.toContain('\u0007')
    }
  })
})

async function write(name: string, config: object | string, status: object | string): Promise<void> {
  await writeFile(at(`state/toolhive/runconfigs/${name}.json`), asText(config), { mode: 0o600 })
  await writeFile(at(`data/toolhive/statuses/${name}.json`), asText(status), { mode: 0o600 })
}

/** All state files by path. */
async function files(): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const directory of ['state/toolhive/runconfigs', 'data/toolhive/statuses']) {
    for (const name of (await readdir(at(directory))).toSorted()) {
      found[`${directory}/${name}`] = await readFile(at(`${directory}/${name}`), 'utf8')
    }
  }
  return found
}

function at(path: string): string {
  return join(world.directory, path)
}

function asText(value: object | string): string {
  return typeof value === 'string' ? value : JSON.stringify(value, null, 2)
}
