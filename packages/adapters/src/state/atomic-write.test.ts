import { execFileSync } from 'node:child_process'
import { chmodSync, linkSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { writeAtomically } from './atomic-write.ts'
import { withTinyDisk } from './fixtures/as-root.ts'
import { namesIn, resultOf, runFixture, scratchDirectory } from './fixtures/scratch.ts'

const posix = process.platform !== 'win32'

test('a written file holds the content, is private, and its parents are made for user and group', async () => {
  const directory = scratchDirectory()
  const path = join(directory, 'a', 'b', 'c.json')
  await writeAtomically(path, 'hello')
  expect(readFileSync(path, 'utf8')).toBe('hello')
  expect(namesIn(dirname(path))).toEqual(['c.json'])
  expect(statSync(path).mode & 0o777).toBe(posix ? 0o600 : 0o666)
  expect(statSync(dirname(path)).mode & 0o027).toBe(posix ? 0 : 0o027)
})

test('replacing a file makes a new one: whoever has the old one open keeps the old content', async () => {
  const path = join(scratchDirectory(), 'c.json')
  await writeAtomically(path, 'old')
  linkSync(path, `${path}.kept`)
  await writeAtomically(path, 'new')
  expect([readFileSync(path, 'utf8'), readFileSync(`${path}.kept`, 'utf8')]).toEqual(['new', 'old'])
})

test('a wide-open file becomes private when it is replaced', async () => {
  const path = join(scratchDirectory(), 'c.json')
  writeFileSync(path, 'old')
  chmodSync(path, 0o666)
  await writeAtomically(path, 'new')
  expect(statSync(path).mode & 0o777).toBe(posix ? 0o600 : 0o666)
})

test.each(['to a file', 'to nothing'])('a symbolic link %s is refused and stays', async (kind) => {
  const directory = scratchDirectory()
  const victim = join(directory, 'victim')
  if (kind === 'to a file') writeFileSync(victim, 'precious')
  symlinkSync(victim, join(directory, 'c.json'))
  await expect(writeAtomically(join(directory, 'c.json'), 'x')).rejects.toMatchObject({ code: 'state-denied' })
  expect(namesIn(directory)).toEqual(kind === 'to a file' ? ['c.json', 'victim'] : ['c.json'])
})

test.runIf(posix)('a pipe in the way is refused and stays', async () => {
  const path = join(scratchDirectory(), 'c.json')
  execFileSync('mkfifo', [path])
  await expect(writeAtomically(path, 'x')).rejects.toMatchObject({ code: 'state-denied' })
  expect(statSync(path).isFIFO()).toBe(true)
})

test('a directory in the way is state-failed and leaves no temporary file', async () => {
  const directory = scratchDirectory()
  mkdirSync(join(directory, 'c.json'))
  await expect(writeAtomically(join(directory, 'c.json'), 'x')).rejects.toMatchObject({ code: 'state-failed' })
  expect(namesIn(directory)).toEqual(['c.json'])
})

test('a file where a parent directory should be is state-failed', async () => {
  const directory = scratchDirectory()
  writeFileSync(join(directory, 'a'), '')
  await expect(writeAtomically(join(directory, 'a', 'c.json'), 'x')).rejects.toMatchObject({ code: 'state-failed' })
})

test('a full disk is state-full, keeps the old file and leaves no temporary file', async (context) => {
  const disk = join(scratchDirectory(), 'disk')
  await withTinyDisk(context, disk, async () => {
    const path = join(disk, 'c.json')
    await writeAtomically(path, 'old')
    await expect(writeAtomically(path, 'x'.repeat(100_000))).rejects.toMatchObject({
      code: 'state-full',
      message: expect.stringContaining('nothing was changed'),
      hint: expect.stringContaining(disk),
    })
    expect([readFileSync(path, 'utf8'), namesIn(disk)]).toEqual(['old', ['c.json']])
    await writeAtomically(path, 'new')
    expect(readFileSync(path, 'utf8')).toBe('new')
  })
})

test('a directory that we may not write is state-denied with the directory named, and nothing changes', async () => {
  const directory = scratchDirectory()
  const path = join(directory, 'c.json')
  await writeAtomically(path, 'old')
  const isRoot = process.geteuid?.() === 0
  // Root may write everywhere, so it asks a process that may not.
  chmodSync(directory, isRoot ? 0o755 : 0o555)
  const child = runFixture('write-once.ts', [path, 'new'], isRoot ? { uid: 65534, gid: 65534 } : {})
  const { output } = await resultOf(child)
  chmodSync(directory, 0o755)
  expect(JSON.parse(output)).toMatchObject({ code: 'state-denied', hint: expect.stringContaining(directory) })
  expect([readFileSync(path, 'utf8'), namesIn(directory)]).toEqual(['old', ['c.json']])
})

test('readers never see a torn file while writers are killed at random', async () => {
  const path = join(scratchDirectory(), 'c.json')
  const seen = new Set<string>()
  let reads = 0
  for (let round = 0; round < 6; round += 1) {
    const writers = [runFixture('rewrite.ts', [path, '200000']), runFixture('rewrite.ts', [path, '10'])]
    const ended = Promise.all(writers.map(resultOf))
    await vi.waitFor(() => expect(namesIn(dirname(path))).toContain('c.json'), { timeout: 10_000 })
    const killAt = performance.now() + 200 + Math.random() * 600
    while (performance.now() < killAt) {
      const text = await readFileOrNothing(path)
      if (text === '') continue
      const { pid, turn, fill }: { pid: number; turn: number; fill: string } = JSON.parse(text)
      expect([10, 200_000]).toContain(fill.length)
      expect(fill.replaceAll(fill[0] ?? '', '')).toBe('')
      seen.add(`${pid} ${turn}`)
      reads += 1
    }
    for (const writer of writers) writer.kill('SIGKILL')
    await ended
  }
  expect(reads).toBeGreaterThan(20)
  expect(seen.size).toBeGreaterThan(10)
}, 60_000)

async function readFileOrNothing(path: string): Promise<string> {
  await new Promise((resolve) => {
    setTimeout(resolve, 1)
  })
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
