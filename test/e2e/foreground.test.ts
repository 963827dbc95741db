import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { collect, eventually, fixture, isAlive, openWorld, type CommandResult, type World } from './harness.ts'
import { exchange } from './http.ts'

let world: World

beforeEach(async () => {
  world = await openWorld()
})

afterEach(async () => {
  await world.close()
})

describe('thv run --foreground', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)(
    'says where it serves, and on %s exits 0 and leaves no process and no workload',
    async (signal) => {
      const { child, ended, url, line } = await serve()
      expect(line).toBe(`fore is serving at ${url}`)
      expect((await exchange(url, { body: { jsonrpc: '2.0', id: 1, method: 'ping' } })).status).toBe(200)
      expect(await world.list()).toMatchObject([{ name: 'fore', status: 'running', url }])
      child.kill(signal)
      expect((await ended).code).toBe(0)
      expect(await world.processes()).toEqual([])
      expect(await world.list()).toEqual([])
    },
  )

  it('is ended by thv stop from another terminal', async () => {
    const { ended } = await serve()
    await world.ok('stop', 'fore')
    expect((await ended).code).toBe(0)
    expect(await world.processes()).toEqual([])
    expect(await world.list()).toEqual([])
  })

  it('ends with the program that started it, when they are connected', async () => {
    const { child } = await serve({ ipc: true })
    // Not 'close': Node does not emit it after a disconnect of ours.
    const exited = once(child, 'exit')
    child.disconnect()
    expect(await exited).toEqual([0, null])
    expect(await world.processes()).toEqual([])
    expect(await world.list()).toEqual([])
  })

  it('on a second SIGINT does not wait for a stubborn server; it is gone all the same', async () => {
    const { child, ended } = await serve({ flags: ['--ignore-eof', '--ignore-term', '--family'] })
    child.kill('SIGINT')
    await eventually('the first SIGINT is being obeyed', 5_000, async () => {
      return (await world.status('fore')).status === 'stopping' ? true : undefined
    })
    child.kill('SIGINT')
    expect((await ended).code).toBe(130)
    await eventually('no process is left', 5_000, async () => {
      return (await world.processes()).length === 0 ? true : undefined
    })
  })

  it('killed with SIGKILL takes its server along, list says unhealthy, and start works', async () => {
    const { child, ended, url } = await serve({ flags: ['--ignore-eof', '--ignore-term', '--family'] })
    const server = (await world.status('fore')).thv!.server!.pid
    child.kill('SIGKILL')
    await ended
    await eventually('no process is left', 5_000, async () => {
      return (await world.processes()).length === 0 ? true : undefined
    })
    expect(await isAlive(server)).toBe(false)
    expect(await world.list()).toMatchObject([{ name: 'fore', status: 'unhealthy' }])
    await world.ok('start', 'fore')
    expect(await world.list()).toMatchObject([{ name: 'fore', status: 'running', url }])
  })

  it('of a server that dies at once exits 1 with its last words and leaves nothing', async () => {
    const { code, stdout, stderr } = await world.thv(...command(['--die=4']))
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(/^Error: .* \[server-exited\]\n {2}\| cannot find the treasure map\nTry: /m)
    expect(await world.processes()).toEqual([])
    expect(await world.list()).toEqual([])
  })

  it('refuses a name that another one serves, and that one goes on', async () => {
    const { child, ended, url } = await serve()
    const second = await world.thv(...command())
    expect(second.code).toBe(1)
    expect(second.stderr).toMatch(/\[workload-exists\]/)
    expect((await exchange(url, { body: { jsonrpc: '2.0', id: 1, method: 'ping' } })).status).toBe(200)
    child.kill('SIGINT')
    expect((await ended).code).toBe(0)
  })
})

describe('thv start --foreground', () => {
  it('serves a stopped workload here, and on SIGINT stops it without removing it', async () => {
    await world.ok('run', '--name', 'fore', '--', ...fixture('stdio-server.mjs'))
    await world.ok('stop', 'fore')
    const { child, ended } = await waitForLine(world.spawn(['start', 'fore', '--foreground']))
    expect((await world.status('fore')).process_id).toBe(child.pid)
    child.kill('SIGINT')
    expect((await ended).code).toBe(0)
    expect(await world.list()).toMatchObject([{ name: 'fore', status: 'stopped' }])
    expect(await world.processes()).toEqual([])
  })
})

describe('commands while a workload is starting', () => {
  it('run is refused, start waits for it, list shows it; in the end it runs once', async () => {
    // The server waits for a file, which is written when the other commands are under way.
    const gate = join(world.directory, 'gate')
    const script = `until [ -e '${gate}' ]; do sleep 0.05; done; exec "$@"`
    const server = ['/bin/sh', '-c', script, 'sh', ...fixture('stdio-server.mjs')]
    const first = world.spawn(['run', '--name', 'slow', '--isolation', 'none', '--', ...server])
    const ran = collect(first)
    await eventually('it is starting', 5_000, async () => {
      const [workload] = await world.list()
      return workload?.status === 'starting' ? true : undefined
    })
    const started = world.thv('start', 'slow')
    const second = await world.thv('run', '--name', 'slow', '--', ...fixture('stdio-server.mjs'))
    expect(second.code).toBe(1)
    expect(second.stderr).toMatch(/\[workload-(exists|busy)\]/)
    await writeFile(gate, '')
    expect((await ran).code).toBe(0)
    expect((await started).code).toBe(0)
    expect(await world.list()).toMatchObject([{ name: 'slow', status: 'running' }])
  })

  it.each([
    ['run --foreground', ['--foreground']],
    ['run', []],
  ])('SIGINT ends %s with 130, and everything it has started', async (_command, flags) => {
    const child = world.spawn(['run', '--name', 'slow', ...flags, '--', ...fixture('stdio-server.mjs', '--silent')])
    const ended = collect(child)
    await eventually('its server runs', 10_000, async () => {
      const status = await world.status('slow').catch(() => undefined)
      return status?.thv?.server === undefined ? undefined : true
    })
    child.kill('SIGINT')
    const { code } = await ended
    expect(await world.processes()).toEqual([])
    expect(await world.list()).toEqual([])
    expect(code).toBe(130)
  })
})

interface Serving {
  child: ChildProcess
  ended: Promise<CommandResult>
  line: string
  url: string
}

function command(flags: string[] = []): string[] {
  return ['run', '--foreground', '--name', 'fore', '--', ...fixture('stdio-server.mjs', ...flags)]
}

async function serve(options: { flags?: string[]; ipc?: boolean } = {}): Promise<Serving> {
  return await waitForLine(world.spawn(command(options.flags), { ipc: options.ipc === true }))
}

/** Waits for the line that says where it serves, which is the first on stdout. */
async function waitForLine(child: ChildProcess): Promise<Serving> {
  const ended = collect(child)
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout! }).once('line', resolve)
    void ended.then(({ stderr }) => reject(new Error(`it ended: ${stderr}`)))
  })
  return { child, ended, line, url: / at (\S+)$/.exec(line)?.[1] ?? '' }
}
