import { stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { limits, ThvError, type ResolvedPackage } from '@thv/core'
import { describe, expect, it } from 'vitest'
import { entryDirectory } from './cache-layout.ts'
import type { Ecosystem } from './ecosystem.ts'
import { removeTemporaryDirectories, temporaryDirectory } from './fixtures/temporary.ts'
import { createInstaller } from './installer.ts'
import { manifestFile } from './manifest.ts'

removeTemporaryDirectories()
const never = new AbortController().signal
const start = Date.parse('2026-01-01T00:00:00Z')

async function setUp() {
  const cacheDirectory = await temporaryDirectory()
  const index = { answer: '1.0.0' as string | ThvError, asked: 0, built: 0, integrity: 'sha512-good' }
  let now = start
  const ecosystem: Ecosystem = {
    kind: 'npx',
    tool: 'fake',
    isExact: (version) => /^\d+\.\d+\.\d+$/.test(version),
    async ask(source): Promise<ResolvedPackage> {
      index.asked += 1
      if (index.answer instanceof ThvError) throw index.answer
      return { kind: 'npx', name: source.name, version: index.answer, integrity: 'sha512-good' }
    },
    async build(_resolved, directory) {
      index.built += 1
      await writeFile(join(directory, 'main.js'), '')
      return { command: ['$node', './main.js'], integrity: index.integrity }
    },
  }
  const installer = createInstaller(ecosystem, { cacheDirectory, environment: {}, now: () => new Date(now) })
  const source = { kind: 'npx', name: 'tool', version: undefined } as const
  return {
    cacheDirectory,
    index,
    installer,
    source,
    wait(this: void, ms: number) {
      now += ms
    },
  }
}

const unreachable = new ThvError('package-index-unreachable', 'no network')

describe('the version of a package', () => {
  it('is asked for once a day', async () => {
    const { index, installer, source, wait } = await setUp()
    expect((await installer.resolve(source, never)).version).toBe('1.0.0')
    index.answer = '2.0.0'
    wait(limits.packageTagMs - 1)
    expect((await installer.resolve(source, never)).version).toBe('1.0.0')
    expect(index.asked).toBe(1)
    wait(1)
    expect(await installer.resolve(source, never)).toEqual({
      kind: 'npx',
      name: 'tool',
      version: '2.0.0',
      integrity: 'sha512-good',
    })
  })

  it('is asked for again when the remembered answer comes from the future', async () => {
    const { index, installer, source, wait } = await setUp()
    await installer.resolve(source, never)
    wait(-1000)
    await installer.resolve(source, never)
    expect(index.asked).toBe(2)
  })

  it('is the remembered one when the index cannot be reached, and only then', async () => {
    const { index, installer, source, wait } = await setUp()
    await installer.resolve(source, never)
    wait(2 * limits.packageTagMs)
    index.answer = unreachable
    expect((await installer.resolve(source, never)).version).toBe('1.0.0')
    index.answer = new ThvError('package-not-found', 'unpublished')
    await expect(installer.resolve(source, never)).rejects.toMatchObject({ code: 'package-not-found' })
    index.answer = unreachable
    await expect(installer.resolve({ ...source, name: 'other' }, never)).rejects.toBe(unreachable)
  })

  it('is remembered for each range by itself', async () => {
    const { index, installer, source } = await setUp()
    await installer.resolve(source, never)
    index.answer = '0.9.0'
    expect((await installer.resolve({ ...source, version: '^0.9.0' }, never)).version).toBe('0.9.0')
    expect((await installer.resolve(source, never)).version).toBe('1.0.0')
  })

  it('that is exact and installed needs no index', async () => {
    const { index, installer, source } = await setUp()
    index.answer = unreachable
    await expect(installer.resolve({ ...source, version: '1.0.0' }, never)).rejects.toBe(unreachable)
    await installer.install({ kind: 'npx', name: 'tool', version: '1.0.0' }, () => {}, never)
    expect(await installer.resolve({ ...source, version: '1.0.0' }, never)).toEqual({
      kind: 'npx',
      name: 'tool',
      version: '1.0.0',
      integrity: 'sha512-good',
    })
  })
})

describe('an install', () => {
  const resolved = { kind: 'npx', name: 'tool', version: '1.0.0' } as const

  it('happens once, and later ones note the use', async () => {
    const { cacheDirectory, index, installer } = await setUp()
    const lines: string[] = []
    const first = await installer.install(resolved, (line) => void lines.push(line), never)
    const manifest = join(entryDirectory(cacheDirectory, resolved), manifestFile)
    await utimes(manifest, new Date(0), new Date(0))
    expect(await installer.install(resolved, (line) => void lines.push(line), never)).toEqual(first)
    expect(index.built).toBe(1)
    expect(lines).toEqual(['installing tool@1.0.0 (fake)'])
    expect((await stat(manifest)).mtimeMs).toBeGreaterThan(0)
    expect(first.command).toEqual([process.execPath, join(entryDirectory(cacheDirectory, resolved), 'main.js')])
  })

  it('of other content than was resolved is refused, new or cached', async () => {
    const { index, installer } = await setUp()
    index.integrity = 'sha512-evil'
    const wanted = { ...resolved, integrity: 'sha512-good' }
    await expect(installer.install(wanted, () => {}, never)).rejects.toMatchObject({ code: 'package-install-failed' })
    await installer.install(resolved, () => {}, never)
    await expect(installer.install(wanted, () => {}, never)).rejects.toMatchObject({ code: 'package-install-failed' })
  })
})
