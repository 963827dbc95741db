import { describe, expect, it } from 'vitest'
import { initializeServer } from './fixtures/initialize.ts'
import { hasTool } from './fixtures/required-tool.ts'
import { removeTemporaryDirectories, temporaryDirectory } from './fixtures/temporary.ts'
import { goFailure, modulePaths, parseGoList } from './go-index.ts'
import { createGoInstaller, isExactGoVersion, parseModuleSum } from './go-installer.ts'
import { createPackageCache } from './package-cache.ts'

removeTemporaryDirectories()
const never = new AbortController().signal
const nothing = () => {}
const available = await hasTool('go')
const server = 'github.com/modelcontextprotocol/go-sdk/examples/server/hello'

function source(name: string, version?: string) {
  return { kind: 'go', name, version } as const
}

describe.runIf(available)('a Go program', { timeout: 300_000 }, () => {
  it('below its module is built and starts; the second time neither Go nor the network is needed', async () => {
    const cacheDirectory = await temporaryDirectory()
    const installer = createGoInstaller({ cacheDirectory, environment: process.env })
    const resolved = await installer.resolve(source(server, 'latest'), never)
    expect(resolved.version).toMatch(/^v\d+\.\d+\.\d+$/)
    const installed = await installer.install(resolved, nothing, never)
    expect(installed.resolved).toMatchObject({ ...resolved, integrity: expect.stringMatching(/^h1:/) })
    expect(await initializeServer(installed.command, cacheDirectory)).toBe('greeter')

    const later = createGoInstaller({ cacheDirectory, environment: { PATH: '/nowhere' } })
    expect(await later.resolve(source(server, resolved.version), never)).toEqual(installed.resolved)
    expect(await later.install(resolved, nothing, never)).toEqual(installed)
    expect(await createPackageCache({ cacheDirectory }).list()).toMatchObject([{ ...installed.resolved }])
  })

  it('that does not exist is not found, a library has no command', async () => {
    const cacheDirectory = await temporaryDirectory()
    const installer = createGoInstaller({ cacheDirectory, environment: process.env })
    await expect(
      installer.resolve(source('github.com/modelcontextprotocol/no-such-0c1d2e3f'), never),
    ).rejects.toMatchObject({
      code: 'package-not-found',
    })
    await expect(installer.resolve(source(server, 'v0.77.0'), never)).rejects.toMatchObject({
      code: 'package-version-not-found',
      hint: expect.stringMatching(/^the newest is v/),
    })
    const library = await installer.resolve(source('github.com/google/uuid', 'v1.6.0'), never)
    await expect(installer.install(library, nothing, never)).rejects.toMatchObject({ code: 'package-has-no-command' })
  })

  it('without network is an unreachable index', async () => {
    const installer = createGoInstaller({
      cacheDirectory: await temporaryDirectory(),
      environment: { ...process.env, GOPROXY: 'http://127.0.0.1:9' },
    })
    await expect(installer.resolve(source(server), never)).rejects.toMatchObject({ code: 'package-index-unreachable' })
  })
})

describe('Go', () => {
  it('that is missing is a missing tool', async () => {
    const installer = createGoInstaller({
      cacheDirectory: await temporaryDirectory(),
      environment: { PATH: '/nowhere' },
    })
    await expect(installer.resolve(source('example.test/x'), never)).rejects.toMatchObject({
      code: 'package-tool-missing',
    })
  })

  it('is asked for every leading part of a path that can be a module', () => {
    expect(modulePaths('github.com/o/r/cmd/x')).toEqual([
      'github.com/o/r/cmd/x',
      'github.com/o/r/cmd',
      'github.com/o/r',
    ])
    expect(modulePaths('example.test/x/y')).toEqual(['example.test/x/y', 'example.test/x'])
    expect(modulePaths('github.com/o')).toEqual(['github.com/o'])
  })

  it('answers for the longest module, and with an error for the others', () => {
    const text = `{\n\t"Path": "a/b/c",\n\t"Error": {\n\t\t"Err": "gone"\n\t}\n}\n{\n\t"Path": "a/b",\n\t"Version": "v1.2.0"\n}\n{\n\t"Path": "a",\n\t"Version": "v9.0.0"\n}\n`
    expect(parseGoList(text)).toEqual({ version: 'v1.2.0', errors: ['gone'] })
    expect(parseGoList('')).toEqual({ version: undefined, errors: [] })
  })

  it.each([
    [['module x: 404 Not Found', 'dial tcp: connection refused'], 'package-not-found'],
    [['dial tcp 1.2.3.4: connection refused', 'Could not resolve host: h'], 'package-index-unreachable'],
    [['module x found (v1), but does not contain package x/y'], 'package-not-found'],
    [['package x is not a main package'], 'package-has-no-command'],
    [['x.go:3: undefined: y'], 'package-install-failed'],
  ])('that says %j means %s', (messages, code) => {
    expect(goFailure({ name: 'x' }, messages, { code: 1, output: '', errors: '', late: false }).code).toBe(code)
  })

  it('states the checksum of a program', () => {
    expect(parseModuleSum('x: go1.26\n\tpath\ta/b/c\n\tmod\ta/b\tv1.0.0\th1:abc=\n\tdep\tz\tv1\th1:zzz=\n')).toBe(
      'h1:abc=',
    )
    expect(parseModuleSum('')).toBeUndefined()
  })

  it.each([
    ['v1.2.3', true],
    ['v0.0.0-20240101000000-abcdefabcdef', true],
    ['v2.0.0+incompatible', true],
    ['latest', false],
    ['v1', false],
    ['1.2.3', false],
    ['main', false],
  ])('%s exact: %s', (version, exact) => {
    expect(isExactGoVersion(version)).toBe(exact)
  })
})
