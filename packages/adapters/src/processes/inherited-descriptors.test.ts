import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, openSync } from 'node:fs'
import { expect, it } from 'vitest'
import { fixtureCommand } from './fixtures/commands.ts'

it.skipIf(!existsSync('/proc/self/fd'))(
  'a server gets nothing that the caller of thv left open (missing: /proc)',
  () => {
    const root = openSync('/', 'r')
    const [file, ...args] = fixtureCommand('heir.ts')
    // The number of a descriptor that no shell can close.
    const more = Array.from({ length: 37 }, () => 'ignore' as const)
    const { stdout, stderr } = spawnSync(file, args, {
      stdio: ['ignore', 'pipe', 'pipe', ...more, root],
      encoding: 'utf8',
    })
    closeSync(root)
    expect(stderr).toBe('')
    expect(stdout).toMatch(/ 2 -> /)
    expect(stdout).toMatch(/ 40 -> \/dev\/null$/m)
  },
)
