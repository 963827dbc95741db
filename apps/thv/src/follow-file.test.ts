import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { followFile } from './follow-file.ts'

it('following ends when the file has gone and nobody will write it again', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'thv-follow-'))
  const path = join(directory, 'x.log')
  await writeFile(path, 'last words')
  let text = ''
  const write = (chunk: Buffer): void => {
    text += chunk.toString()
  }
  const signal = new AbortController().signal
  const following = followFile(path, write, { waitForFile: true, isOver: async (isMissing) => isMissing, signal })
  await expect.poll(() => text).toBe('last words')
  await rm(directory, { recursive: true })
  expect(await following).toBe(true)
})

it('a pipe in the place of a log is not followed, and keeps nobody waiting', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'thv-follow-'))
  const path = join(directory, 'x.log')
  execFileSync('mkfifo', [path])
  const options = { waitForFile: true, isOver: async () => false, signal: new AbortController().signal }
  await expect(followFile(path, () => {}, options)).rejects.toMatchObject({ code: 'state-failed' })
  await rm(directory, { recursive: true })
})
