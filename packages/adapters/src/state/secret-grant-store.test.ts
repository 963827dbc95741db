import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RemoteGrant } from '@thv/core'
import { createFakeSecretStore } from '@thv/core/fakes'
import { createFileSecretStore } from './file-secret-store.ts'
import { liveProcesses as processes } from './fixtures/live-processes.ts'
import { resultOf, runFixture, scratchDirectory } from './fixtures/scratch.ts'
import { formatGrant, parseGrant } from './parse-grant.ts'
import { createSecretGrantStore } from './secret-grant-store.ts'

const { signal } = new AbortController()

const grant: RemoteGrant = {
  issuer: 'https://as.test',
  resource: 'https://mcp.test/mcp',
  tokenEndpoint: 'https://as.test/token',
  revocationEndpoint: 'https://as.test/revoke',
  client: {
    clientId: 'c',
    authMethod: 'client_secret_basic',
    clientSecret: 's',
    clientSecretExpiresAt: '2027-01-01T00:00:00.000Z',
    registration: { uri: 'https://as.test/reg/c', accessToken: 'r' },
    kind: 'registered',
  },
  accessToken: 'a1',
  refreshToken: 'r1',
  expiresAt: '2026-01-01T01:00:00.000Z',
  scopes: ['notes'],
  obtainedAt: '2026-01-01T00:00:00.000Z',
}

function place(secrets = new Map<string, string>()) {
  const told: string[] = []
  const store = createFakeSecretStore(secrets)
  const options = { secrets: store, dataDirectory: scratchDirectory(), processes }
  const open = () => createSecretGrantStore({ ...options, warn: (message) => told.push(message) })
  return { open, secrets, told }
}

describe('grants in the secret store', () => {
  it('are read as they were written, with the refresh token where ToolHive has it', async () => {
    const { open, secrets } = place()
    expect(await open().read('R', signal)).toBeUndefined()
    expect(await open().renew('R', async () => grant, signal)).toEqual(grant)
    expect(await open().read('R', signal)).toEqual(grant)
    expect(secrets.get('__thv_workloads_R')).toBe('r1')
    expect([...secrets.values()].join('')).not.toMatch(/r1.*r1/)
  })

  it('are deleted whole, and left alone where nothing is to be done', async () => {
    const { open, secrets } = place()
    const store = open()
    await store.renew('R', async () => grant, signal)
    const before = await store.revision()
    expect(await store.renew('R', async () => undefined, signal)).toEqual(grant)
    expect(await store.revision()).toBe(before)
    expect(await store.renew('R', async () => 'delete', signal)).toBeUndefined()
    expect(secrets.size).toBe(0)
    expect(await store.revision()).not.toBe(before)
  })

  it('have the refresh token that ToolHive has put there meanwhile', async () => {
    const { open, secrets } = place()
    await open().renew('R', async () => grant, signal)
    secrets.set('__thv_workloads_R', 'r2')
    expect(await open().read('R', signal)).toEqual({ ...grant, refreshToken: 'r2' })
    secrets.delete('__thv_workloads_R')
    const { refreshToken: _none, ...rest } = grant
    expect(await open().read('R', signal)).toEqual(rest)
  })

  it('are none where only another program was: its refresh token stays', async () => {
    const { open, secrets, told } = place(new Map([['__thv_workloads_R', 'r0']]))
    expect(await open().read('R', signal)).toBeUndefined()
    expect([secrets.get('__thv_workloads_R'), told]).toEqual(['r0', []])
  })

  it('that are torn count for none, which is told once and without what is in them', async () => {
    const { open, secrets, told } = place()
    const store = open()
    await store.renew('R', async () => grant, signal)
    secrets.set('__thv_auth_remote_R', (secrets.get('__thv_auth_remote_R') ?? '').slice(0, 80))
    expect([await store.read('R', signal), await store.read('R', signal)]).toEqual([undefined, undefined])
    expect(told).toEqual([expect.stringContaining("'R'")])
    expect(told.join()).not.toMatch(/as\.test|a1|r1/)
  })

  it('keep the old one when the action or the write fails', async () => {
    const secrets = new Map<string, string>()
    const { open } = place(secrets)
    const store = open()
    await store.renew('R', async () => grant, signal)
    const fails = store.renew('R', async () => await Promise.reject(new Error('no')), signal)
    await expect(fails).rejects.toThrow('no')
    expect(await store.read('R', signal)).toEqual(grant)
  })

  it('are renewed by one after the other, and each sees what the one before has written', async () => {
    const dataDirectory = scratchDirectory()
    const open = () => {
      const secrets = createFileSecretStore({ dataDirectory, processes, keepers: [], givenPassword: 'p' })
      return createSecretGrantStore({ secrets, dataDirectory, processes, warn: () => {} })
    }
    await open().renew('R', async () => grant, signal)
    let inside = 0
    const seen: (string | undefined)[] = []
    const renewals = Array.from({ length: 8 }, async () => {
      await open().renew(
        'R',
        async (current) => {
          inside += 1
          expect(inside).toBe(1)
          seen.push(current?.refreshToken)
          await new Promise((resolve) => setTimeout(resolve, 5))
          inside -= 1
          return { ...grant, refreshToken: `r${seen.length + 1}` }
        },
        signal,
      )
    })
    await Promise.all(renewals)
    expect(seen).toEqual(['r1', 'r2', 'r3', 'r4', 'r5', 'r6', 'r7', 'r8'])
    expect((await open().read('R', signal))?.refreshToken).toBe('r9')
  })
})

describe('a grant whose renewals are killed at any moment', () => {
  it('is the old one or the new one afterwards, whole, and nobody has to wait for the dead', async () => {
    const dataDirectory = scratchDirectory()
    const secrets = createFileSecretStore({ dataDirectory, processes, keepers: [], givenPassword: 'p' })
    const store = createSecretGrantStore({ secrets, dataDirectory, processes, warn: () => {} })
    let last = 0
    let killed = 0
    for (let turn = 0; turn < 12 && last < 60; turn += 1) {
      const { output, signal: end } = await resultOf(runFixture('rotate-grant.ts', [dataDirectory, '60', '40']))
      if (end === 'SIGKILL') killed += 1
      expect(output).toBe(end === 'SIGKILL' ? '' : 'done')
      const found = await store.read('R', signal)
      const number = Number(found?.refreshToken?.slice(1) ?? 0)
      if (number > 0) expect(found?.accessToken).toBe(`a${number}`)
      expect(number).toBeGreaterThanOrEqual(last)
      last = number
    }
    expect(killed).toBeGreaterThan(0)
    expect(await store.renew('R', async () => undefined, signal)).toMatchObject({ refreshToken: `r${last}` })
  }, 60_000)
})

describe('the text of a grant', () => {
  it('that is anything but one is none, and never throws', () => {
    const { rest } = formatGrant(grant)
    const whole = rest ?? ''
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(...keysOf(grant), ...keysOf(grant.client)), (value, key) => {
        const raw = JSON.parse(whole)
        const bad = key in raw ? { ...raw, [key]: value } : { ...raw, client: { ...raw.client, [key]: value } }
        const parsed = parseGrant(JSON.stringify(bad), 'r1')
        // Either it is refused, or every member still has its type.
        if (parsed !== undefined)
          expect(parseGrant(formatGrant(parsed).rest ?? '', parsed.refreshToken)).toEqual(parsed)
      }),
    )
    fc.assert(fc.property(fc.nat(whole.length - 1), (cut) => parseGrant(whole.slice(0, cut), 'r1') === undefined))
    fc.assert(fc.property(fc.string(), (text) => parseGrant(text, 'r') === undefined))
  })
})

function keysOf(object: object): string[] {
  return Object.keys(object)
}
