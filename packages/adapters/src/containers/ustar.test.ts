import { spawnSync } from 'node:child_process'
import { lstat, mkdtemp, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { writeArchive, type ArchiveEntry } from './ustar.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'thv-tar-'))
})
afterEach(async () => await rm(directory, { recursive: true, force: true }))

async function archive(entries: ArchiveEntry[]): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of writeArchive(entries)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function file(path: string, text: string, mode = 0o644): ArchiveEntry {
  return { path, mode, content: { kind: 'file', bytes: Buffer.from(text) } }
}

async function extract(entries: ArchiveEntry[]): Promise<void> {
  await writeFile(join(directory, 'a.tar'), await archive(entries))
  const { status, stderr } = spawnSync('tar', ['-xpf', 'a.tar'], { cwd: directory, encoding: 'utf8' })
  expect([status, stderr]).toEqual([0, ''])
}

it('tar takes out what was put in: files, modes, directories and links', async () => {
  await extract([
    { path: 'bin', mode: 0o755, content: { kind: 'directory' } },
    file('bin/run', '#!/bin/sh\n', 0o755),
    file('empty', ''),
    { path: 'link', mode: 0o777, content: { kind: 'symlink', target: 'bin/run' } },
  ])
  expect(await readFile(join(directory, 'bin/run'), 'utf8')).toBe('#!/bin/sh\n')
  expect((await lstat(join(directory, 'bin/run'))).mode & 0o777).toBe(0o755)
  expect(await readlink(join(directory, 'link'))).toBe('bin/run')
  expect(await readFile(join(directory, 'empty'), 'utf8')).toBe('')
})

it('names of any length and letters survive', async () => {
  const long = `${'d'.repeat(90)}/${'é'.repeat(60)}`
  const target = 't'.repeat(150)
  await extract([file(long, 'deep'), { path: 'l', mode: 0o777, content: { kind: 'symlink', target } }])
  expect(await readFile(join(directory, long), 'utf8')).toBe('deep')
  expect(await readlink(join(directory, 'l'))).toBe(target)
})

it('any content is padded to whole blocks, and equal content makes equal archives', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 2000 }), async (bytes) => {
      const entry: ArchiveEntry = { path: 'x', mode: 0o644, content: { kind: 'file', bytes: Buffer.from(bytes) } }
      const first = await archive([entry])
      expect(first.length % 512).toBe(0)
      expect(first.subarray(512, 512 + bytes.length).equals(Buffer.from(bytes))).toBe(true)
      expect((await archive([entry])).equals(first)).toBe(true)
    }),
  )
})
