import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { limits, type RunConfig, type RunConfigStore } from '@thv/core'
import { testRunConfigStore } from '@thv/core/contracts'
import { expect, test } from 'vitest'
import { createFileRunConfigStore } from './file-run-config-store.ts'
import { namesIn, scratchDirectory } from './fixtures/scratch.ts'

const posix = process.platform !== 'win32'

testRunConfigStore('files', () => {
  const stateDirectory = scratchDirectory()
  return Promise.resolve({ open: () => createFileRunConfigStore({ stateDirectory }) })
})

const minimal = { schema_version: 'v0.1.0', name: 'fetch', image: '', transport: 'stdio', host: '127.0.0.1', port: 1 }

test('the file is indented by two, private, in a directory closed to others', async () => {
  const { store, path, directory } = place()
  const config: RunConfig = { ...minimal, transport: 'stdio', permission_profile: null }
  await store.save(config)
  expect(readFileSync(path, 'utf8')).toBe(`${JSON.stringify(config, null, 2)}\n`)
  expect(statSync(path).mode & 0o777).toBe(posix ? 0o600 : 0o666)
  expect(statSync(directory).mode & 0o027).toBe(posix ? 0 : 0o027)
})

test('keys of any case are read as Go reads them, unknown keys keep theirs', async () => {
  const { store } = place({
    Schema_Version: 'v0.1.0',
    NAME: 'fetch',
    Transport: 'stdio',
    Port: 1,
    Env_Vars: { Kept: 'As-Is' },
    LaterKey: 1,
  })
  expect(await store.load('fetch')).toEqual({
    ...minimal,
    permission_profile: null,
    env_vars: { Kept: 'As-Is' },
    LaterKey: 1,
  })
})

test('the canonical key wins over one of another case', async () => {
  const { store } = place({ ...minimal, PORT: 2, Group: 'b', group: 'a' })
  expect(await store.load('fetch')).toMatchObject({ port: 1, group: 'a' })
})

test('null means not set, and null lists and maps become empty', async () => {
  const nulls = { cmd_args: null, volumes: null, secrets: null, env_vars: null, container_labels: null }
  const { store } = place({ ...minimal, ...nulls, group: null, allowed_origins: null, host: null, later: null })
  expect(await store.load('fetch')).toEqual({
    ...minimal,
    permission_profile: null,
    cmd_args: [],
    volumes: [],
    secrets: [],
    env_vars: {},
    container_labels: {},
    later: null,
  })
})

test('an empty proxy mode is dropped and an absent schema version is today’s', async () => {
  const { store } = place({ ...minimal, schema_version: undefined, proxy_mode: '' })
  expect(await store.load('fetch')).toEqual({ ...minimal, permission_profile: null })
})

test('a key named __proto__ stays a key and changes nothing else', async () => {
  const { store } = place(`{"__proto__":{"group":"evil"},${JSON.stringify(minimal).slice(1)}`)
  const loaded = await store.load('fetch')
  expect(loaded?.group).toBeUndefined()
  expect(JSON.stringify(loaded)).toContain('__proto__')
})

test.each([
  ['empty', '', 'invalid-run-config'],
  ['cut off', '{"name":"fetch"', 'invalid-run-config'],
  ['binary', '\0\u00ff', 'invalid-run-config'],
  ['a list', '[]', 'invalid-run-config'],
  ['too large', ' '.repeat(limits.runConfigBytes + 1), 'invalid-run-config'],
  ['without a port', { ...minimal, port: undefined }, 'invalid-run-config'],
  ['of a later schema', { ...minimal, schema_version: 'v0.2.0' }, 'run-config-newer'],
  ['of another workload', { ...minimal, name: 'time' }, 'invalid-run-config'],
  ['with a broken extension', { ...minimal, thv: 7 }, 'invalid-run-config'],
  ['with half a command', { ...minimal, thv: { runtime: 'process', command: { typed: 'x' } } }, 'invalid-run-config'],
])('a file that is %s is refused with its path and what to do', async (_, content, code) => {
  const { store, path } = place(content)
  await expect(store.load('fetch')).rejects.toMatchObject({
    code,
    message: expect.stringContaining(path),
    hint: expect.any(String),
  })
})

test('a file saved under its base name loads under that', async () => {
  const { store } = place({ ...minimal, name: 'fetch-1700000000', base_name: 'fetch' })
  expect((await store.load('fetch'))?.name).toBe('fetch-1700000000')
})

test('links, directories and fifos are refused and reported once in the list', async () => {
  const { store, directory } = place(minimal)
  symlinkSync(join(directory, 'fetch.json'), join(directory, 'link.json'))
  mkdirSync(join(directory, 'dir.json'))
  if (posix) execFileSync('mkfifo', [join(directory, 'fifo.json')])
  for (const name of posix ? ['link', 'dir', 'fifo'] : ['link', 'dir']) {
    await expect(store.load(name)).rejects.toMatchObject({ code: 'invalid-run-config' })
  }
  const { names, problems } = await store.list()
  expect(names).toEqual(['fetch'])
  expect(problems.map(({ file }) => file)).toEqual(
    posix ? ['dir.json', 'fifo.json', 'link.json'] : ['dir.json', 'link.json'],
  )
})

test('the list stops at its maximum and says so', async () => {
  const { store, directory } = place()
  for (let number = 0; number <= limits.stateEntries; number += 1) writeFileSync(join(directory, `w${number}.json`), '')
  const { names, problems } = await store.list()
  expect(names).toHaveLength(limits.stateEntries)
  expect(problems).toEqual([{ file: '*.json', reason: 'more than 10000 files; the rest is left out' }])
})

test('a config too large to be loaded again is not saved', async () => {
  const { store, directory } = place()
  const config: RunConfig = { ...minimal, transport: 'stdio', permission_profile: null }
  const saving = store.save({ ...config, env_vars: { BIG: 'x'.repeat(limits.runConfigBytes) } })
  await expect(saving).rejects.toMatchObject({ code: 'invalid-run-config' })
  expect(namesIn(directory)).toEqual([])
})

test('deleting also removes what killed writers left long ago, and nothing younger', async () => {
  const { store, directory } = place(minimal)
  const [old, young] = [`.thv-${process.pid}-${'0'.repeat(32)}.tmp`, `.thv-${process.pid}-${'1'.repeat(32)}.tmp`]
  // No system gives out this number, so its writer is dead.
  const orphaned = `.thv-99999999-${'2'.repeat(32)}.tmp`
  for (const name of [old, young, orphaned, 'mine.tmp']) writeFileSync(join(directory, name), '')
  for (const name of [old, 'mine.tmp']) utimesSync(join(directory, name), 1, 1)
  await store.delete('fetch')
  expect(namesIn(directory)).toEqual([young, 'mine.tmp'])
})

function place(content?: unknown): { store: RunConfigStore; directory: string; path: string } {
  const stateDirectory = scratchDirectory()
  const directory = join(stateDirectory, 'runconfigs')
  const path = join(directory, 'fetch.json')
  mkdirSync(directory, { mode: 0o750 })
  if (content !== undefined) writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return { store: createFileRunConfigStore({ stateDirectory }), directory, path }
}
