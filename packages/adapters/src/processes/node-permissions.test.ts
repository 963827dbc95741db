import { execFile } from 'node:child_process'
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { withNodePermissions } from './node-permissions.ts'

const execute = promisify(execFile)
const confinement = { wish: 'auto', programPaths: [], mounts: [], covered: [], network: { kind: 'open' } } as const
let directory: string

beforeEach(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'thv-node-')))
})

afterEach(async () => {
  await rm(directory, { recursive: true, force: true })
})

it.each([
  ['v20.20.2', '--experimental-permission'],
  ['v22.12.0', '--experimental-permission'],
  ['v22.13.0', '--permission'],
  ['v23.5.0', '--permission'],
  ['v24.0.0', '--permission'],
])('Node %s is asked with %s', (nodeVersion, flag) => {
  const command = ['/usr/bin/node', 'a.js'] as const
  const plan = {
    command,
    nodeVersion,
    confinement,
    programPaths: [{ path: '/a', isDirectory: true }],
    temporaryDirectory: '/tmp/x',
  }
  expect(withNodePermissions(plan)?.[1]).toBe(flag)
})

it('is not tried for other programs, and not where it could not keep what was promised', () => {
  const plan = { nodeVersion: 'v24.0.0', programPaths: [], temporaryDirectory: '/tmp/x', confinement }
  expect(withNodePermissions({ ...plan, command: ['/usr/bin/python3'] })).toBeUndefined()
  const mounts = [{ source: '/a', target: '/b', writable: false }]
  const moved = { ...confinement, mounts }
  expect(withNodePermissions({ ...plan, command: ['node'], confinement: moved })).toBeUndefined()
})

it('a program runs under it, and neither reads the file beside it nor starts a process', async () => {
  const script = join(directory, 'program.mjs')
  await writeFile(
    script,
    `import { readFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
const attempt = (what) => { try { return what() } catch (error) { return error.code } }
console.log(JSON.stringify([
  attempt(() => readFileSync(process.argv[1], 'utf8').length > 0),
  attempt(() => readFileSync(process.argv[1] + '.other', 'utf8').length > 0),
  attempt(() => spawnSync('/bin/true').status),
]))`,
  )
  await writeFile(`${script}.other`, 'beside it')
  const temporaryDirectory = join(directory, 'own')
  const plan = {
    nodeVersion: process.version,
    programPaths: [{ path: script, isDirectory: false }],
    temporaryDirectory,
    confinement,
  }
  const [file, ...args] = withNodePermissions({ ...plan, command: [process.execPath, script] })!
  const { stdout } = await execute(file, args)
  expect(JSON.parse(stdout)).toEqual([true, 'ERR_ACCESS_DENIED', 'ERR_ACCESS_DENIED'])
})
