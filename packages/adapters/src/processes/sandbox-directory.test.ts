import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createSandboxDirectory, listLeftovers } from './sandbox-directory.ts'

let parent: string

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'thv-sweep-'))
})

afterEach(async () => {
  await rm(parent, { recursive: true, force: true })
})

describe('directories of sandboxes', () => {
  it('of dead processes are swept, but not of another pid namespace, where the number is somebody else', async () => {
    const { pid: dead } = spawnSync(process.execPath, ['--version'])
    const living = await createSandboxDirectory(parent)
    const ours = basename(living.path).split('-')[3]
    const left = `thv-sandbox-${dead}-${ours}-abcdef`
    const foreign = `thv-sandbox-${dead}-0-abcdef`
    for (const name of [left, foreign]) await mkdir(join(parent, name))
    expect(await listLeftovers(parent)).toEqual([left])
    const next = await createSandboxDirectory(parent)
    expect((await readdir(parent)).toSorted()).toEqual([basename(living.path), basename(next.path), foreign].toSorted())
  })
})
