import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createControlGroups } from './control-groups.ts'
import { processLimits } from './process-limits.ts'

let root: string

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'thv-groups-'))
})
afterEach(async () => await rm(root, { recursive: true, force: true }))

async function text(...path: string[]): Promise<string> {
  return await readFile(join(root, ...path), 'utf8')
}

describe('the control groups of a sandbox', () => {
  it('of version 2 bound processes, memory and processor time in the one tree there is', async () => {
    await writeFile(join(root, 'cgroup.controllers'), 'cpuset cpu io memory pids\n')
    await createControlGroups('x', 0, root)
    expect(await text('cgroup.subtree_control')).toBe('+pids +memory +cpu')
    expect(await text('x/cpu.max')).toBe('200000 100000')
    expect(await text('x/pids.max')).toBe(String(processLimits.sandboxProcesses))
    expect(await text('x/memory.max')).toBe(String(processLimits.sandboxMemoryBytes))
  })

  it('do without processor time where the tree has no such controller', async () => {
    await writeFile(join(root, 'cgroup.controllers'), 'memory pids\n')
    await createControlGroups('x', 0, root)
    expect(await text('cgroup.subtree_control')).toBe('+pids +memory')
    expect(existsSync(join(root, 'x/cpu.max'))).toBe(false)
  })

  it('of version 1 are one for each kind', async () => {
    for (const kind of ['pids', 'memory', 'cpu']) await mkdir(join(root, kind))
    await createControlGroups('x', 0, root)
    expect(await text('pids/x/pids.max')).toBe(String(processLimits.sandboxProcesses))
    expect(await text('memory/x/memory.limit_in_bytes')).toBe(String(processLimits.sandboxMemoryBytes))
    expect(await text('cpu/x/cpu.cfs_period_us')).toBe('100000')
    expect(await text('cpu/x/cpu.cfs_quota_us')).toBe('200000')
  })

  it('let the server join a group within the one with the limits, which it cannot reach', async () => {
    for (const kind of ['pids', 'memory', 'cpu']) await mkdir(join(root, kind))
    const separate = await createControlGroups('x', 0, root)
    expect(separate.directories).toEqual(['pids/x/server', 'memory/x/server', 'cpu/x/server'].map((p) => join(root, p)))
    await writeFile(join(root, 'cgroup.controllers'), 'cpu memory pids\n')
    const unified = await createControlGroups('x', 0, root)
    expect(unified.directories).toEqual([join(root, 'x/server')])
    for (const directory of [...separate.directories, ...unified.directories]) {
      expect((await stat(directory)).isDirectory()).toBe(true)
    }
  })

  it('are those that can be made', async () => {
    await mkdir(join(root, 'memory'))
    expect((await createControlGroups('x', 0, root)).directories).toEqual([join(root, 'memory/x/server')])
  })

  it('are none for a user, who may not make any, and where there are no trees', async () => {
    await mkdir(join(root, 'memory'))
    expect((await createControlGroups('x', 1000, root)).directories).toEqual([])
    expect((await createControlGroups('x', 0, join(root, 'none'))).directories).toEqual([])
  })
})
