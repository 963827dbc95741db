import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { collect, fixture, openWorld, root, type World } from './harness.ts'

let world: World

/** What the fixture tells of itself. */
interface Facts {
  environment: Record<string, string>
  args: string[]
  directory: string
}

beforeAll(async () => {
  world = await openWorld()
})

afterEach(async () => {
  await world.thv('rm', '--all')
})

afterAll(async () => {
  await world.close()
})

describe('the environment of a server', () => {
  it('is what the workload says: values win over a file, a file over a directory', async () => {
    const directory = join(world.directory, 'env.d')
    await mkdir(directory)
    await writeFile(join(directory, '10-first'), 'A=directory\nB=directory\nC=directory\n')
    await writeFile(join(directory, '20-second'), '# a comment\nexport D="kept quotes"\n')
    await writeFile(join(directory, '.hidden'), 'HIDDEN=1\n')
    await writeFile(join(world.directory, 'one.env'), 'B=file\nC=file\n')
    const flags = ['--env-file-dir', directory, '--env-file', join(world.directory, 'one.env'), '--env', 'C=a=b']
    const { environment } = await run(...flags)
    expect(environment).toMatchObject({ A: 'directory', B: 'file', C: 'a=b', D: '"kept quotes"' })
    expect(environment).not.toHaveProperty('HIDDEN')
  })

  it('is read from --env-file for the server only: thv itself goes on with its own', async () => {
    const elsewhere = join(world.directory, 'elsewhere')
    await writeFile(join(world.directory, 'paths.env'), `XDG_STATE_HOME=${elsewhere}\nTOOLHIVE_FILE_PROBE=1\n`)
    const child = spawn(
      join(root, 'node_modules/.bin/thv'),
      ['run', '--name', 'told', '--env-file', 'paths.env', '--', ...fixture('stdio-server.mjs')],
      {
        cwd: world.directory,
        env: Object.fromEntries(Object.entries(world.environment).filter(([key]) => key !== 'XDG_STATE_HOME')),
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    )
    expect((await collect(child)).code).toBe(0)
    expect(existsSync(elsewhere)).toBe(false)
    // The world's home is where state goes without the variable.
    const environment = { XDG_STATE_HOME: undefined }
    const answer = await world.run(['mcp', 'call', 'facts', '--server', 'told'], { environment })
    expect(JSON.parse(answer.stdout).environment).toMatchObject({ XDG_STATE_HOME: elsewhere, TOOLHIVE_FILE_PROBE: '1' })
    await world.run(['rm', 'told'], { environment })
  })

  it("has nothing of the caller's, not from run and not from a later start", async () => {
    const caller = { CALLERS_TOKEN: 'do not pass on', NODE_OPTIONS: '--no-deprecation', AWS_SECRET_ACCESS_KEY: 'x' }
    const isOk = await world.run(
      ['run', '--isolation', 'none', '--name', 'plain', '--', ...fixture('stdio-server.mjs')],
      {
        environment: caller,
      },
    )
    expect(isOk).toMatchObject({ code: 0 })
    const allowed = ['HOME', 'LANG', 'LOGNAME', 'MCP_TRANSPORT', 'PATH', 'THV_WORKLOAD_MARKER', 'TMPDIR', 'USER']
    expect(Object.keys((await facts('plain')).environment).toSorted()).toEqual(allowed)
    await world.ok('stop', 'plain')
    expect(await world.run(['start', 'plain'], { environment: caller })).toMatchObject({ code: 0 })
    expect(Object.keys((await facts('plain')).environment).toSorted()).toEqual(allowed)
  })

  it('keeps a secret typed with --env out of logs, lists and process command lines', async () => {
    const secret = 'hunter2-4f1d9c'
    const args = ['run', '--debug', '--name', 'keeper', '--env', `TOKEN=${secret}`]
    const ran = await world.thv(...args, '--', ...fixture('stdio-server.mjs'))
    expect(ran.code).toBe(0)
    expect((await facts('keeper')).environment['TOKEN']).toBe(secret)
    const shown = [
      `${ran.stdout}${ran.stderr}`,
      await world.ok('list', '--format', 'json'),
      await world.ok('status', 'keeper', '--format', 'json'),
      await world.ok('logs', 'keeper'),
      await world.ok('logs', 'keeper', '--proxy'),
      await world.ok('doctor'),
    ]
    for (const text of shown) expect(text).not.toContain(secret)
    const commandLines = await Promise.all(
      (await world.processes()).map(async (pid) => await readFile(`/proc/${pid}/cmdline`, 'utf8')),
    )
    expect(commandLines.length).toBeGreaterThan(1)
    for (const line of commandLines) expect(line).not.toContain(secret)
    const holders = (await filesBelow(world.directory)).filter(({ text }) => text.includes(secret))
    expect(holders.map(({ path }) => path)).toEqual([join(world.directory, 'state/toolhive/runconfigs/keeper.json')])
  })

  it.each([['=hunter2-4f1d9c'], ['BAD KEY=hunter2-4f1d9c'], ['1=hunter2-4f1d9c']])(
    'is refused with a bad entry (%s) without a word of its value',
    async (entry) => {
      const result = await world.thv('run', '--name', 'bad', '--env', entry, '--', ...fixture('stdio-server.mjs'))
      expect(result.code).toBe(1)
      expect(result.stderr).toMatch(/\[invalid-argument\]/)
      expect(result.stderr).not.toContain('hunter2')
    },
  )
})

describe('a local command', () => {
  it('runs in the directory it was typed in, also when it is started from elsewhere', async () => {
    const place = join(world.directory, 'place')
    await mkdir(place, { recursive: true })
    const result = await world.run(['run', '--name', 'here', '--', ...fixture('stdio-server.mjs')], { cwd: place })
    expect(result.code).toBe(0)
    expect((await facts('here')).directory).toBe(await realpath(place))
    await world.ok('restart', 'here')
    expect((await facts('here')).directory).toBe(await realpath(place))
  })

  it('finds a program by its name and a script by its relative path', async () => {
    await writeFile(join(world.directory, 'server.mjs'), await readFile(fixture('stdio-server.mjs')[1]!))
    await world.ok('run', '--name', 'relative', '--', 'node', 'server.mjs', '--', '--name', 'x y')
    expect((await facts('relative')).args).toEqual(['--', '--name', 'x y'])
  })

  it('whose directory was deleted says so at the next start, and start works when it is back', async () => {
    const place = join(world.directory, 'gone')
    await mkdir(place)
    await world.run(['run', '--name', 'rooted', '--', ...fixture('stdio-server.mjs')], { cwd: place })
    await world.ok('stop', 'rooted')
    await rm(place, { recursive: true })
    const result = await world.thv('start', 'rooted')
    expect(result.code).toBe(1)
    expect(result.stderr).toMatch(/^Error: .*gone/m)
    expect(result.stderr).not.toMatch(/\[internal\]/)
    expect(await world.list()).toMatchObject([{ name: 'rooted', status: 'error' }])
    await mkdir(place)
    await world.ok('start', 'rooted')
    expect(await world.list()).toMatchObject([{ name: 'rooted', status: 'running' }])
  })

  it('typed in a directory that no longer exists fails with a sentence, not with a stack', async () => {
    const place = join(world.directory, 'vanishing')
    await mkdir(place)
    const script = `cd '${place}' && rmdir '${place}' && exec "$@"`
    const args = world.spawn(['version']).spawnargs.slice(0, 3)
    const child = spawn(
      '/bin/sh',
      ['-c', script, 'sh', ...args, 'run', '--name', 'lost', '--', ...fixture('stdio-server.mjs')],
      { env: world.environment, stdio: ['ignore', 'pipe', 'pipe'] },
    )
    const result = await collect(child)
    expect(result.code).toBe(1)
    expect(result.stderr).toMatch(/^Error: .*director.* \[[a-z-]+\]\nTry: /m)
    expect(result.stderr).not.toMatch(/\[internal\]| at .*:\d+:\d+/)
    expect(await world.list()).toEqual([])
  })
})

async function run(...flags: string[]): Promise<Facts> {
  await world.ok('run', '--name', 'told', ...flags, '--', ...fixture('stdio-server.mjs'))
  return await facts('told')
}

async function facts(name: string): Promise<Facts> {
  const value: Facts = JSON.parse(await world.ok('mcp', 'call', 'facts', '--server', name))
  return value
}

async function filesBelow(directory: string): Promise<{ path: string; text: string }[]> {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true })
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return await Promise.all(paths.map(async (path) => ({ path, text: await readFile(path, 'latin1') })))
}
