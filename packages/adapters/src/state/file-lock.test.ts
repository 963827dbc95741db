import { mkdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import { withFileLock } from './file-lock.ts'
import { liveProcesses } from './fixtures/live-processes.ts'
import { namesIn, resultOf, runFixture, scratchDirectory } from './fixtures/scratch.ts'

const { signal } = new AbortController()
const options = { timeoutMs: 2_000, signal, processes: liveProcesses }
const deadHolder = { pid: 4_000_000, started: 'long ago', token: '0'.repeat(32) }

test('8 processes add 100 each while holders are killed at random: nothing is lost, nobody waits for ever', async () => {
  const directory = scratchDirectory()
  let kills = 0
  const finish = async (slot: number): Promise<string> => {
    for (;;) {
      const child = runFixture('increment.ts', [directory, String(slot), '100', '8'])
      const sniper = setTimeout(() => child.kill('SIGKILL'), 400 + Math.random() * 4_000)
      const { code, signal: killedBy, output } = await resultOf(child)
      clearTimeout(sniper)
      if (killedBy === null) return `${code} ${output}`
      kills += 1
    }
  }
  const ends = await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map(finish))
  expect(new Set(ends)).toEqual(new Set(['0 done']))
  const counter: unknown = JSON.parse(readFileSync(join(directory, 'counter.json'), 'utf8'))
  const slots = Object.fromEntries([0, 1, 2, 3, 4, 5, 6, 7].map((slot) => [slot, 100]))
  expect(counter).toEqual({ count: 800, slots })
  expect(kills).toBeGreaterThan(3)
  expect(namesIn(directory).filter((name) => name.includes('thv-lock'))).toEqual([])
}, 240_000)

test('the lock of a dead process is taken over at once, and nothing of it is left', async () => {
  const path = lockPath()
  writeFileSync(path, JSON.stringify(deadHolder))
  const start = performance.now()
  await withFileLock(path, options, () => Promise.resolve())
  expect(performance.now() - start).toBeLessThan(500)
  expect(namesIn(join(path, '..'))).toEqual([])
})

test('a process that reuses the number of a dead holder does not keep its lock', async () => {
  const path = lockPath()
  writeFileSync(path, JSON.stringify({ ...deadHolder, pid: process.pid }))
  expect(await withFileLock(path, options, () => Promise.resolve('in'))).toBe('in')
})

test('a lock inherited from an heir that died too is taken over, and void claims are swept', async () => {
  const path = lockPath()
  const heir = { ...deadHolder, token: '1'.repeat(32) }
  writeFileSync(path, JSON.stringify(deadHolder))
  writeFileSync(`${path}.${deadHolder.token}`, JSON.stringify(heir))
  writeFileSync(`${path}.${'2'.repeat(32)}`, JSON.stringify(deadHolder))
  expect(await withFileLock(path, options, () => Promise.resolve('in'))).toBe('in')
  expect(namesIn(join(path, '..'))).toEqual([])
})

test.each([
  ['empty', ''],
  ['torn', '{"pid":12'],
  ['binary', '\0\u0001\u00ff'],
  ['without token', '{"pid":1,"started":"x"}'],
  ['huge', 'x'.repeat(100_000)],
])('a lock file that is %s does not wedge', async (_, content) => {
  const path = lockPath()
  writeFileSync(path, content)
  expect(await withFileLock(path, options, () => Promise.resolve('in'))).toBe('in')
  expect(namesIn(join(path, '..'))).toEqual([])
})

test('an unreadable lock file dated in the future does not wedge', async () => {
  const path = lockPath()
  writeFileSync(path, '')
  utimesSync(path, 4e9, 4e9)
  expect(await withFileLock(path, options, () => Promise.resolve('in'))).toBe('in')
})

test('a link in place of the lock is not followed', async () => {
  const path = lockPath()
  const victim = join(path, '..', 'victim')
  writeFileSync(victim, 'precious')
  symlinkSync(victim, path)
  expect(await withFileLock(path, options, () => Promise.resolve('in'))).toBe('in')
  expect(readFileSync(victim, 'utf8')).toBe('precious')
})

test('a directory in place of the lock is told, not waited for', async () => {
  const path = lockPath()
  mkdirSync(path)
  await expect(withFileLock(path, options, () => Promise.resolve())).rejects.toMatchObject({ code: 'state-failed' })
})

test('a lock held by a living process times out and names it', async () => {
  const path = lockPath()
  writeFileSync(path, JSON.stringify({ ...(await liveProcesses.self()), token: '3'.repeat(32) }))
  await expect(withFileLock(path, { ...options, timeoutMs: 100 }, () => Promise.resolve())).rejects.toMatchObject({
    code: 'state-locked',
    message: expect.stringMatching(`^failed to acquire lock: timeout after 0.1s; .* process ${process.pid}$`),
  })
  // Whose it is stays so.
  expect(namesIn(join(path, '..'))).toEqual(['x.thv-lock'])
})

test('callers of one process go in order of arrival, one at a time', async () => {
  const path = lockPath()
  const order: number[] = []
  let inside = 0
  const enter = (turn: number): Promise<void> =>
    withFileLock(path, options, async () => {
      inside += 1
      expect(inside).toBe(1)
      await sleep(2)
      order.push(turn)
      inside -= 1
    })
  await Promise.all([0, 1, 2, 3, 4, 5].map(enter))
  expect(order).toEqual([0, 1, 2, 3, 4, 5])
})

test('a queued caller that gives up by time or signal does not block the ones behind it', async () => {
  const path = lockPath()
  const gate = new AbortController()
  const entered = vi.fn<() => Promise<void>>(() => Promise.resolve())
  const first = withFileLock(path, options, () => sleep(300))
  const late = withFileLock(path, { ...options, timeoutMs: 50 }, entered)
  const aborted = withFileLock(path, { ...options, signal: gate.signal }, entered)
  const last = withFileLock(path, options, () => Promise.resolve('last'))
  gate.abort(new Error('enough'))
  await expect(aborted).rejects.toThrow('enough')
  await expect(late).rejects.toMatchObject({ code: 'state-locked', message: expect.stringContaining('this process') })
  await first
  expect(await last).toBe('last')
  expect(entered).not.toHaveBeenCalled()
})

test('an abort ends the wait for another process with the reason of the signal', async () => {
  const path = lockPath()
  writeFileSync(path, JSON.stringify({ ...(await liveProcesses.self()), token: '3'.repeat(32) }))
  const ending = new AbortController()
  const waiting = withFileLock(path, { ...options, signal: ending.signal }, () => Promise.resolve())
  setTimeout(() => ending.abort(new Error('enough')), 30)
  await expect(waiting).rejects.toThrow('enough')
})

test('an action that throws releases the lock', async () => {
  const path = lockPath()
  await expect(withFileLock(path, options, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(namesIn(join(path, '..'))).toEqual([])
})

function lockPath(): string {
  return join(scratchDirectory(), 'x.thv-lock')
}
