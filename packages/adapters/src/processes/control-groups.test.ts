import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createControlGroups } from './control-groups.ts'

let root: string

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'thv-groups-'))
})
afterEach(async () => await rm(root, { recursive: true }))

async function text(...path: string[]): Promise<string> {
  return await readFile(join(root, ...path), 'utf8')
}

describe('the control groups of a sandbox', () => {
  it('bound processes, memory and processor time in one tree', async () => {
    await writeFile(join(root, 'cgroup.controllers'), 'cpuset cpu io memory pids\n')
    const { directories } = await createControlGroups('thv-sandbox-1-x', 0, root)
    expect(directories).toEqual([join(root, 'thv-sandbox-1-x')])
    expect(await text('cgroup.subtree_control')).toBe('+pids +memory +cpu')
    expect(await text('thv-sandbox-1-x', 'cpu.max')).toBe('200000 100000')
    expect(await text('thv-sandbox-1-x', 'pids.max')).toBe('512')
  })

  it('do without processor time where the tree has no such controller', async () => {
    await writeFile(join(root, 'cgroup.controllers'), 'memory pids\n')
    await createControlGroups('thv-sandbox-1-x', 0, root)
    expect(await text('cgroup.subtree_control')).toBe('+pids +memory')
    expect(existsSync(join(root, 'thv-sandbox-1-x/cpu.max'))).toBe(false)
  })

  it('are one for each kind in the older trees', async () => {
    for (const kind of ['pids', 'memory', 'cpu']) await mkdir(join(root, kind))
    const { directories } = await createControlGroups('thv-sandbox-1-x', 0, root)
    expect(directories).toEqual(['pids', 'memory', 'cpu'].map((kind) => join(root, kind, 'thv-sandbox-1-x')))
    expect(await text('cpu', 'thv-sandbox-1-x', 'cpu.cfs_quota_us')).toBe('200000')
  })

  it('are none for a user, who may not make any, and where there are no trees', async () => {
    expect((await createControlGroups('thv-sandbox-1-x', 1000, root)).directories).toEqual([])
    expect((await createControlGroups('thv-sandbox-1-x', 0, root)).directories).toEqual([])
  })
})
