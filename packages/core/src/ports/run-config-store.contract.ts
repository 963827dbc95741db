import { describe, expect, test } from 'vitest'
import { runConfigSchemaVersion, type RunConfig } from '../domain/run-config.ts'
import type { ContractSetUp } from './contract-setting.ts'
import type { RunConfigStore } from './state-store.ts'

/** What every {@link RunConfigStore} does, whatever it keeps configs in. */
export function testRunConfigStore(adapter: string, setUp: ContractSetUp<RunConfigStore>): void {
  describe(`${adapter} as a run config store`, () => {
    test('a saved config loads as it was, from another store too', async () => {
      const { open } = await setUp()
      await open().save(fetchConfig)
      expect(await open().load('fetch')).toEqual(fetchConfig)
    })

    test('a config that was never saved is undefined', async () => {
      const { open } = await setUp()
      expect(await open().load('fetch')).toBeUndefined()
    })

    test('saving again replaces the config', async () => {
      const { open } = await setUp()
      const store = open()
      await store.save(fetchConfig)
      await store.save({ ...fetchConfig, port: 9 })
      expect((await store.load('fetch'))?.port).toBe(9)
    })

    test('keys that this version does not know survive load and save', async () => {
      const { open } = await setUp()
      const store = open()
      await store.save({ ...fetchConfig, later_key: { nested: [1, null] } })
      const loaded = await store.load('fetch')
      await store.save({ ...loaded!, port: 9 })
      expect((await store.load('fetch'))?.['later_key']).toEqual({ nested: [1, null] })
    })

    test('a deleted config is gone, and deleting it again is fine', async () => {
      const { open } = await setUp()
      const store = open()
      await store.save(fetchConfig)
      await store.delete('fetch')
      await store.delete('fetch')
      expect(await store.load('fetch')).toBeUndefined()
      expect(await store.list()).toEqual({ names: [], problems: [] })
    })

    test('the list has every saved name once, sorted', async () => {
      const { open } = await setUp()
      const store = open()
      for (const name of ['time', 'a.b', 'fetch', 'fetch']) await store.save({ ...fetchConfig, name })
      expect(await store.list()).toEqual({ names: ['a.b', 'fetch', 'time'], problems: [] })
    })

    test('an empty store lists nothing', async () => {
      const { open } = await setUp()
      expect(await open().list()).toEqual({ names: [], problems: [] })
    })

    test.each(['../up', 'a/b', '', 'a..b', 'nul\0'])('the name %j is refused everywhere', async (name) => {
      const { open } = await setUp()
      const store = open()
      const refused = { code: 'invalid-name' }
      await expect(store.load(name)).rejects.toMatchObject(refused)
      await expect(store.delete(name)).rejects.toMatchObject(refused)
      await expect(store.save({ ...fetchConfig, name })).rejects.toMatchObject(refused)
    })

    test('a config that could not be loaded again is not saved', async () => {
      const { open } = await setUp()
      const store = open()
      await store.save(fetchConfig)
      await expect(store.save({ ...fetchConfig, port: 70_000 })).rejects.toMatchObject({ code: 'invalid-run-config' })
      await expect(store.save({ ...fetchConfig, schema_version: 'v9.0.0' })).rejects.toMatchObject({
        code: 'run-config-newer',
      })
      expect(await store.load('fetch')).toEqual(fetchConfig)
    })

    test('of concurrent saves one is the whole result', async () => {
      const { open } = await setUp()
      const ports = [1, 2, 3, 4, 5, 6, 7, 8]
      await Promise.all(ports.map((port) => open().save({ ...fetchConfig, port, target_port: port })))
      const loaded = await open().load('fetch')
      expect(ports).toContain(loaded?.port)
      expect(loaded?.target_port).toBe(loaded?.port)
    })
  })
}

const fetchConfig: RunConfig = {
  schema_version: runConfigSchemaVersion,
  image: 'npx://server-fetch@1.0.0',
  name: 'fetch',
  base_name: 'fetch',
  cmd_args: ['--quiet', 'ünïcode \u{1f600}'],
  transport: 'stdio',
  host: '127.0.0.1',
  port: 12_345,
  permission_profile: null,
  env_vars: { LEVEL: 'info', EMPTY: '' },
  proxy_mode: 'streamable-http',
  group: 'default',
  thv: { runtime: 'process', package: { kind: 'npx', name: 'server-fetch', version: '1.0.0' } },
}
