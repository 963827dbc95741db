import { describe, expect, test } from 'vitest'
import type { ContractSetUp } from './contract-setting.ts'
import type { GroupStore } from './state-store.ts'

/** What every {@link GroupStore} does, whatever it keeps groups in. */
export function testGroupStore(adapter: string, setUp: ContractSetUp<GroupStore>): void {
  describe(`${adapter} as a group store`, () => {
    test('a created group loads as it was, from another store too', async () => {
      const { open } = await setUp()
      const group = { name: 'my group', registered_clients: ['cursor'] }
      expect(await open().create(group)).toBe(true)
      expect(await open().load('my group')).toEqual(group)
    })

    test('a group that was never created is undefined', async () => {
      const { open } = await setUp()
      expect(await open().load('dev')).toBeUndefined()
    })

    test('creating a group that exists is false and changes nothing', async () => {
      const { open } = await setUp()
      const store = open()
      await store.create({ name: 'dev', registered_clients: ['cursor'] })
      expect(await store.create({ name: 'dev', registered_clients: [] })).toBe(false)
      expect((await store.load('dev'))?.registered_clients).toEqual(['cursor'])
    })

    test('of concurrent creators exactly one wins', async () => {
      const { open } = await setUp()
      const creators = Array.from({ length: 20 }, (_, turn) =>
        open().create({ name: 'dev', registered_clients: [`client-${turn}`] }),
      )
      const results = await Promise.all(creators)
      expect(results.filter(Boolean)).toHaveLength(1)
      expect((await open().load('dev'))?.registered_clients).toEqual([`client-${results.indexOf(true)}`])
    })

    test('lists what was created, sorted, and not what was deleted', async () => {
      const { open } = await setUp()
      const store = open()
      expect(await store.list()).toEqual({ names: [], problems: [] })
      for (const name of ['two words', 'dev', 'gone']) await store.create({ name, registered_clients: [] })
      await store.delete('gone')
      await store.delete('gone')
      expect((await open().list()).names).toEqual(['dev', 'two words'])
      expect(await store.load('gone')).toBeUndefined()
    })

    test.each(['../up', 'a/b', '', 'Upper', ' a', 'nul\0'])('the name %j is refused everywhere', async (name) => {
      const { open } = await setUp()
      const store = open()
      await expect(store.load(name)).rejects.toMatchObject({ code: 'invalid-name' })
      await expect(store.create({ name, registered_clients: [] })).rejects.toMatchObject({ code: 'invalid-name' })
      await expect(store.delete(name)).rejects.toMatchObject({ code: 'invalid-name' })
    })
  })
}
