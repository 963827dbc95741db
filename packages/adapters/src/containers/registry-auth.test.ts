import { spawnSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { encodeAuth, registryAuth } from './registry-auth.ts'

const never = new AbortController().signal
const hub = 'https://index.docker.io/v1/'
let home: string

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'thv-docker-'))
  await mkdir(join(home, '.docker'))
  await mkdir(join(home, 'bin'))
})
afterEach(async () => await rm(home, { recursive: true, force: true }))

async function configure(config: unknown): Promise<void> {
  const text = typeof config === 'string' ? config : JSON.stringify(config)
  await writeFile(join(home, '.docker/config.json'), text)
}

/** A credential helper that answers for one registry. */
async function helper(name: string, script: string): Promise<void> {
  const path = join(home, 'bin', `docker-credential-${name}`)
  await writeFile(path, `#!/bin/sh\n${script}\n`)
  await chmod(path, 0o755)
}

async function auth(registry: string): Promise<unknown> {
  const environment = { PATH: [join(home, 'bin'), process.env['PATH']].join(delimiter) }
  return await registryAuth({ environment, home }, registry, never)
}

const anonymous = (registry: string) => ({ serveraddress: registry })

describe('the credentials of a registry', () => {
  it('are none without a config, with a broken one, and for a registry that it does not name', async () => {
    expect(await auth(hub)).toEqual(anonymous(hub))
    await configure('{"auths": ')
    expect(await auth(hub)).toEqual(anonymous(hub))
    await configure({ auths: { 'ghcr.io': { auth: 'YTpi' } } })
    expect(await auth(hub)).toEqual(anonymous(hub))
  })

  it('stand in the config, a password with colons too', async () => {
    const pair = Buffer.from('me:pass:word').toString('base64')
    await configure({ auths: { [hub]: { auth: pair }, 'ghcr.io': { identitytoken: 'token' } } })
    expect(await auth(hub)).toEqual({ username: 'me', password: 'pass:word', serveraddress: hub })
    expect(await auth('ghcr.io')).toEqual({ identitytoken: 'token', serveraddress: 'ghcr.io' })
  })

  it.runIf(process.platform !== 'win32')('come from the helper of the registry before the one for all', async () => {
    await helper('own', `[ "$1" = get ] && [ "$(cat)" = ghcr.io ] && echo '{"Username":"own","Secret":"s"}'`)
    await helper('all', `cat >/dev/null; echo '{"Username":"<token>","Secret":"t"}'`)
    await configure({ credHelpers: { 'ghcr.io': 'own' }, credsStore: 'all' })
    expect(await auth('ghcr.io')).toEqual({ username: 'own', password: 's', serveraddress: 'ghcr.io' })
    expect(await auth(hub)).toEqual({ identitytoken: 't', serveraddress: hub })
  })

  it.runIf(process.platform !== 'win32').each([
    ['fails', 'echo "credentials not found"; exit 1'],
    ['answers nonsense', 'echo hello'],
    ['does not listen', 'exec <&-; exit 0'],
    ['says more than it may, and does not end', `trap '' TERM; head -c 100000 /dev/zero; while :; do sleep 0.1; done`],
  ])('are none when the helper %s', async (_what, script) => {
    await helper('all', script)
    await configure({ credsStore: 'all' })
    expect(await auth(hub)).toEqual(anonymous(hub))
  })

  it.runIf(process.platform !== 'win32')('are none when the config is no file', async () => {
    expect(spawnSync('mkfifo', [join(home, '.docker/config.json')]).status).toBe(0)
    expect(await auth(hub)).toEqual(anonymous(hub))
  })

  it('are never asked of a program that the config names by path', async () => {
    await configure({ credsStore: '../../../../bin/sh' })
    expect(await auth(hub)).toEqual(anonymous(hub))
  })
})

it('the header is padded and safe in a URL, as the engine reads it', () => {
  // Characters that plain base64 writes as + and /.
  const text = encodeAuth({ password: '~~~???>>>ÿ' })
  expect(text).toMatch(/^[A-Za-z0-9_-]+=*$/)
  expect(text.length % 4).toBe(0)
  expect(JSON.parse(Buffer.from(text, 'base64url').toString())).toEqual({ password: '~~~???>>>ÿ' })
})
