import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { kindDirectory } from './cache-layout.ts'
import { initializeServer } from './fixtures/initialize.ts'
import { removeTemporaryDirectories, temporaryDirectory } from './fixtures/temporary.ts'
import { createNpmInstaller } from './npm-installer.ts'
import { createPackageCache } from './package-cache.ts'

removeTemporaryDirectories()
const never = new AbortController().signal
const server = '@modelcontextprotocol/server-memory'
const nothing = () => {}

function source(name: string, version?: string) {
  return { kind: 'npx', name, version } as const
}

/** An installer whose npm cannot do anything. */
function withoutNpm(cacheDirectory: string) {
  return createNpmInstaller({ cacheDirectory, environment: {}, npmCliPath: '/no/such/npm-cli.js' })
}

/** An installer whose registry refuses connections. */
function withoutNetwork(cacheDirectory: string) {
  return createNpmInstaller({
    cacheDirectory,
    environment: {
      ...process.env,
      npm_config_registry: 'http://127.0.0.1:9',
      npm_config_cache: join(cacheDirectory, 'npm'),
    },
  })
}

describe('an npm package', { timeout: 120_000 }, () => {
  it('is installed and starts; the second time neither npm nor the network is needed', async () => {
    const cacheDirectory = await temporaryDirectory()
    const installer = createNpmInstaller({ cacheDirectory, environment: process.env })
    const lines: string[] = []
    const resolved = await installer.resolve(source(server), never)
    expect(resolved).toMatchObject({ name: server, integrity: expect.stringMatching(/^sha512-/) })
    const installed = await installer.install(resolved, (line) => void lines.push(line), never)
    expect(installed.resolved).toEqual(resolved)
    expect(installed.command[0]).toBe(process.execPath)
    expect(lines[0]).toBe(`installing ${server}@${resolved.version} (npm)`)
    expect(await initializeServer(installed.command, cacheDirectory)).toBe('memory-server')

    const later = withoutNpm(cacheDirectory)
    expect(await later.resolve(source(server), never)).toEqual(resolved)
    expect(await later.resolve(source(server, resolved.version), never)).toEqual(resolved)
    expect(await later.install(resolved, nothing, never)).toEqual(installed)
    expect(await createPackageCache({ cacheDirectory }).list()).toMatchObject([{ ...resolved }])
  })

  it('is resolved to the highest version of a range', async () => {
    const installer = createNpmInstaller({ cacheDirectory: await temporaryDirectory(), environment: process.env })
    expect((await installer.resolve(source(server, '~2025.11'), never)).version).toMatch(/^2025\.11\.25/)
    expect((await installer.resolve(source(server, '^2025.4.0'), never)).version).toMatch(/^2025\.1[12]\./)
  })

  it('that does not exist is not found; a version that does not exist offers others', async () => {
    const installer = createNpmInstaller({ cacheDirectory: await temporaryDirectory(), environment: process.env })
    const missing = source('thv-no-such-package-0c1d2e3f')
    await expect(installer.resolve(missing, never)).rejects.toMatchObject({ code: 'package-not-found' })
    await expect(installer.resolve({ ...missing, version: '1.0.0' }, never)).rejects.toMatchObject({
      code: 'package-not-found',
    })
    await expect(installer.resolve(source(server, '0.0.77'), never)).rejects.toMatchObject({
      code: 'package-version-not-found',
      hint: expect.stringMatching(/newest versions: \d+\.\d+\.\d+, /),
    })
  })

  it('without network is an unreachable index, and without npm a missing tool', async () => {
    const cacheDirectory = await temporaryDirectory()
    await expect(withoutNetwork(cacheDirectory).resolve(source(server), never)).rejects.toMatchObject({
      code: 'package-index-unreachable',
    })
    const bare = createNpmInstaller({ cacheDirectory, environment: { PATH: '/nowhere' }, nodePath: '/nowhere/node' })
    await expect(bare.resolve(source(server), never)).rejects.toMatchObject({ code: 'package-tool-missing' })
  })

  it('is installed whatever the settings of the user would make of it', async () => {
    const cacheDirectory = await temporaryDirectory()
    const environment = {
      ...process.env,
      npm_config_dry_run: 'true',
      npm_config_package_lock_only: 'true',
      npm_config_location: 'global',
      npm_config_install_strategy: 'linked',
      npm_config_bin_links: 'false',
      NPM_CONFIG_WORKSPACES: 'true',
      npm_config_workspace: 'elsewhere',
    }
    const installer = createNpmInstaller({ cacheDirectory, environment })
    const installed = await installer.install({ kind: 'npx', name: 'semver', version: '7.7.1' }, nothing, never)
    expect(installed.command[1]).toMatch(/semver\/bin\/semver\.js$/)
  })

  it('that npm says to have installed and has not is a failed install', async () => {
    const cacheDirectory = await temporaryDirectory()
    const npmCliPath = join(cacheDirectory, 'idle.cjs')
    await writeFile(npmCliPath, 'console.error("nothing done")')
    const installer = createNpmInstaller({ cacheDirectory, environment: process.env, npmCliPath })
    const installing = installer.install({ kind: 'npx', name: server, version: '1.0.0' }, nothing, never)
    await expect(installing).rejects.toMatchObject({ code: 'package-install-failed', detail: ['nothing done'] })
  })

  it('that is a library has no command and is not kept', async () => {
    const cacheDirectory = await temporaryDirectory()
    const installer = createNpmInstaller({ cacheDirectory, environment: process.env })
    const resolved = await installer.resolve(source('is-number', '7.0.0'), never)
    await expect(installer.install(resolved, nothing, never)).rejects.toMatchObject({ code: 'package-has-no-command' })
    expect(await readdir(kindDirectory(cacheDirectory, 'npx'))).toEqual([])
  })

  it('of another checksum than was resolved is refused', async () => {
    const cacheDirectory = await temporaryDirectory()
    const installer = createNpmInstaller({ cacheDirectory, environment: process.env })
    const resolved = { ...(await installer.resolve(source('semver', '7.7.1'), never)), integrity: 'sha512-other' }
    await expect(installer.install(resolved, nothing, never)).rejects.toMatchObject({
      code: 'package-install-failed',
      message: expect.stringContaining('checksum'),
    })
    expect(await createPackageCache({ cacheDirectory }).list()).toEqual([])
  })

  it('whose install is given up leaves nothing', async () => {
    const cacheDirectory = await temporaryDirectory()
    // A npm that never ends.
    const npmCliPath = join(cacheDirectory, 'slow.cjs')
    await writeFile(npmCliPath, 'setInterval(() => {}, 1000)')
    const installer = createNpmInstaller({ cacheDirectory, environment: process.env, npmCliPath })
    const controller = new AbortController()
    const installing = installer.install({ kind: 'npx', name: server, version: '1.0.0' }, nothing, controller.signal)
    const failure = installing.catch((error: unknown) => error)
    const directory = kindDirectory(cacheDirectory, 'npx')
    await expect.poll(async () => (await readdir(directory).catch(() => [])).length).toBe(1)
    controller.abort(new Error('enough'))
    expect(await failure).toMatchObject({ message: 'enough' })
    expect(await readdir(directory)).toEqual([])
  })

  it('whose installer is killed leaves nothing that looks installed, and the next install succeeds', async () => {
    const cacheDirectory = await temporaryDirectory()
    const directory = kindDirectory(cacheDirectory, 'npx')
    const tsx = createRequire(import.meta.url).resolve('tsx')
    const script = fileURLToPath(new URL('fixtures/install-npm.ts', import.meta.url))
    const args = ['--conditions=@thv/source', '--import', tsx, script, cacheDirectory, 'semver', '7.7.1']
    const command = spawn(process.execPath, args, { stdio: 'ignore' })
    // As soon as npm works in its directory.
    await expect
      .poll(async () => (await readdir(directory).catch(() => [])).length, { timeout: 20_000, interval: 5 })
      .toBe(1)
    command.kill('SIGKILL')
    await once(command, 'exit')
    expect(await createPackageCache({ cacheDirectory }).list()).toEqual([])

    const installer = createNpmInstaller({ cacheDirectory, environment: process.env })
    await installer.install({ kind: 'npx', name: 'semver', version: '7.7.1' }, nothing, never)
    expect(await createPackageCache({ cacheDirectory }).list()).toMatchObject([{ name: 'semver', version: '7.7.1' }])
  })
})
