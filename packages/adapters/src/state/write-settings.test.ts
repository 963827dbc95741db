import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { liveProcesses as processes } from './fixtures/live-processes.ts'
import { scratchDirectory } from './fixtures/scratch.ts'
import { readSettings } from './read-settings.ts'
import { saveSecretsProvider } from './write-settings.ts'

const { signal } = new AbortController()

it.each([
  ['no file', undefined, 'secrets:\n  provider_type: encrypted\n  setup_completed: true\n'],
  ['an empty file', '', 'secrets:\n  provider_type: encrypted\n  setup_completed: true\n'],
  [
    'other keys and comments',
    '# mine\nclients:\n  registered_clients: [ a,  b ] # as I like it\nsecrets: {provider_type: environment, setup_completed: false}\n',
    '# mine\nclients:\n  registered_clients: [ a, b ] # as I like it\nsecrets: { provider_type: encrypted, setup_completed: true }\n',
  ],
])('the provider is written into %s, and read back', async (_, before, after) => {
  const path = join(scratchDirectory(), 'toolhive', 'config.yaml')
  if (before !== undefined) place(path, before)
  await saveSecretsProvider(path, 'encrypted', { processes, signal })
  expect(readFileSync(path, 'utf8')).toBe(after)
  expect(statSync(path).mode & 0o777).toBe(process.platform === 'win32' ? 0o666 : 0o600)
  expect((await readSettings(path, {})).secretsProvider).toBe('encrypted')
})

it.each(['secrets: [a', '- a list', 'secrets: text', 'a: 1\na: 2'])('%j is config-invalid and stays', async (text) => {
  const path = join(scratchDirectory(), 'config.yaml')
  place(path, text)
  await expect(saveSecretsProvider(path, 'encrypted', { processes, signal })).rejects.toMatchObject({
    code: 'config-invalid',
  })
  expect(readFileSync(path, 'utf8')).toBe(text)
})

it.each([
  '',
  'secrets: {provider_type: encrypted}',
  'secrets: {provider_type: encrypted, setup_completed: false}',
  'secrets: {setup_completed: true}',
])('%j says that nothing is set up', async (text) => {
  const path = join(scratchDirectory(), 'config.yaml')
  place(path, text)
  expect((await readSettings(path, {})).secretsProvider).toBeUndefined()
})

function place(path: string, text: string): void {
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, text)
}
