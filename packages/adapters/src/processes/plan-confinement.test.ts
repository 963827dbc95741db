import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runConfigSchemaVersion, type Confinement, type RunConfig } from '@thv/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadPermissionProfile, planConfinement } from './plan-confinement.ts'

let directory: string
let warnings: string[]
let notes: string[]

beforeEach(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'thv-plan-')))
  warnings = []
  notes = []
})

afterEach(async () => {
  await rm(directory, { recursive: true, force: true })
})

async function plan(config: Partial<RunConfig> = {}): Promise<Confinement> {
  const options = {
    globalIgnoreFile: join(directory, 'thvignore'),
    warn: (line: string) => void warnings.push(line),
    note: (line: string) => void notes.push(line),
  }
  return await planConfinement(options, {
    schema_version: runConfigSchemaVersion,
    image: '',
    name: 'a',
    transport: 'stdio',
    host: '',
    port: 1,
    permission_profile: null,
    ...config,
  })
}

async function fill(name: string, files: string[]): Promise<string> {
  const path = join(directory, name)
  await mkdir(path)
  for (const file of files) await writeFile(join(path, file), 'x')
  return path
}

describe('what a run config says about confinement', () => {
  it('with nothing said, the best there is, with a filtered network and nothing mounted', async () => {
    expect(await plan()).toEqual({
      wish: 'auto',
      programPaths: 'discover',
      mounts: [],
      covered: [],
      network: { kind: 'filtered', outbound: { insecure_allow_all: true, allow_host: [], allow_port: [] } },
    })
  })

  it('who asks for a profile, a volume or network isolation requires it', async () => {
    const data = await fill('data', [])
    expect((await plan({ permission_profile_name_or_path: 'none' })).wish).toBe('required')
    expect((await plan({ permission_profile: {} })).wish).toBe('required')
    expect((await plan({ volumes: [`${data}:/data`] })).wish).toBe('required')
    expect((await plan({ isolate_network: true })).wish).toBe('required')
    expect((await plan({ thv: { runtime: 'process', isolation: 'none' } })).wish).toBe('none')
  })

  it('the saved profile counts, not what its file says by now', async () => {
    const path = join(directory, 'profile.json')
    await writeFile(path, '{"network":{"outbound":{"insecure_allow_all":true}}}')
    const saved = { network: { outbound: { allow_host: ['a.example'] } } }
    const { network } = await plan({ permission_profile_name_or_path: path, permission_profile: saved })
    expect(network).toEqual({ kind: 'filtered', outbound: { allow_host: ['a.example'] } })
    expect((await plan({ permission_profile_name_or_path: path })).network).toMatchObject({
      outbound: { insecure_allow_all: true },
    })
  })

  it.runIf(process.platform !== 'win32')(
    'a socket among them is told: who reaches an engine owns the machine',
    async () => {
      const path = join(directory, 'docker.sock')
      const server = createServer().listen(path)
      await once(server, 'listening')
      await plan({ volumes: [`${path}:/var/run/docker.sock:ro`] })
      server.close()
      expect(warnings).toEqual([expect.stringContaining(`${path} is a socket`)])
    },
  )

  it('volumes are read-only or not, links are followed, and a second one for a target is passed over', async () => {
    const [data, other] = [await fill('data', []), await fill('other', [])]
    await symlink(data, join(directory, 'link'))
    const volumes = [`${directory}/link:/a:ro`, `${other}:/a`, `${other}:/b`]
    expect((await plan({ volumes })).mounts).toEqual([
      { source: data, target: '/a', writable: false },
      { source: other, target: '/b', writable: true },
    ])
  })

  it.each([
    [{ volumes: ['/no/such/place:/data'] }, 'mount-invalid'],
    [{ permission_profile: { read: ['data'] } }, 'permission-profile-invalid'],
    [{ permission_profile: { privileged: true } }, 'runtime-unsupported'],
    [{ permission_profile_name_or_path: '/no/such/profile.json' }, 'permission-profile-invalid'],
    [{ thv: { runtime: 'process', isolation: 'none' }, isolate_network: true }, 'isolation-contradiction'],
    [{ isolate_network: true, permission_profile: { network: { mode: 'host' } } }, 'isolation-contradiction'],
  ] satisfies [Partial<RunConfig>, string][])('%j is refused with %s', async (config, code) => {
    await expect(plan(config)).rejects.toMatchObject({ code })
  })

  it('of an image follows its own rules: the usual network, and what only a container can be', async () => {
    const thv = { runtime: 'container' } as const
    expect(await plan({ thv })).toMatchObject({ wish: 'auto', network: { kind: 'open' } })
    expect(await plan({ thv, isolate_network: true })).toMatchObject({ network: { kind: 'filtered' } })
    const outbound = { insecure_allow_all: true }
    expect(await plan({ thv, permission_profile: { privileged: true, network: { outbound } } })).toMatchObject({
      privileged: true,
      network: { kind: 'open' },
    })
    const host = { thv, permission_profile: { network: { mode: 'host', outbound } } }
    expect((await plan(host)).network).toEqual({ kind: 'joined', network: 'host' })
    await expect(plan({ ...host, transport: 'sse' })).rejects.toMatchObject({ code: 'isolation-contradiction' })
  })

  it('a profile file that is no JSON is told as such', async () => {
    const path = join(directory, 'profile.json')
    await writeFile(path, '{"read":')
    await expect(loadPermissionProfile(path)).rejects.toMatchObject({ code: 'permission-profile-invalid' })
  })
})

describe('ignore files', () => {
  it("cover what the mount's own and the user's list name", async () => {
    const data = await fill('data', ['.env', 'key.pem', 'kept.txt'])
    await mkdir(join(data, 'vault'))
    await writeFile(join(data, '.thvignore'), '.env\nvault/\n')
    await writeFile(join(directory, 'thvignore'), '*.pem\n')
    const volumes = [`${data}:/data`]
    const own = [
      { target: '/data/.env', isDirectory: false },
      { target: '/data/vault', isDirectory: true },
    ]
    const covered = async (more: Partial<RunConfig> = {}): Promise<unknown[]> =>
      [...(await plan({ volumes, ...more })).covered].toSorted((left, right) => (left.target < right.target ? -1 : 1))
    expect(await covered()).toEqual([own[0], { target: '/data/key.pem', isDirectory: false }, own[1]])
    expect(await covered({ ignore_config: { LoadGlobal: false } })).toEqual(own)
  })

  it('cover what a link within the mount points to', async () => {
    const data = await fill('data', ['real', '.thvignore'])
    await writeFile(join(data, '.thvignore'), '.env\n')
    await symlink(join(data, 'real'), join(data, '.env'))
    expect((await plan({ volumes: [`${data}:/data`] })).covered).toEqual([{ target: '/data/real', isDirectory: false }])
  })

  it('cannot be taken away by a server that may write beside them', async () => {
    const data = await fill('data', ['.env', '.thvignore'])
    const list = join(data, '.thvignore')
    const guard = { source: list, target: '/data/.thvignore', writable: false }
    expect((await plan({ volumes: [`${data}:/data`] })).mounts.slice(1)).toEqual([guard])
    expect((await plan({ volumes: [`${data}:/data:ro`] })).mounts.slice(1)).toEqual([])
    await rm(list)
    await symlink(join(data, '.env'), list)
    await expect(plan({ volumes: [`${data}:/data`] })).rejects.toMatchObject({ code: 'mount-invalid' })
  })

  it.each([
    ['a directory', async (path: string) => await mkdir(path)],
    ['a pipe', async (path: string) => spawnSync('mkfifo', [path])],
    ['longer than anybody writes', async (path: string) => await writeFile(path, 'x\n'.repeat(200_000))],
    ['in another encoding', async (path: string) => await writeFile(path, Buffer.from('.env\n', 'utf16le'))],
  ])('that are %s let nothing start', async (_what, make) => {
    const data = await fill('data', ['.env'])
    await make(join(data, '.thvignore'))
    await expect(plan({ volumes: [`${data}:/data:ro`] })).rejects.toMatchObject({
      code: 'mount-invalid',
      message: expect.stringContaining('would not be kept from the server'),
    })
  })

  it('are printed, with what they hide, when that is wanted', async () => {
    const data = await fill('data', ['.env', '.thvignore'])
    await writeFile(join(data, '.thvignore'), '.env\n')
    await plan({ volumes: [`${data}:/data`] })
    expect(notes).toEqual([])
    await plan({ volumes: [`${data}:/data`], ignore_config: { PrintOverlays: true } })
    expect(notes).toEqual(['hidden from the server: /data/.env'])
    await plan({ ignore_config: { PrintOverlays: true } })
    expect(notes.at(-1)).toBe('nothing is hidden from the server')
  })

  it('say what they cannot do', async () => {
    const data = await fill('data', [])
    await writeFile(join(data, '.thvignore'), '!kept\na/b\n')
    await plan({ volumes: [`${data}:/data`] })
    expect(warnings).toEqual([expect.stringContaining('no negation'), expect.stringContaining('at the root')])
  })
})

it('the Docker gateway is open in a filtered network only', async () => {
  const gateway = { allow_docker_gateway: true }
  expect(await plan(gateway)).toMatchObject({ wish: 'required', network: { kind: 'filtered', gateway: true } })
  const container = { ...gateway, image: 'a', thv: { runtime: 'container' as const } }
  expect(await plan({ ...container, isolate_network: true })).toMatchObject({ network: { gateway: true } })
  for (const config of [
    container,
    { ...gateway, isolate_network: false },
    { ...gateway, permission_profile_name_or_path: 'none' },
  ]) {
    await expect(plan(config)).rejects.toMatchObject({ code: 'isolation-contradiction' })
  }
})
