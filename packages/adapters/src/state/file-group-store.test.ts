import { mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { GroupStore } from '@thv/core'
import { testGroupStore } from '@thv/core/contracts'
import { expect, test } from 'vitest'
import { createFileGroupStore } from './file-group-store.ts'
import { withTinyDisk } from './fixtures/as-root.ts'
import { namesIn, scratchDirectory } from './fixtures/scratch.ts'

testGroupStore('files', () => {
  const stateDirectory = scratchDirectory()
  return Promise.resolve({ open: () => createFileGroupStore({ stateDirectory }) })
})

test('the file has the shape of ToolHive and is private', async () => {
  const stateDirectory = scratchDirectory()
  await createFileGroupStore({ stateDirectory }).create({ name: 'dev', registered_clients: [] })
  const path = join(stateDirectory, 'groups', 'dev.json')
  expect(readFileSync(path, 'utf8')).toBe('{\n  "name": "dev",\n  "registered_clients": []\n}\n')
  expect(statSync(path).mode & 0o777).toBe(process.platform === 'win32' ? 0o666 : 0o600)
  expect(namesIn(join(stateDirectory, 'groups'))).toEqual(['dev.json'])
})

test.each([
  ['null clients as Go writes them', '{"name":"dev","registered_clients":null,"skills":["a"]}', []],
  ['clients of the wrong type', '{"registered_clients":["a",7],"skills":["a"]}', ['a']],
])('a group with %s loads with its other keys', async (_, content, clients) => {
  const store = placeGroup(content)
  expect(await store.load('dev')).toEqual({ name: 'dev', registered_clients: clients, skills: ['a'] })
})

test.each([
  ['empty', ''],
  ['torn', '{"name":'],
  ['a list', '[]'],
  ['huge', ' '.repeat(300_000)],
])('a group file that is %s is state-corrupt and still counts as existing', async (_, content) => {
  const store = placeGroup(content)
  await expect(store.load('dev')).rejects.toMatchObject({ code: 'state-corrupt' })
  expect(await store.create({ name: 'dev', registered_clients: [] })).toBe(false)
})

test('a dangling link counts as existing and is not written through', async () => {
  const stateDirectory = scratchDirectory()
  mkdirSync(join(stateDirectory, 'groups'))
  symlinkSync(join(stateDirectory, 'victim'), join(stateDirectory, 'groups', 'dev.json'))
  expect(await createFileGroupStore({ stateDirectory }).create({ name: 'dev', registered_clients: [] })).toBe(false)
  expect(namesIn(stateDirectory)).toEqual(['groups'])
})

test('a full disk is state-full and creates nothing', async (context) => {
  const stateDirectory = join(scratchDirectory(), 'disk')
  await withTinyDisk(context, stateDirectory, async () => {
    const store = createFileGroupStore({ stateDirectory })
    const group = { name: 'dev', registered_clients: ['x'.repeat(100_000)] }
    await expect(store.create(group)).rejects.toMatchObject({ code: 'state-full' })
    expect(namesIn(join(stateDirectory, 'groups'))).toEqual([])
  })
})

function placeGroup(content: string): GroupStore {
  const stateDirectory = scratchDirectory()
  mkdirSync(join(stateDirectory, 'groups'))
  writeFileSync(join(stateDirectory, 'groups', 'dev.json'), content)
  return createFileGroupStore({ stateDirectory })
}
