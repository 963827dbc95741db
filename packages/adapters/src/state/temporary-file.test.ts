import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { sweepTemporaries } from './temporary-file.ts'

let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'thv-temporary-'))
})

afterEach(async () => {
  await rm(directory, { recursive: true, force: true })
})

test.runIf(process.platform === 'linux')(
  'what a killed writer left goes although nobody has waited for the writer yet; a living one keeps its file',
  async () => {
    // The shell becomes a program that never waits for the child, which outlives the shell.
    const parent = spawn('sh', ['-c', 'sleep 0.2 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] })
    try {
      const [line] = await once(parent.stdout, 'data')
      const [dead, living] = [Number(String(line)), process.pid].map((pid) => `.thv-${pid}-${'0'.repeat(32)}.tmp`)
      for (const name of [dead, living]) await writeFile(join(directory, name!), '{}')
      await expect
        .poll(
          async () => {
            await sweepTemporaries(directory)
            return await readdir(directory)
          },
          { timeout: 10_000 },
        )
        .toEqual([living])
      expect(process.kill(Number(String(line)), 0)).toBe(true)
    } finally {
      parent.kill('SIGKILL')
    }
  },
)
