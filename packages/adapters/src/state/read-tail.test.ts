import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { limits } from '@thv/core'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { scratchDirectory } from './fixtures/scratch.ts'
import { readTail } from './read-tail.ts'

it('gives the last lines, and the end of each', async () => {
  const path = join(scratchDirectory(), 'a.log')
  const lines = fc.array(fc.stringMatching(/^[a-zé]{0,5}$/), { maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(lines, fc.boolean(), fc.integer({ min: 1, max: 14 }), async (texts, isOpen, count) => {
      const ended = texts.map((text) => `${text}\n`)
      const all = isOpen ? [...ended, 'open'] : ended
      writeFileSync(path, all.join(''))
      expect(await readTail(path, count)).toBe(all.slice(-count).join(''))
    }),
  )
})

it('has no part of a line when the file is longer than a log may be', async () => {
  const path = join(scratchDirectory(), 'a.log')
  const line = `${'x'.repeat(1023)}\n`
  writeFileSync(path, `first\n${line.repeat(limits.logBytes / 1024)}`)
  expect(await readTail(path, 1_000_000)).toBe(line.repeat(limits.logBytes / 1024 - 1))
})

it('gives nothing of a file that is not there, and says why of one that cannot be read', async () => {
  const directory = scratchDirectory()
  expect(await readTail(join(directory, 'none.log'), 10)).toBeUndefined()
  mkdirSync(join(directory, 'dir.log'))
  // Waiting for its writer would take a thread of the pool from everybody.
  execFileSync('mkfifo', [join(directory, 'pipe.log')])
  for (const file of ['dir.log', 'pipe.log']) {
    await expect(readTail(join(directory, file), 10)).rejects.toMatchObject({ code: 'state-failed' })
  }
})
