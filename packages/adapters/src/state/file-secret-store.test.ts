import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { EncryptedSecretStore, PasswordKeeper } from '@thv/core'
import { testSecretStore } from '@thv/core/contracts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createFileSecretStore, type FileSecretStoreOptions } from './file-secret-store.ts'
import { withTinyDisk } from './fixtures/as-root.ts'
import { liveProcesses as processes } from './fixtures/live-processes.ts'
import { namesIn, resultOf, runFixture, scratchDirectory } from './fixtures/scratch.ts'
import { openSecrets, sealSecrets } from './secret-cipher.ts'

const { signal } = new AbortController()

const literal =
  'AAECAwQFBgcICQoLdOWPBWg2BlWa1jnJXTlMxflPnq4nmEL7ATo0SeujhP4cJ+MW0QsjBPLLOT3VVe5JgemyBW1ly3' +
  'hEH27VzJ+FcGFLqtoibbZzDlAmpEF3qWyVvqsur44GshSbfHv4Ttjz4wMOIdSr4uOfTh09'

testSecretStore('an encrypted file', async () => {
  const dataDirectory = scratchDirectory()
  const keeper = memoryKeeper()
  return await Promise.resolve({ open: () => createFileSecretStore({ dataDirectory, processes, keepers: [keeper] }) })
})

describe('the file', () => {
  it('is read as ToolHive wrote it: a literal', async () => {
    // Sealed once by Python's cryptography: key SHA-256('correct horse'), nonce 00 01 … 0b, text as Go escapes it.
    const { store } = place(Buffer.from(literal, 'base64'), 'correct horse')
    expect(await store.list(signal)).toEqual(['__thv_workloads_BEARER_TOKEN_notes', 'github'])
    expect(await store.get('github', signal)).toBe('ghp_<&>é')
  })

  it('is what ToolHive reads: nonce, ciphertext, tag, under the SHA-256 of the password', async () => {
    const { store, path } = place(undefined, 'correct horse')
    await store.update(
      () =>
        new Map([
          ['b', '2'],
          ['a', '1'],
        ]),
      signal,
    )
    expect(unseal(readFileSync(path), 'correct horse')).toBe('{"secrets":{"a":"1","b":"2"}}')
    expect(statSync(path).mode & 0o777).toBe(process.platform === 'win32' ? 0o666 : 0o600)
  })

  it('keeps what another version has put beside the secrets', async () => {
    const { store, path } = place(seal('{"secrets":{"a":"1"},"more":{"x":[1]}}', 'p'), 'p')
    await store.update(() => new Map([['b', '2']]), signal)
    expect(JSON.parse(unseal(readFileSync(path), 'p'))).toEqual({ secrets: { a: '1', b: '2' }, more: { x: [1] } })
  })

  it('is sealed with another nonce each time', async () => {
    const { store, path } = place(undefined, 'p')
    const nonces = new Set<string>()
    for (const value of ['1', '2', '1']) {
      await store.update(() => new Map([['a', value]]), signal)
      nonces.add(readFileSync(path).toString('hex', 0, 12))
    }
    expect(nonces.size).toBe(3)
  })

  it.each([
    ['no file', undefined],
    ['an empty file', Buffer.alloc(0)],
    ['null, as Go writes no map', seal('{"secrets":null}', 'p')],
  ])('with %s holds nothing, and can be written', async (_, bytes) => {
    const { store } = place(bytes, 'p')
    expect(await store.list(signal)).toEqual([])
    await store.update(() => new Map([['a', '1']]), signal)
    expect(await store.get('a', signal)).toBe('1')
  })
})

describe('what is not ours', () => {
  it.each([
    ['cut off', Buffer.from('short')],
    ['no JSON', seal('secrets', 'p')],
    ['a list of secrets', seal('{"secrets":["a"]}', 'p')],
    ['a secret that is no text', seal('{"secrets":{"a":1}}', 'p')],
    ['no UTF-8', seal(Buffer.from([0x7b, 0xff, 0x7d]), 'p')],
  ])('%s is secrets-corrupt, and never written over', async (_, bytes) => {
    const { store, path } = place(bytes, 'p')
    await expect(store.get('a', signal)).rejects.toMatchObject({ code: 'secrets-corrupt' })
    await expect(store.update(() => new Map([['a', '1']]), signal)).rejects.toMatchObject({ code: 'secrets-corrupt' })
    await expect(store.unlock('p', signal)).rejects.toMatchObject({ code: 'secrets-corrupt' })
    expect(readFileSync(path)).toEqual(bytes)
  })

  it.each([
    ['a link', (path: string) => symlinkSync('/etc/hostname', path)],
    ['a directory', (path: string) => mkdirSync(path)],
    [
      'what others can read',
      (path: string) => {
        writeFileSync(path, seal('{"secrets":{}}', 'p'))
        chmodSync(path, 0o644)
      },
    ],
    [
      'more than 32 MiB',
      (path: string) => {
        writeFileSync(path, '', { mode: 0o600 })
        truncateSync(path, 32 * 1024 * 1024 + 1)
      },
    ],
  ])('%s is secrets-corrupt', async (_, make) => {
    const { store, path } = place(undefined, 'p')
    make(path)
    await expect(store.list(signal)).rejects.toMatchObject({ code: 'secrets-corrupt' })
    await expect(store.update(() => new Map([['a', '1']]), signal)).rejects.toMatchObject({ code: 'secrets-corrupt' })
  })

  it('any changed byte is secrets-denied, and no error tells of what is inside', async () => {
    const sealed = seal('{"secrets":{"a":"hidden-value"}}', 'p')
    await fc.assert(
      fc.asyncProperty(fc.nat(sealed.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const changed = Buffer.from(sealed)
        changed[at] = (changed[at] ?? 0) ^ flip
        const { store, path } = place(changed, 'p')
        const error: unknown = await store.get('a', signal).catch((thrown: unknown) => thrown)
        expect(error).toMatchObject({ code: 'secrets-denied' })
        expect(String(error)).toContain('unable to decrypt secrets file')
        expect(JSON.stringify(error) + String(error)).not.toContain('hidden')
        expect(readFileSync(path)).toEqual(changed)
      }),
      { numRuns: 50 },
    )
  })
})

describe('sealing', () => {
  it('gives back what was sealed', () => {
    const name = fc.string({ unit: 'binary' })
    fc.assert(
      fc.property(fc.dictionary(name, name), name, (entries, password) => {
        const secrets = new Map(Object.entries(entries))
        expect(openSecrets(sealSecrets({ secrets, others: {} }, password), password)).toEqual({ secrets, others: {} })
      }),
    )
  })
})

describe('the password', () => {
  it('is made for a new file, and kept before anything is sealed', async () => {
    const keeper = memoryKeeper()
    const { store, path } = placeWith(undefined, { keepers: [keeper] })
    const keep = keeper.keep.bind(keeper)
    keeper.keep = async (password, s) => {
      expect(namesIn(join(path, '..')).filter((name) => name === 'secrets_encrypted')).toEqual([])
      return await keep(password, s)
    }
    await store.update(() => new Map([['a', '1']]), signal)
    expect(keeper.kept).toMatch(/^[\w-]{43}$/)
    expect(unseal(readFileSync(path), keeper.kept ?? '')).toContain('"a"')
  })

  it('is never made for a file that is there', async () => {
    const keeper = memoryKeeper()
    const { store } = placeWith(seal('{"secrets":{}}', 'p'), { keepers: [keeper] })
    await expect(store.update(() => new Map([['a', '1']]), signal)).rejects.toMatchObject({
      code: 'secrets-locked-away',
      message: expect.stringContaining('a test has none'),
    })
    expect(keeper.kept).toBeUndefined()
  })

  it('is that of the first keeper whose one opens the file', async () => {
    const keepers = [memoryKeeper(), memoryKeeper('other'), memoryKeeper('p')]
    const { store } = placeWith(seal('{"secrets":{"a":"1"}}', 'p'), { keepers })
    expect(await store.get('a', signal)).toBe('1')
    expect(keepers.map(({ kept }) => kept)).toEqual([undefined, 'other', 'p'])
  })

  it('of the environment is the only one that counts', async () => {
    const sealed = seal('{"secrets":{"a":"1"}}', 'p')
    const wrong = placeWith(sealed, { givenPassword: 'q', keepers: [memoryKeeper('p')] })
    await expect(wrong.store.get('a', signal)).rejects.toMatchObject({ code: 'secrets-denied' })
    const keeper = memoryKeeper()
    const right = placeWith(sealed, { givenPassword: 'p', keepers: [keeper] })
    expect(await right.store.get('a', signal)).toBe('1')
    expect(keeper.kept).toBeUndefined()
  })

  it('that no place can keep is secrets-locked-away, and nothing is written', async () => {
    const { store, path } = placeWith(undefined, { keepers: [] })
    await expect(store.update(() => new Map([['a', '1']]), signal)).rejects.toMatchObject({
      code: 'secrets-locked-away',
    })
    expect(namesIn(join(path, '..'))).toEqual([])
  })

  it('can be told: of a new store, and of one that it opens', async () => {
    const keeper = memoryKeeper()
    const { store, path } = placeWith(undefined, { keepers: [keeper] })
    expect(await store.isNew()).toBe(true)
    await store.unlock('first', signal)
    expect(await store.isNew()).toBe(false)
    expect(unseal(readFileSync(path), 'first')).toBe('{"secrets":{}}')
    await expect(store.unlock('second', signal)).rejects.toMatchObject({ code: 'secrets-denied' })
    expect(keeper.kept).toBe('first')
  })

  it('may be another one after the file was replaced', async () => {
    const keeper = memoryKeeper('p')
    const { store, path } = placeWith(seal('{"secrets":{"a":"1"}}', 'p'), { keepers: [keeper] })
    expect(await store.get('a', signal)).toBe('1')
    writeFileSync(path, seal('{"secrets":{"a":"2"}}', 'q'))
    keeper.kept = 'q'
    expect(await store.get('a', signal)).toBe('2')
  })
})

describe('several processes', () => {
  it('never lose a change of each other, and never tear the file, however often they are killed', async () => {
    const { store, path } = place(undefined, 'p')
    const dataDirectory = join(path, '..')
    const slots = ['a', 'b']
    await Promise.all(slots.map((slot) => countUntilDone(dataDirectory, slot)))
    expect(await store.list(signal)).toEqual(slots)
    for (const slot of slots) expect(await store.get(slot, signal)).toBe('8')
    await store.update(() => new Map([['last', '1']]), signal)
    expect(namesIn(dataDirectory)).toEqual(['secrets_encrypted'])
  }, 120_000)
})

it('a full disk is state-full and changes nothing', async (context) => {
  const dataDirectory = join(scratchDirectory(), 'disk')
  await withTinyDisk(context, dataDirectory, async () => {
    const store = createFileSecretStore({ dataDirectory, processes, givenPassword: 'p', keepers: [] })
    await store.update(() => new Map([['a', '1']]), signal)
    const before = readFileSync(join(dataDirectory, 'secrets_encrypted'))
    const large = new Map([['b', 'x'.repeat(100_000)]])
    await expect(store.update(() => large, signal)).rejects.toMatchObject({ code: 'state-full' })
    expect(readFileSync(join(dataDirectory, 'secrets_encrypted'))).toEqual(before)
  })
})

async function countUntilDone(dataDirectory: string, slot: string): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) {
    const { output, signal: end } = await resultOf(runFixture('count-secret.ts', [dataDirectory, slot, '8', '200']))
    if (output === 'done') return
    expect(end).toBe('SIGKILL')
  }
}

interface MemoryKeeper extends PasswordKeeper {
  kept: string | undefined
}

function memoryKeeper(kept?: string): MemoryKeeper {
  const keeper: MemoryKeeper = {
    name: 'a test',
    kept,
    read: async () => await Promise.resolve(keeper.kept === undefined ? {} : { password: keeper.kept }),
    keep: async (password) => {
      keeper.kept = password
      return await Promise.resolve(true)
    },
    forget: async () => {
      const was = keeper.kept !== undefined
      keeper.kept = undefined
      return await Promise.resolve(was)
    },
  }
  return keeper
}

type Placed = { store: EncryptedSecretStore; path: string }

function place(bytes: Buffer | undefined, givenPassword: string): Placed {
  return placeWith(bytes, { givenPassword, keepers: [] })
}

function placeWith(
  bytes: Buffer | undefined,
  options: Omit<FileSecretStoreOptions, 'dataDirectory' | 'processes'>,
): Placed {
  const dataDirectory = scratchDirectory()
  const path = join(dataDirectory, 'secrets_encrypted')
  if (bytes !== undefined) writeFileSync(path, bytes, { mode: 0o600 })
  return { store: createFileSecretStore({ ...options, dataDirectory, processes }), path }
}

/** The format once more, by hand. */
function seal(text: string | Buffer, password: string, nonce = randomBytes(12)): Buffer {
  const cipher = createCipheriv('aes-256-gcm', createHash('sha256').update(password).digest(), nonce)
  return Buffer.concat([nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()])
}

function unseal(sealed: Buffer, password: string): string {
  const key = createHash('sha256').update(password).digest()
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12))
  decipher.setAuthTag(sealed.subarray(-16))
  return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]).toString()
}
