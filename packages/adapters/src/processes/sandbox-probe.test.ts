import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { probeSandbox } from './sandbox-probe.ts'

it.each([
  ['exit 3', expect.stringMatching(/^bubblewrap does not work here: .*it ends with code 3 and no word$/)],
  ['echo "no namespaces" >&2; exit 1', expect.stringMatching(/^bubblewrap does not work here: .*no namespaces$/)],
])('a bubblewrap that does `%s` is told in one plain sentence', async (script, reason) => {
  const directory = await mkdtemp(join(tmpdir(), 'thv-probe-'))
  const bubblewrap = join(directory, 'bwrap')
  await writeFile(bubblewrap, `#!/bin/sh\n${script}\n`)
  await chmod(bubblewrap, 0o755)
  expect(await probeSandbox({ platform: 'linux', bubblewrap })).toMatchObject({ works: false, reason })
  await rm(directory, { recursive: true })
})

it('none, and another system, are told as such', async () => {
  const missing = { works: false, reason: 'bubblewrap is not installed' }
  expect(await probeSandbox({ platform: 'linux', bubblewrap: '/no/such/bwrap' })).toMatchObject(missing)
  expect(await probeSandbox({ platform: 'sunos' })).toMatchObject({ reason: 'there is no sandbox for sunos yet' })
})
