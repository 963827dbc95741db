import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { readLocalSource } from './local-source.ts'

let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'thv-source-'))
})
afterEach(async () => await rm(directory, { recursive: true }))

it('the source of a program is its whole module, without history, and with links as links', async () => {
  for (const path of ['.git', 'cmd/server', 'node_modules/x']) await mkdir(join(directory, path), { recursive: true })
  for (const path of ['go.mod', '.git/config', 'cmd/server/main.go', 'node_modules/x/y.go']) {
    await writeFile(join(directory, path), path)
  }
  await writeFile(join(directory, 'generate.sh'), 'go generate', { mode: 0o755 })
  await symlink('/etc/passwd', join(directory, 'link'))
  const { target, entries } = await readLocalSource(join(directory, 'cmd/server'))
  expect(target).toBe('./cmd/server')
  expect(entries).toEqual([
    { path: 'source/generate.sh', mode: 0o755, content: { kind: 'file', bytes: Buffer.from('go generate') } },
    { path: 'source/go.mod', mode: 0o644, content: { kind: 'file', bytes: Buffer.from('go.mod') } },
    { path: 'source/link', mode: 0o777, content: { kind: 'symlink', target: '/etc/passwd' } },
    {
      path: 'source/cmd/server/main.go',
      mode: 0o644,
      content: { kind: 'file', bytes: Buffer.from('cmd/server/main.go') },
    },
  ])
  expect((await readLocalSource(directory)).target).toBe('.')
})

it('what is in no module is refused, and so is what is not there', async () => {
  for (const path of [directory, join(directory, 'missing')]) {
    await expect(readLocalSource(path)).rejects.toMatchObject({ code: 'invalid-argument' })
  }
})
