import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createControlGroups } from './control-groups.ts'
import { processLimits } from './process-limits.ts'

let root: string

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'thv-groups-'))
})

afterEach(async () => {
  await rm(root, { recursive: true, force: true })
})

it('of version 1 the server joins a group within the one with the limits, which it cannot reach', async () => {
  for (const kind of ['pids', 'memory']) await mkdir(join(root, kind))
  const groups = await createControlGroups('x', 0, root)
  expect(groups.directories).toEqual([join(root, 'pids/x/server'), join(root, 'memory/x/server')])
  for (const directory of groups.directories) expect((await stat(directory)).isDirectory()).toBe(true)
  expect(await readFile(join(root, 'memory/x/memory.limit_in_bytes'), 'utf8')).toBe(
    String(processLimits.sandboxMemoryBytes),
  )
})

it('of version 2 likewise, in the one tree there is', async () => {
  await writeFile(join(root, 'cgroup.controllers'), 'cpu memory pids\n')
  const groups = await createControlGroups('x', 0, root)
  expect(groups.directories).toEqual([join(root, 'x/server')])
  expect(await readFile(join(root, 'x/pids.max'), 'utf8')).toBe(String(processLimits.sandboxProcesses))
})

it('are made for root only, and not where they cannot be', async () => {
  expect((await createControlGroups('x', 1000, root)).directories).toEqual([])
  expect((await createControlGroups('x', 0, join(root, 'none'))).directories).toEqual([])
})
