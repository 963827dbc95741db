import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { initializeServer } from './fixtures/initialize.ts'
import { hasTool } from './fixtures/required-tool.ts'
import { removeTemporaryDirectories, temporaryDirectory } from './fixtures/temporary.ts'
import { createPackageCache } from './package-cache.ts'
import { parseEntryPoints } from './python-metadata.ts'
import { choosePythonScript, createUvInstaller, isExactPythonVersion } from './uv-installer.ts'
import { uvFailure } from './uv-failure.ts'

removeTemporaryDirectories()
const never = new AbortController().signal
const nothing = () => {}
const available = await hasTool('uv')

function source(name: string, version?: string) {
  return { kind: 'uvx', name, version } as const
}

describe.runIf(available)('a Python package', { timeout: 180_000 }, () => {
  it('is installed and starts; the second time neither uv nor the network is needed', async () => {
    const cacheDirectory = join(await temporaryDirectory(), 'cache')
    const installer = createUvInstaller({ cacheDirectory, environment: process.env })
    const resolved = await installer.resolve(source('mcp-server-time'), never)
    const installed = await installer.install(resolved, nothing, never)
    expect(await initializeServer(installed.command, cacheDirectory)).toBe('mcp-time')

    const later = createUvInstaller({ cacheDirectory, environment: { PATH: '/nowhere' } })
    expect(await later.resolve(source('mcp-server-time'), never)).toEqual(resolved)
    expect(await later.resolve(source('mcp-server-time', resolved.version), never)).toEqual(resolved)
    expect(await later.install(resolved, nothing, never)).toEqual(installed)
    expect(await createPackageCache({ cacheDirectory }).list()).toMatchObject([{ ...resolved }])

    // A cache that moves still works.
    await rename(cacheDirectory, `${cacheDirectory}-moved`)
    const moved = createUvInstaller({ cacheDirectory: `${cacheDirectory}-moved`, environment: {} })
    const { command } = await moved.install(resolved, nothing, never)
    expect(await initializeServer(command, `${cacheDirectory}-moved`)).toBe('mcp-time')
  })

  it('that does not exist is not found, nor is a missing version', async () => {
    const installer = createUvInstaller({ cacheDirectory: await temporaryDirectory(), environment: process.env })
    await expect(installer.resolve(source('thv-no-such-package-0c1d2e3f'), never)).rejects.toMatchObject({
      code: 'package-not-found',
    })
    await expect(installer.resolve(source('mcp-server-time', '0.0.77'), never)).rejects.toMatchObject({
      code: 'package-version-not-found',
    })
  })

  it('without network is an unreachable index, without Python a missing tool', async () => {
    const cacheDirectory = await temporaryDirectory()
    const offline = createUvInstaller({
      cacheDirectory,
      environment: {
        ...process.env,
        UV_DEFAULT_INDEX: 'http://127.0.0.1:9/simple',
        UV_HTTP_RETRIES: '0',
        UV_NO_CACHE: '1',
      },
    })
    await expect(offline.resolve(source('mcp-server-time'), never)).rejects.toMatchObject({
      code: 'package-index-unreachable',
    })
    const bare = createUvInstaller({
      cacheDirectory,
      environment: { ...process.env, UV_PYTHON: '3.99', UV_PYTHON_PREFERENCE: 'only-system' },
    })
    await expect(
      bare.install({ kind: 'uvx', name: 'mcp-server-time', version: '1.0.0' }, nothing, never),
    ).rejects.toMatchObject({ code: 'package-tool-missing' })
  })
})

describe('uv', () => {
  it('that is missing is a missing tool', async () => {
    const installer = createUvInstaller({
      cacheDirectory: await temporaryDirectory(),
      environment: { PATH: '/nowhere' },
    })
    await expect(installer.resolve(source('x'), never)).rejects.toMatchObject({ code: 'package-tool-missing' })
  })

  it.each([
    ['Because x was not found in the package registry and you require x', 'package-not-found'],
    ['Because there is no version of x==9 and you require x==9', 'package-version-not-found'],
    ['error: Failed to fetch: `x`\n  cause: tcp connect error', 'package-index-unreachable'],
    ['error: No interpreter found for Python 3.99 in managed installations', 'package-tool-missing'],
    ['error: the build failed', 'package-install-failed'],
  ])('that says "%s" means %s', (errors, code) => {
    expect(uvFailure({ name: 'x' }, { code: 1, output: '', errors, late: false }).code).toBe(code)
  })
})

describe('the program of a Python package', () => {
  it('is read from its entry points', () => {
    expect(
      parseEntryPoints('[other]\na = b:c\n\n[console_scripts]\none = m:f\ntwo=m:g\n[gui_scripts]\nx = y:z\n'),
    ).toEqual(['one', 'two'])
  })

  it('is the one named like it, or the only one', () => {
    expect(choosePythonScript('a-b', ['x', 'a-b'])).toBe('a-b')
    expect(choosePythonScript('A.b[extra]', ['x', 'a_b'])).toBe('a_b')
    expect(choosePythonScript('a', ['x'])).toBe('x')
    expect(() => choosePythonScript('a', ['x', 'y'])).toThrow(/several programs.*: x, y/)
    expect(() => choosePythonScript('a', [])).toThrow(/library/)
  })

  it.each(['1', '1.2.3', '1.0rc1', '1.0.post1', '1!2.0', '2.0+local.1'])('has the exact version %s', (version) => {
    expect(isExactPythonVersion(version)).toBe(true)
  })
  it.each(['>=1', '1.*', 'latest', '~=1.0', ''])('has no exact version %j', (version) => {
    expect(isExactPythonVersion(version)).toBe(false)
  })
})
