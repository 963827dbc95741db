import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test, vi } from 'vitest'
import { resultOf, runFixture, scratchDirectory } from './fixtures/scratch.ts'
import { stateLimits } from './state-limits.ts'
import { watchFile } from './watch-file.ts'

const soon = { timeout: stateLimits.rescanMs * 6 }

test('other files in the directory are none of the watcher’s business', async () => {
  const { path, changed } = watched()
  writeFileSync(`${path}.other`, '')
  await sleep(stateLimits.rescanMs + 200)
  expect(changed).not.toHaveBeenCalled()
})

test('a directory that is removed and made again is watched again', async () => {
  const { path, changed } = watched()
  writeFileSync(path, 'a')
  await vi.waitFor(() => expect(changed).toHaveBeenCalled(), soon)
  rmSync(join(path, '..'), { recursive: true })
  await sleep(stateLimits.rescanMs + 100)
  changed.mockClear()
  mkdirSync(join(path, '..'))
  writeFileSync(path, 'b')
  await vi.waitFor(() => expect(changed).toHaveBeenCalled(), soon)
  await sleep(stateLimits.rescanMs + 100)
  changed.mockClear()
  writeFileSync(`${path}.new`, 'c')
  renameSync(`${path}.new`, path)
  await vi.waitFor(() => expect(changed).toHaveBeenCalled(), soon)
})

test('a signal that is aborted already watches nothing', async () => {
  const directory = scratchDirectory()
  const changed = vi.fn<() => void>()
  watchFile(join(directory, 'x'), changed, AbortSignal.abort())
  writeFileSync(join(directory, 'x'), '')
  await sleep(stateLimits.rescanMs + 100)
  expect(changed).not.toHaveBeenCalled()
})

test('a watch does not keep a process alive', async () => {
  const { code, output } = await resultOf(runFixture('watch-and-end.ts', [join(scratchDirectory(), 'x')]))
  expect([code, output]).toEqual([0, 'watching'])
})

function watched(): { path: string; changed: ReturnType<typeof vi.fn<() => void>> } {
  const directory = join(scratchDirectory(), 'd')
  mkdirSync(directory)
  const ending = new AbortController()
  onTestFinished(() => ending.abort())
  const changed = vi.fn<() => void>()
  const path = join(directory, 'x')
  watchFile(path, changed, ending.signal)
  return { path, changed }
}
