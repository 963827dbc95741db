import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readdir, readFile, rename, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createEntry, openEntry, removeLeftovers } from './cache-entry.ts'
import { entryDirectory, kindDirectory } from './cache-layout.ts'
import { removeTemporaryDirectories, temporaryDirectory } from './fixtures/temporary.ts'
import { manifestFile } from './manifest.ts'
import { createPackageCache } from './package-cache.ts'

removeTemporaryDirectories()
const never = new AbortController().signal
const wanted = { kind: 'npx', name: '@scope/tool', version: '1.0.0' } as const
const posix = process.platform !== 'win32'

async function make(cache: string, content = 'x', version: string = wanted.version) {
  return await createEntry(
    cache,
    { ...wanted, version },
    async (directory) => {
      await writeFile(join(directory, 'program.js'), content)
      return { command: ['$node', './program.js'], integrity: 'sha512-a' }
    },
    never,
  )
}

describe('an installed version', () => {
  it('is there completely, with its size', async () => {
    const cache = await temporaryDirectory()
    expect(await openEntry(cache, wanted)).toBeUndefined()
    const made = await make(cache, 'x'.repeat(100))
    expect(await openEntry(cache, wanted)).toEqual(made)
    expect(made).toMatchObject({ ...wanted, integrity: 'sha512-a', bytes: 100 })
    expect(await readdir(kindDirectory(cache, 'npx'))).toEqual(['@scope+tool@1.0.0'])
  })

  it('is not there when its install fails, and nothing is left', async () => {
    const cache = await temporaryDirectory()
    const failing = createEntry(
      cache,
      wanted,
      async (directory) => {
        await writeFile(join(directory, 'half'), '')
        throw new Error('broken')
      },
      never,
    )
    await expect(failing).rejects.toThrow('broken')
    expect(await openEntry(cache, wanted)).toBeUndefined()
    expect(await readdir(kindDirectory(cache, 'npx'))).toEqual([])
  })

  it('made twice at the same time is there once, for both', async () => {
    const cache = await temporaryDirectory()
    const made = await Promise.all(['a', 'b', 'c', 'd'].map(async (content) => await make(cache, content)))
    expect(new Set(made.map((one) => one.installedAt)).size).toBe(1)
    expect(await readdir(kindDirectory(cache, 'npx'))).toEqual(['@scope+tool@1.0.0'])
  })

  it('takes the place of something that is none', async () => {
    const cache = await temporaryDirectory()
    const directory = entryDirectory(cache, wanted)
    await mkdir(join(directory, 'rubbish'), { recursive: true, mode: 0o700 })
    await make(cache)
    expect((await readdir(directory)).sort()).toEqual(['program.js', manifestFile])
    expect(await readdir(kindDirectory(cache, 'npx'))).toEqual(['@scope+tool@1.0.0'])
  })
})

describe.runIf(posix)('a directory that others may have made is not trusted', () => {
  it('when it is a link', async () => {
    const cache = await temporaryDirectory()
    await make(cache)
    const directory = entryDirectory(cache, wanted)
    await rename(directory, join(cache, 'elsewhere'))
    await symlink(join(cache, 'elsewhere'), directory)
    expect(await openEntry(cache, wanted)).toBeUndefined()
  })

  it('when others can write to it or to its manifest', async () => {
    const cache = await temporaryDirectory()
    await make(cache)
    const directory = entryDirectory(cache, wanted)
    await chmod(join(directory, manifestFile), 0o622)
    expect(await openEntry(cache, wanted)).toBeUndefined()
    await chmod(join(directory, manifestFile), 0o600)
    expect(await openEntry(cache, wanted)).toBeDefined()
    await chmod(directory, 0o777)
    expect(await openEntry(cache, wanted)).toBeUndefined()
  })

  it('when its manifest is a link, too large, or of another package', async () => {
    const cache = await temporaryDirectory()
    await make(cache)
    const path = join(entryDirectory(cache, wanted), manifestFile)
    const text = await readFile(path, 'utf8')
    await writeFile(path, `${text}${' '.repeat(70_000)}`)
    expect(await openEntry(cache, wanted)).toBeUndefined()
    await writeFile(path, text.replace('1.0.0', '1.0.1'))
    expect(await openEntry(cache, wanted)).toBeUndefined()
    await rename(path, join(cache, 'manifest'))
    await writeFile(join(cache, 'manifest'), text)
    await symlink(join(cache, 'manifest'), path)
    expect(await openEntry(cache, wanted)).toBeUndefined()
  })

  it('when the cache itself can be written by everyone', async () => {
    const cache = await temporaryDirectory()
    await mkdir(kindDirectory(cache, 'npx'), { recursive: true })
    await chmod(kindDirectory(cache, 'npx'), 0o777)
    await expect(make(cache)).rejects.toMatchObject({ code: 'state-denied' })
  })
})

describe('leftovers', () => {
  it('of the dead and of long ago are removed, those of the living stay', async () => {
    const cache = await temporaryDirectory()
    const directory = kindDirectory(cache, 'npx')
    const child = spawn(process.execPath, ['-e', ''])
    await once(child, 'exit')
    const names = [
      `a@1.tmp-${child.pid}-00000000`,
      `b@1.tmp-${process.pid}-00000000`,
      `c@1.tmp-${process.pid}-11111111`,
    ]
    for (const name of names) await mkdir(join(directory, name, 'node_modules'), { recursive: true })
    const old = new Date(Date.now() - 2 * 60 * 60 * 1000)
    await utimes(join(directory, names[2] ?? ''), old, old)
    expect(await removeLeftovers(directory)).toBe(2)
    expect(await readdir(directory)).toEqual([names[1]])
  })
})

describe('the package cache', () => {
  it('lists what is installed and nothing else', async () => {
    const cache = await temporaryDirectory()
    expect(await createPackageCache({ cacheDirectory: cache }).list()).toEqual([])
    await make(cache, 'x'.repeat(10))
    await make(cache, 'x'.repeat(20), '2.0.0')
    await mkdir(join(kindDirectory(cache, 'npx'), 'no-manifest@1.0.0'))
    await rename(
      entryDirectory(cache, { ...wanted, version: '2.0.0' }),
      join(kindDirectory(cache, 'npx'), 'wrong-name@2.0.0'),
    )
    const listed = await createPackageCache({ cacheDirectory: cache }).list()
    expect(listed).toEqual([
      { ...wanted, integrity: 'sha512-a', bytes: 10, lastUsed: expect.any(Date), path: entryDirectory(cache, wanted) },
    ])
  })

  it('forgets what is not kept', async () => {
    const cache = await temporaryDirectory()
    await make(cache)
    await make(cache, 'y', '2.0.0')
    const packages = createPackageCache({ cacheDirectory: cache })
    const removed = await packages.prune((one) => one.version === '2.0.0', never)
    expect(removed.map((one) => one.version)).toEqual(['1.0.0'])
    expect((await packages.list()).map((one) => one.version)).toEqual(['2.0.0'])
    expect(await readdir(kindDirectory(cache, 'npx'))).toEqual(['@scope+tool@2.0.0'])
  })
})
