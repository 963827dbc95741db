import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import { withTinyDisk } from './fixtures/as-root.ts'
import { namesIn, scratchDirectory } from './fixtures/scratch.ts'
import { createRotatingLog } from './rotating-log.ts'
import { stateLimits } from './state-limits.ts'

const posix = process.platform !== 'win32'

test('nothing is opened before the first line, and lines arrive in order in a private file', async () => {
  const path = join(scratchDirectory(), 'servers', 'a.log')
  const log = createRotatingLog({ path })
  expect(namesIn(dirname(path))).toEqual([])
  for (const line of ['one', 'two', '']) log.write(line)
  await log.close()
  await log.close()
  expect(readFileSync(path, 'utf8')).toBe('one\ntwo\n\n')
  expect(statSync(path).mode & 0o777).toBe(posix ? 0o600 : 0o666)
})

test('a log that exists is appended to', async () => {
  const path = join(scratchDirectory(), 'a.log')
  writeFileSync(path, 'before\n')
  const log = createRotatingLog({ path })
  log.write('after')
  await log.close()
  expect(readFileSync(path, 'utf8')).toBe('before\nafter\n')
})

test('above the limit the log is rotated, keeping two older ones', async () => {
  const path = join(scratchDirectory(), 'a.log')
  const log = createRotatingLog({ path, limitBytes: 10 })
  for (const line of ['first line', 'second line', 'third line', 'fourth line']) {
    log.write(line)
    await vi.waitFor(() => expect(readFileSync(path, 'utf8')).toBe(`${line}\n`))
  }
  await log.close()
  expect(namesIn(dirname(path))).toEqual(['a.log', 'a.log.1', 'a.log.2'])
  expect(readFileSync(`${path}.1`, 'utf8')).toBe('third line\n')
  expect(readFileSync(`${path}.2`, 'utf8')).toBe('second line\n')
})

test('lines faster than the disk are dropped beyond the queue, counted, and noted once', async () => {
  const path = join(scratchDirectory(), 'a.log')
  const log = createRotatingLog({ path })
  const lines = stateLimits.logQueueLines + 500
  for (let number = 0; number < lines; number += 1) log.write(`line ${number}`)
  expect(log.dropped).toBe(500)
  log.write('x'.repeat(10))
  await log.close()
  const text = readFileSync(path, 'utf8')
  expect(text.match(/^line /gm)).toHaveLength(stateLimits.logQueueLines)
  expect(text.match(/\[thv\] 501 lines are missing here/g)).toHaveLength(1)
})

test('the queue is bounded in bytes, and a single line is cut', async () => {
  const path = join(scratchDirectory(), 'a.log')
  const log = createRotatingLog({ path })
  for (let number = 0; number < 100; number += 1) log.write('x'.repeat(1_000_000))
  await log.close()
  expect(log.dropped).toBe(100 - Math.floor(stateLimits.logQueueBytes / (stateLimits.logLineBytes + 1)))
  expect(statSync(path).size).toBeLessThanOrEqual(stateLimits.logQueueBytes + 100)
})

test('a full disk drops lines without a throw, and writing goes on once there is room', async (context) => {
  const disk = join(scratchDirectory(), 'disk')
  await withTinyDisk(context, disk, async () => {
    const path = join(disk, 'a.log')
    const log = createRotatingLog({ path })
    for (let number = 0; number < 100; number += 1) log.write('x'.repeat(1_000))
    await vi.waitFor(() => expect(log.dropped).toBe(100))
    log.write('within the pause')
    await vi.waitFor(() => expect(log.dropped).toBe(101))
    rmSync(path)
    await sleep(stateLimits.logRetryMs + 50)
    log.write('room again')
    await log.close()
    expect(readFileSync(path, 'utf8')).toBe(
      '\n[thv] 101 lines are missing here: the disk was full or too slow\nroom again\n',
    )
  })
})

test('a symbolic link in place of the log is not followed', async () => {
  const path = join(scratchDirectory(), 'a.log')
  const victim = join(dirname(path), 'victim')
  writeFileSync(victim, 'precious')
  symlinkSync(victim, path)
  const log = createRotatingLog({ path })
  log.write('x')
  await log.close()
  expect([readFileSync(victim, 'utf8'), log.dropped]).toEqual(['precious', 1])
})

test.runIf(posix)('a fifo or a directory in place of the log costs lines, not time', async () => {
  const directory = scratchDirectory()
  execFileSync('mkfifo', [join(directory, 'fifo.log')])
  mkdirSync(join(directory, 'dir.log'))
  for (const name of ['fifo.log', 'dir.log']) {
    const log = createRotatingLog({ path: join(directory, name) })
    log.write('x')
    await log.close()
    expect(log.dropped).toBe(1)
  }
})

test('lines after close are dropped and counted', async () => {
  const path = join(scratchDirectory(), 'a.log')
  const log = createRotatingLog({ path })
  await log.close()
  log.write('late')
  expect([log.dropped, namesIn(dirname(path))]).toEqual([1, []])
})
