import { execFileSync } from 'node:child_process'
import { chownSync, mkdirSync, readdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { needsRootOnLinux } from './fixtures/as-root.ts'
import { scratchDirectory } from './fixtures/scratch.ts'
import { readStateFile } from './read-state-file.ts'

const posix = process.platform !== 'win32'

test('a file of ours is read as it is, binary garbage included', async () => {
  const bytes = Buffer.from([0, 255, 10, 128])
  const path = place((file) => writeFileSync(file, bytes))
  expect(await readStateFile(path, 4)).toEqual({ kind: 'content', bytes })
})

test('an empty file is content of no bytes', async () => {
  const path = place((file) => writeFileSync(file, ''))
  expect(await readStateFile(path, 4)).toEqual({ kind: 'content', bytes: Buffer.alloc(0) })
})

test('a file larger than one piece is read whole', async () => {
  const bytes = Buffer.alloc(100_000, 'ab')
  const path = place((file) => writeFileSync(file, bytes))
  expect(await readStateFile(path, 100_000)).toEqual({ kind: 'content', bytes })
})

test('nothing there is absent, also when the directory is missing', async () => {
  expect(await readStateFile(join(scratchDirectory(), 'x'), 4)).toEqual({ kind: 'absent' })
  expect(await readStateFile(join(scratchDirectory(), 'no', 'x'), 4)).toEqual({ kind: 'absent' })
})

test('10 MB are refused as too large', async () => {
  const path = place((file) => writeFileSync(file, Buffer.alloc(10 * 1024 * 1024)))
  expect(await readStateFile(path, 1024)).toEqual({
    kind: 'refused',
    cause: 'too-large',
    reason: 'it is larger than 1024 bytes',
  })
})

test.each(['to a file', 'to nothing', 'to itself'])('a symbolic link %s is refused', async (kind) => {
  const directory = scratchDirectory()
  const path = join(directory, 'x')
  const target = { 'to a file': 'victim', 'to nothing': 'nowhere', 'to itself': 'x' }[kind] ?? ''
  writeFileSync(join(directory, 'victim'), 'secret')
  symlinkSync(target, path)
  expect(await readStateFile(path, 100)).toMatchObject({ kind: 'refused', cause: 'link' })
})

test('a directory is refused', async () => {
  const path = place((file) => mkdirSync(file))
  expect(await readStateFile(path, 4)).toMatchObject({ kind: 'refused', cause: 'not-a-file' })
})

test('a file where the directory should be is refused', async () => {
  const path = place((file) => writeFileSync(file, ''))
  expect(await readStateFile(join(path, 'y'), 4)).toMatchObject({ kind: 'refused', cause: 'not-a-file' })
})

test.runIf(posix)('a fifo is refused without waiting for a writer', async () => {
  const path = place((file) => execFileSync('mkfifo', [file]))
  expect(await readStateFile(path, 4)).toMatchObject({ kind: 'refused', cause: 'not-a-file' })
})

test.runIf(posix)('a socket is refused', async () => {
  const path = join(scratchDirectory(), 'x')
  const server = createServer()
  await new Promise<void>((resolve) => {
    server.listen(path, resolve)
  })
  expect(await readStateFile(path, 4)).toMatchObject({ kind: 'refused', cause: 'not-a-file' })
  server.close()
})

test('a file of another user is refused with its number', async (context) => {
  needsRootOnLinux(context, 'giving a file away')
  const path = place((file) => writeFileSync(file, '{}'))
  chownSync(path, 65534, 65534)
  expect(await readStateFile(path, 4)).toEqual({
    kind: 'refused',
    cause: 'foreign',
    reason: 'it belongs to another user (uid 65534)',
  })
})

test.runIf(process.platform === 'linux')('no file stays open, read or refused', async () => {
  const paths = [place((file) => writeFileSync(file, '{}')), place((file) => writeFileSync(file, 'larger'))]
  paths.push(place((file) => mkdirSync(file)))
  await Promise.all(paths.map(async (path) => await readStateFile(path, 4)))
  expect(openFiles().filter((path) => paths.includes(path))).toEqual([])
})

function openFiles(): string[] {
  return readdirSync('/proc/self/fd').map((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`)
    } catch {
      return ''
    }
  })
}

function place(make: (path: string) => void): string {
  const path = join(scratchDirectory(), 'x')
  make(path)
  return path
}
