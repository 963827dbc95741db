import { createFakeMachine, type FakeMachine } from '@thv/core/fakes'
import { beforeEach, describe, expect, it } from 'vitest'
import type { RunConfig } from '@thv/core'
import { RemoteCredentials } from './remote-credentials.ts'

const config: RunConfig = {
  schema_version: 'v0.1.0',
  image: '',
  name: 'a',
  transport: 'streamable-http',
  host: '',
  port: 1,
  permission_profile: null,
  remote_url: 'https://a.test/mcp',
}

let machine: FakeMachine

beforeEach(() => {
  machine = createFakeMachine()
})

function credentials(
  more: Partial<RunConfig>,
  environmentToken: string | undefined,
  files: Record<string, string> = {},
) {
  const readUserFile = async (path: string): Promise<string> => {
    const text = files[path]
    if (text === undefined) throw Object.assign(new Error('gone'), { code: 'ENOENT' })
    return text
  }
  return new RemoteCredentials(
    { readUserFile, environmentToken, userSecrets: machine.deps.userSecrets },
    { ...config, ...more },
  )
}

describe('credentials for a remote server', () => {
  it('are none without any, and the headers of the run config', async () => {
    const none = credentials({}, undefined)
    expect([await none.refresh(), none.headers(), none.hasToken]).toEqual([undefined, {}, false])
    const headers = { 'X-Team': 'notes' }
    const some = credentials({ header_forward: { add_plaintext_headers: headers } }, undefined)
    expect([await some.refresh(), some.headers()]).toEqual([undefined, headers])
  })

  it('take the file before the variable', async () => {
    const file = { remote_auth_config: { bearer_token_file: '/t' } }
    const both = credentials(file, 'of-the-variable', { '/t': 'of-the-file\n' })
    expect(both.hasToken).toBe(false)
    await both.refresh()
    expect([both.headers(), both.hasToken]).toEqual([{ Authorization: 'Bearer of-the-file' }, true])
    const one = credentials({ thv: { runtime: 'remote', token_from_environment: true } }, 'of-the-variable')
    await one.refresh()
    expect(one.headers()).toEqual({ Authorization: 'Bearer of-the-variable' })
  })

  it('do not send the token of the variable to a server that was not run with it', async () => {
    const other = credentials({ thv: { runtime: 'remote' } }, 'of-another')
    expect([await other.refresh(), other.headers(), other.hasToken]).toEqual([undefined, {}, false])
  })

  it('say why a token cannot be used, never what it is, and keep the last one', async () => {
    const files: Record<string, string> = { '/t': 'good' }
    const file = credentials({ remote_auth_config: { bearer_token_file: '/t' } }, undefined, files)
    await file.refresh()
    files['/t'] = 'bad token'
    expect(await file.refresh()).toBe("the token in '/t' is empty or has characters that no header can hold")
    delete files['/t']
    expect(await file.refresh()).toBe("the token file '/t' cannot be read: ENOENT")
    expect(file.headers()).toEqual({ Authorization: 'Bearer good' })
  })
})

describe('headers from secrets', () => {
  const wanted: Partial<RunConfig> = {
    header_forward: { add_plaintext_headers: { 'X-Team': 'notes' }, add_headers_from_secret: { 'X-Key': 'key' } },
    remote_auth_config: { bearer_token: 'BEARER_TOKEN_a,target=bearer_token' },
  }

  it('are sent, with a token of the workload, and looked up again when the store changes', async () => {
    await change({ key: 'k1', __thv_workloads_BEARER_TOKEN_a: 't1' })
    const some = credentials(wanted, undefined)
    expect(await some.refresh()).toBeUndefined()
    expect(some.headers()).toEqual({ 'X-Team': 'notes', 'X-Key': 'k1', Authorization: 'Bearer t1' })
    expect(some.hasToken).toBe(true)
    await change({ key: 'k2' })
    expect(await some.refresh()).toBeUndefined()
    expect(some.headers()).toMatchObject({ 'X-Key': 'k2', Authorization: 'Bearer t1' })
  })

  it('are not looked up while the store stays as it is', async () => {
    await change({ key: 'k1', __thv_workloads_BEARER_TOKEN_a: 't1' })
    const some = credentials(wanted, undefined)
    await some.refresh()
    machine.secrets.set('key', 'nobody has said that this has changed')
    expect(await some.refresh()).toBeUndefined()
    expect(some.headers()).toMatchObject({ 'X-Key': 'k1' })
  })

  it('that cannot be looked up are told without a value, tried again, and the last ones stay', async () => {
    await change({ key: 'k1' })
    const some = credentials(wanted, undefined)
    expect(await some.refresh()).toBe(
      "a secret for the remote server cannot be used: secret not found: 'BEARER_TOKEN_a'",
    )
    await change({ BEARER_TOKEN_a: 'as-another-program-keeps-it' })
    expect(await some.refresh()).toBeUndefined()
    expect(some.headers()).toMatchObject({ Authorization: 'Bearer as-another-program-keeps-it' })
    await change({ key: 'hidden\nvalue' })
    const problem = await some.refresh()
    expect(problem).toContain("the value of 'X-Key' has a character that no header can hold")
    expect(problem).not.toContain('hidden')
    expect(some.headers()).toMatchObject({ 'X-Key': 'k1' })
  })
})

async function change(secrets: Record<string, string>): Promise<void> {
  await machine.deps.userSecrets.store.update(() => new Map(Object.entries(secrets)), new AbortController().signal)
}
