import { closeSync, openSync, readFileSync, renameSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { withTinyDisk } from './fixtures/as-root.ts'
import { namesIn, scratchDirectory } from './fixtures/scratch.ts'
import { rotateByCopy } from './truncate-log.ts'

test('a log above its limit is copied to .1 and goes on empty through the same descriptor', async () => {
  const { path, fd } = openLog()
  writeSync(fd, 'x'.repeat(200))
  expect(await rotateByCopy({ path, fd, limitBytes: 100 })).toBe(true)
  writeSync(fd, 'next')
  expect(readFileSync(path, 'utf8')).toBe('next')
  expect(readFileSync(`${path}.1`, 'utf8')).toBe('x'.repeat(200))
  expect(statSync(`${path}.1`).mode & 0o777).toBe(process.platform === 'win32' ? 0o666 : 0o600)
})

test('older copies move up and the oldest goes', async () => {
  const { path, fd } = openLog()
  for (const content of ['one', 'two', 'three']) {
    writeSync(fd, content)
    await rotateByCopy({ path, fd, limitBytes: 1 })
  }
  expect(namesIn(dirname(path))).toEqual(['a.log', 'a.log.1', 'a.log.2'])
  expect([readFileSync(`${path}.1`, 'utf8'), readFileSync(`${path}.2`, 'utf8')]).toEqual(['three', 'two'])
})

test('no line that this process writes during the rotation is lost', async () => {
  const { path, fd } = openLog()
  writeSync(fd, 'start\n'.repeat(200_000))
  let written = 0
  const write = (): void => {
    writeSync(fd, 'during\n')
    written += 1
    writer = setImmediate(write)
  }
  let writer = setImmediate(write)
  expect(await rotateByCopy({ path, fd, limitBytes: 100 })).toBe(true)
  await sleep(5)
  clearImmediate(writer)
  expect(written).toBeGreaterThan(10)
  const text = readFileSync(`${path}.1`, 'utf8') + readFileSync(path, 'utf8')
  expect([text.match(/start/g)?.length, text.match(/during/g)?.length]).toEqual([200_000, written])
})

test('a log below its limit stays', async () => {
  const { path, fd } = openLog()
  writeSync(fd, 'short')
  expect(await rotateByCopy({ path, fd, limitBytes: 100 })).toBe(false)
  expect(readFileSync(path, 'utf8')).toBe('short')
})

test('a descriptor that is not the file at the path is left alone', async () => {
  const { path, fd } = openLog()
  writeSync(fd, 'x'.repeat(200))
  renameSync(path, `${path}.moved`)
  expect(await rotateByCopy({ path, fd, limitBytes: 100 })).toBe(false)
  writeFileSync(path, 'another file')
  expect(await rotateByCopy({ path, fd, limitBytes: 100 })).toBe(false)
  expect(readFileSync(`${path}.moved`, 'utf8')).toBe('x'.repeat(200))
})

test('a descriptor that is closed or a terminal is left alone', async () => {
  expect(await rotateByCopy({ path: '/nowhere', fd: 9_999, limitBytes: 0 })).toBe(false)
})

test('on a full disk the log is kept up to twice its limit and emptied above', async (context) => {
  const disk = join(scratchDirectory(), 'disk')
  await withTinyDisk(context, disk, () => rotateOnFullDisk(join(disk, 'a.log')))
})

async function rotateOnFullDisk(path: string): Promise<void> {
  const fd = openSync(path, 'a', 0o600)
  try {
    writeSync(fd, 'x'.repeat(40_000))
    expect(await rotateByCopy({ path, fd, limitBytes: 30_000 })).toBe(false)
    expect(statSync(path).size).toBe(40_000)
    expect(await rotateByCopy({ path, fd, limitBytes: 10_000 })).toBe(true)
    expect([statSync(path).size, namesIn(dirname(path))]).toEqual([0, ['a.log']])
  } finally {
    closeSync(fd)
  }
}

function openLog(): { path: string; fd: number } {
  const path = join(scratchDirectory(), 'a.log')
  const fd = openSync(path, 'a', 0o600)
  onTestFinished(() => closeSync(fd))
  return { path, fd }
}
