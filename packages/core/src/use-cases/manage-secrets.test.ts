import { beforeEach, describe, expect, it } from 'vitest'
import { createFakeMachine, type FakeMachine } from '../fakes/fake-deps.ts'
import type { EncryptedSecretStore } from '../ports/secret-store.ts'
import {
  deleteSecret,
  deleteSystemSecret,
  getSecret,
  listSecrets,
  listSystemSecrets,
  setSecret,
  setUpSecrets,
  type UserSecrets,
} from './manage-secrets.ts'

const { signal } = new AbortController()
const system = '__thv_workloads_BEARER_TOKEN_notes'
let machine: FakeMachine
let secrets: UserSecrets

beforeEach(() => {
  machine = createFakeMachine()
  secrets = machine.deps.userSecrets
})

describe('secrets of a user', () => {
  it('are saved, changed, listed in order and deleted', async () => {
    expect(await setSecret(secrets, { name: 'b', value: '1', when: 'new' }, signal)).toBe(false)
    expect(await setSecret(secrets, { name: 'a', value: '2', when: 'any' }, signal)).toBe(false)
    expect(await setSecret(secrets, { name: 'b', value: '3', when: 'present' }, signal)).toBe(true)
    expect(await listSecrets(secrets, signal)).toEqual(['a', 'b'])
    expect(await getSecret(secrets, 'b', signal)).toBe('3')
    await deleteSecret(secrets, 'b', signal)
    await expect(getSecret(secrets, 'b', signal)).rejects.toMatchObject({ code: 'secret-not-found' })
    await expect(deleteSecret(secrets, 'b', signal)).rejects.toMatchObject({ code: 'secret-not-found' })
  })

  it.each([
    ['new', 'a', 'secret-exists'],
    ['present', 'b', 'secret-not-found'],
  ] as const)('that are to be %s are not written otherwise', async (when, name, code) => {
    machine.secrets.set('a', '1')
    await expect(setSecret(secrets, { name, value: '2', when }, signal)).rejects.toMatchObject({ code })
    expect([...machine.secrets]).toEqual([['a', '1']])
  })

  it('are not those of thv, which nobody sees or changes by a mistake', async () => {
    machine.secrets.set(system, 'token')
    expect(await listSecrets(secrets, signal)).toEqual([])
    await expect(getSecret(secrets, system, signal)).rejects.toThrow('reserved for system use')
    const saving = setSecret(secrets, { name: system, value: 'x', when: 'any' }, signal)
    await expect(saving).rejects.toThrow('reserved for system use')
    await expect(deleteSecret(secrets, system, signal)).rejects.toThrow('reserved for system use')
    expect(machine.secrets.get(system)).toBe('token')
    expect(await listSystemSecrets(secrets.store, signal)).toEqual([
      { key: system, name: 'BEARER_TOKEN_notes', scope: 'workloads' },
    ])
    await deleteSystemSecret(secrets.store, system, signal)
    expect(machine.secrets.size).toBe(0)
    await expect(deleteSystemSecret(secrets.store, 'mine', signal)).rejects.toMatchObject({ code: 'invalid-argument' })
  })

  it('have a value, of bounded length', async () => {
    for (const value of ['', 'x'.repeat(256 * 1024 + 1)]) {
      const saving = setSecret(secrets, { name: 'a', value, when: 'any' }, signal)
      await expect(saving).rejects.toMatchObject({ code: 'invalid-argument' })
    }
  })

  it('are nowhere before a provider was set up', async () => {
    machine.provider = undefined
    const told = { code: 'secrets-not-set-up', message: expect.stringMatching(/^secrets provider not configured/) }
    await expect(getSecret(secrets, 'a', signal)).rejects.toMatchObject(told)
    await expect(listSecrets(secrets, signal)).rejects.toMatchObject(told)
  })

  it('that are in the environment stand in for those that are not in the store, if that is wanted', async () => {
    machine.variables.set('TOOLHIVE_SECRET_a', 'of the environment')
    expect(await getSecret(secrets, 'a', signal)).toBe('of the environment')
    machine.secrets.set('a', 'of the store')
    expect(await getSecret(secrets, 'a', signal)).toBe('of the store')
    machine.secrets.delete('a')
    const strict = { ...secrets, fallsBack: false }
    await expect(getSecret(strict, 'a', signal)).rejects.toMatchObject({ code: 'secret-not-found' })
  })
})

describe('the environment as the provider', () => {
  beforeEach(() => {
    machine.provider = 'environment'
    machine.secrets.set('a', 'of the store')
    machine.variables.set('TOOLHIVE_SECRET_b', 'of the environment')
    machine.variables.set('TOOLHIVE_SECRET_empty', '')
  })

  it('is read, by the name as it is', async () => {
    expect(await getSecret({ ...secrets, fallsBack: false }, 'b', signal)).toBe('of the environment')
    for (const name of ['a', 'B', 'empty']) {
      await expect(getSecret(secrets, name, signal)).rejects.toMatchObject({ code: 'secret-not-found' })
    }
  })

  it('is not written and not listed', async () => {
    const readOnly = { code: 'secrets-read-only' }
    await expect(listSecrets(secrets, signal)).rejects.toMatchObject(readOnly)
    const saving = setSecret(secrets, { name: 'a', value: '1', when: 'any' }, signal)
    await expect(saving).rejects.toMatchObject(readOnly)
    await expect(deleteSecret(secrets, 'a', signal)).rejects.toMatchObject(readOnly)
  })
})

it('1Password is said not to be supported', async () => {
  machine.provider = '1password'
  await expect(getSecret(secrets, 'a', signal)).rejects.toMatchObject({ code: 'not-implemented' })
})

describe('a set-up', () => {
  let unlocked: string[]
  const setUp = async (provider: string, password?: string): Promise<boolean> => {
    const store: EncryptedSecretStore = {
      ...secrets.store,
      unlock: async (word) => void unlocked.push(word),
      isNew: async () => true,
      forgetPassword: async () => true,
    }
    const deps = {
      secrets: { ...secrets, store },
      saveProvider: async (chosen: NonNullable<FakeMachine['provider']>) => {
        machine.provider = chosen
      },
    }
    return await setUpSecrets(deps, { provider, ...(password === undefined ? {} : { password }) }, signal)
  }
  beforeEach(() => {
    unlocked = []
    machine.provider = undefined
  })

  it('proves that the store works, and leaves nothing in it', async () => {
    expect(await setUp('encrypted', 'p')).toBe(false)
    expect([unlocked, machine.provider, machine.secrets.size]).toEqual([['p'], 'encrypted', 0])
    expect(await setUp('environment')).toBe(true)
    expect([unlocked, machine.provider]).toEqual([['p'], 'environment'])
  })

  it.each([
    ['', 'invalid-argument'],
    ['vault', 'invalid-argument'],
    ['1password', 'not-implemented'],
  ])('of %j is refused and changes nothing', async (provider, code) => {
    await expect(setUp(provider)).rejects.toMatchObject({ code })
    expect(machine.provider).toBeUndefined()
  })

  it('of a store that does not work changes nothing', async () => {
    secrets = { ...secrets, store: { ...secrets.store, get: async () => undefined } }
    await expect(setUp('encrypted')).rejects.toMatchObject({ code: 'secrets-corrupt' })
    expect(machine.provider).toBeUndefined()
  })
})
