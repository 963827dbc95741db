import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { createFileStatusWatch } from './file-status-watch.ts'
import { scratchDirectory } from './fixtures/scratch.ts'

/** A watch that never rescans, so that what it tells comes from the system. */
function open(): { data: string; told: (string | undefined)[]; stop: () => void } {
  const data = scratchDirectory()
  const told: (string | undefined)[] = []
  const abort = new AbortController()
  const watch = createFileStatusWatch({ dataDirectory: data, rescanMs: 3_600_000 })
  watch.watch((name) => told.push(name), abort.signal)
  return { data, told, stop: () => abort.abort() }
}

it('tells which status was written, in a directory that is made later too, and nothing of other files', async () => {
  const { data, told, stop } = open()
  const statuses = join(data, 'statuses')
  await mkdir(statuses)
  await expect.poll(() => told).toEqual([undefined])
  for (const file of ['a.thv-lock', '.json', '..json.tmp']) await writeFile(join(statuses, file), '')
  await writeFile(join(statuses, 'new'), '{}')
  await rename(join(statuses, 'new'), join(statuses, 'a.json'))
  await expect.poll(() => told.at(-1)).toBe('a')
  expect(new Set(told)).toEqual(new Set([undefined, 'a']))
  stop()
})

it('tells again after the directory was replaced, and nothing after the end', async () => {
  const { data, told, stop } = open()
  const statuses = join(data, 'statuses')
  await mkdir(statuses)
  await expect.poll(() => told).toHaveLength(1)
  await rename(statuses, join(data, 'old'))
  await mkdir(statuses)
  await expect.poll(() => told.length).toBeGreaterThan(1)
  await writeFile(join(statuses, 'b.json'), '{}')
  await expect.poll(() => told).toContain('b')
  stop()
  const before = told.length
  await writeFile(join(statuses, 'c.json'), '{}')
  await new Promise((wake) => {
    setTimeout(wake, 100)
  })
  expect(told).toHaveLength(before)
})
