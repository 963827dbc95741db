import { mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createDetachedSupervisorLauncher } from './detached-supervisor.ts'
import { createProcessTable } from './process-table.ts'

let directory: string
let script: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'thv-launch-'))
  script = join(directory, 'thv.mjs')
  await writeFile(
    script,
    `const { TOOLHIVE_DETACHED: detached, KEPT: kept, THV_WORKLOAD_MARKER: marker } = process.env
     console.log(JSON.stringify({ args: process.argv.slice(2), detached, kept, marker, ppid: process.ppid }))
     console.error('to the same log')
     setInterval(() => {}, 1000)`,
  )
})

afterEach(async () => {
  await rm(directory, { recursive: true, force: true })
})

function launcher(executable = process.execPath) {
  return createDetachedSupervisorLauncher({
    command: [executable, script],
    environment: { KEPT: 'yes', GONE: undefined, THV_WORKLOAD_MARKER: 'of-another' },
    logPath: (name) => join(directory, `${name}.log`),
  })
}

describe('a launched supervisor', () => {
  it('runs start --foreground with its output appended to a private log', async () => {
    const log = join(directory, 'web.log')
    await writeFile(log, 'before\n', { mode: 0o600 })
    const table = createProcessTable()
    const { identity } = await launcher().launch('web', { debug: true })
    try {
      await expect.poll(async () => (await readFile(log, 'utf8')).split('\n').length, { timeout: 5_000 }).toBe(4)
      const [before, first = ''] = (await readFile(log, 'utf8')).split('\n')
      expect(before).toBe('before')
      expect(JSON.parse(first)).toMatchObject({
        args: ['start', 'web', '--foreground', '--debug'],
        detached: '1',
        kept: 'yes',
      })
      expect(JSON.parse(first)).not.toHaveProperty('marker')
      expect(await table.isSupervisorOf(identity.pid, 'web')).toBe(true)
    } finally {
      expect(await table.signal(identity, 'SIGKILL')).toBe(true)
    }
  })

  it.runIf(process.platform !== 'win32')('gets a log that only its user can read', async () => {
    const { identity } = await launcher().launch('fresh', { debug: false })
    expect((await stat(join(directory, 'fresh.log'))).mode & 0o777).toBe(0o600)
    await createProcessTable().signal(identity, 'SIGKILL')
  })

  it('tells how it ended, also when that was long ago', async () => {
    await writeFile(script, 'process.exit(3)')
    const { exit } = await launcher().launch('short', { debug: false })
    expect(await exit()).toEqual({ code: 3, signal: null })
    expect(await exit()).toEqual({ code: 3, signal: null })
  })

  it.runIf(process.platform !== 'win32')('tells by which signal it was killed', async () => {
    const { identity, exit } = await launcher().launch('killed', { debug: false })
    await createProcessTable().signal(identity, 'SIGKILL')
    expect(await exit()).toEqual({ code: null, signal: 'SIGKILL' })
  })
})

describe('a supervisor that cannot be launched', () => {
  it('because the program is missing has failed', async () => {
    await expect(launcher('/no/such/node').launch('x', { debug: false })).rejects.toMatchObject({
      code: 'supervisor-failed',
    })
  })

  it.runIf(process.platform !== 'win32')(
    'because its log is a link has failed and leaves the target alone',
    async () => {
      const target = join(directory, 'precious')
      await writeFile(target, 'mine')
      await symlink(target, join(directory, 'x.log'))
      await expect(launcher().launch('x', { debug: false })).rejects.toMatchObject({ code: 'supervisor-failed' })
      expect(await readFile(target, 'utf8')).toBe('mine')
    },
  )
})
