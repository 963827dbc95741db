import { describe, expect, test } from 'vitest'
import type { ContractSetUp } from './contract-setting.ts'
import type { SecretStore } from './secret-store.ts'

const { signal } = new AbortController()

/** What every {@link SecretStore} does, whatever it keeps secrets in. */
export function testSecretStore(adapter: string, setUp: ContractSetUp<SecretStore>): void {
  describe(`${adapter} as a secret store`, () => {
    test('a saved secret is read as it was, from another store too', async () => {
      const { open } = await setUp()
      const value = 'key "1"\n\u0000ümlaut 😀'
      await open().update(() => new Map([['a', value]]), signal)
      expect(await open().get('a', signal)).toBe(value)
    })

    test('a store that nobody wrote to is empty', async () => {
      const { open } = await setUp()
      expect(await open().list(signal)).toEqual([])
      expect(await open().get('a', signal)).toBeUndefined()
    })

    test('null deletes, and what is not named stays', async () => {
      const { open } = await setUp()
      const store = open()
      await store.update(() => new Map([...'cab'].map((name) => [name, name])), signal)
      await store.update(
        () =>
          new Map([
            ['a', null],
            ['gone', null],
          ]),
        signal,
      )
      expect(await open().list(signal)).toEqual(['b', 'c'])
      expect(await store.get('a', signal)).toBeUndefined()
    })

    test('a change sees what is there', async () => {
      const { open } = await setUp()
      await open().update(() => new Map([['a', '1']]), signal)
      let seen: ReadonlyMap<string, string> = new Map()
      await open().update((secrets) => {
        seen = secrets
        return new Map()
      }, signal)
      expect([...seen]).toEqual([['a', '1']])
    })

    test('of concurrent changes none is lost', async () => {
      const { open } = await setUp()
      const count = ({ n = '0' }: { n?: string | undefined }): string => String(Number(n) + 1)
      const changes = Array.from(
        { length: 8 },
        async () => await open().update((secrets) => new Map([['n', count({ n: secrets.get('n') })]]), signal),
      )
      await Promise.all(changes)
      expect(await open().get('n', signal)).toBe('8')
    })

    test('a change that throws leaves everything as it was', async () => {
      const { open } = await setUp()
      const store = open()
      await store.update(() => new Map([['a', '1']]), signal)
      const before = await store.revision()
      const broken = (): never => {
        throw new Error('no')
      }
      await expect(store.update(broken, signal)).rejects.toThrow('no')
      expect(await store.get('a', signal)).toBe('1')
      expect(await store.revision()).toBe(before)
    })

    test('the revision is another one after each change, and the same without', async () => {
      const { open } = await setUp()
      const store = open()
      const seen = [await store.revision()]
      for (const value of ['1', '2', '3']) {
        await store.update(() => new Map([['a', value]]), signal)
        seen.push(await open().revision())
      }
      await store.get('a', signal)
      await store.update(() => new Map([['a', '3']]), signal)
      expect(await store.revision()).toBe(seen.at(-1))
      expect(new Set(seen).size).toBe(4)
    })

    test.each(['__proto__', 'constructor', 'toString', ''])('%j is a name like any other', async (name) => {
      const { open } = await setUp()
      expect(await open().get(name, signal)).toBeUndefined()
      await open().update(() => new Map([[name, 'x']]), signal)
      expect(await open().get(name, signal)).toBe('x')
      expect(await open().list(signal)).toEqual([name])
    })
  })
}
