import { describe, expect, it } from 'vitest'
import {
  RefreshError,
  type GrantStore,
  type HealthStep,
  type ProbeOutcome,
  type RemoteGrant,
  type RunConfig,
} from '@thv/core'
import { createFakeSecretStore } from '@thv/core/fakes'
import { VirtualClock } from './fixtures/virtual-clock.ts'
import { monitorHealth } from './monitor-health.ts'
import { RemoteTokens } from './remote-tokens.ts'
import { outcomeOfTrouble } from './token-trouble.ts'

const { signal } = new AbortController()
const minute = 60_000
const hour = 60 * minute

const config = {
  schema_version: 'v0.1.0',
  image: '',
  name: 'notes',
  transport: 'streamable-http',
  host: '',
  port: 1,
  permission_profile: null,
  remote_url: 'https://mcp.test/mcp',
  remote_auth_config: { cached_client_id: 'c', cached_refresh_token_ref: 'R' },
} satisfies RunConfig

/** An authorization server, a store and a protected server in memory, which any number of workloads may use. */
class Place {
  readonly clock = new VirtualClock()
  /** What the next renewals end in; undefined: a token. */
  fault: Error | undefined
  lifeMs = hour
  /** Tokens the server refuses although they have not ended. */
  readonly revoked = new Set<string>()
  renewals = 0
  failures = 0
  failWrite = false
  refusesAll = false
  grant: RemoteGrant | undefined
  readonly secrets = new Map<string, string>()
  readonly logged: string[] = []
  #revision = 0
  #queue: Promise<unknown> = Promise.resolve()

  readonly grants: GrantStore = {
    read: async () => this.grant,
    revision: async () => String(this.#revision),
    renew: async (_reference, action) => {
      const turn = this.#queue.then(async () => {
        const change = await action(this.grant)
        if (change === undefined) return this.grant
        if (this.failWrite) throw new Error('the disk is full')
        this.put(change === 'delete' ? undefined : change)
        return this.grant
      })
      this.#queue = turn.catch(() => undefined)
      return await turn
    },
  }

  put(grant: RemoteGrant | undefined): void {
    this.grant = grant
    this.#revision += 1
  }

  logIn(): void {
    this.put(this.#give('login'))
  }

  tokens(more: Partial<RunConfig> = {}): RemoteTokens {
    return new RemoteTokens(
      {
        clock: this.clock,
        random: () => 0.5,
        log: (_level, message) => this.logged.push(message),
        readUserFile: async () => '',
        logins: async () => ({
          secrets: createFakeSecretStore(this.secrets),
          grants: this.grants,
          authorization: async () => ({
            discover: async () => ({
              issuer: 'https://as.test',
              resource: config.remote_url,
              authorizationEndpoint: 'https://as.test/auth',
              tokenEndpoint: 'https://as.test/token',
              takesMetadataDocuments: false,
              namesIssuer: true,
              scopes: ['notes'],
              takesOfflineAccess: false,
              tokenAuthMethods: [],
            }),
            refresh: async (old) => await this.#refresh(old),
          }),
        }),
      },
      { ...config, ...more },
    )
  }

  /** What the protected server says to a token. */
  accepts(authorization: string | undefined): boolean {
    if (this.refusesAll) return false
    const token = authorization?.replace('Bearer ', '')
    const { accessToken, expiresAt = '' } = this.grant ?? {}
    return token === accessToken && !this.revoked.has(token ?? '') && this.clock.now().getTime() < Date.parse(expiresAt)
  }

  async #refresh(old: RemoteGrant): Promise<RemoteGrant> {
    if (this.fault !== undefined) {
      this.failures += 1
      throw this.fault
    }
    this.renewals += 1
    return { ...this.#give(`${this.renewals}`), client: old.client }
  }

  #give(mark: string): RemoteGrant {
    const now = this.clock.now().getTime()
    return {
      issuer: 'https://as.test',
      resource: config.remote_url,
      tokenEndpoint: 'https://as.test/token',
      client: { clientId: 'c', authMethod: 'none', kind: 'registered' },
      accessToken: `a-${mark}-${now}`,
      refreshToken: `r-${mark}-${now}`,
      obtainedAt: new Date(now).toISOString(),
      expiresAt: new Date(now + this.lifeMs).toISOString(),
      scopes: ['notes'],
    }
  }
}

/** A monitored workload: every status it had, with the time since the beginning in minutes. */
function monitored(
  place: Place,
  tokens: RemoteTokens,
): { history: string[]; last: () => ProbeOutcome | undefined; end: () => void } {
  const ending = new AbortController()
  const history: string[] = []
  let last: ProbeOutcome | undefined
  const began = place.clock.monotonicMs()
  const server = {
    probe: async (): Promise<ProbeOutcome> => {
      const trouble = await tokens.prepare(ending.signal)
      if (trouble !== undefined) return outcomeOfTrouble(trouble)
      const { login } = tokens
      let authorization = login.authorization()
      if (!place.accepts(authorization) && login.isOurs()) {
        await login.renew(authorization)
        const second = login.authorization()
        if (second !== undefined && second !== authorization && !place.accepts(second)) login.giveUp(second)
        authorization = second
      }
      const isAlive = place.accepts(authorization)
      tokens.noteLook(isAlive ? 'alive' : 'unauthorized')
      const found = isAlive ? undefined : tokens.trouble
      if (found !== undefined) return outcomeOfTrouble(found)
      return isAlive
        ? { kind: 'alive', reason: 'serving', message: '' }
        : { kind: 'denied', reason: 'remote-unauthorized', message: '' }
    },
    judged: async (step: HealthStep, outcome: ProbeOutcome): Promise<void> => {
      last = outcome
      if (step.event === undefined) return
      history.push(`${Math.round((place.clock.monotonicMs() - began) / minute)} ${step.event} ${outcome.reason}`)
    },
    news: {
      pollMs: () => tokens.pollMs,
      isThere: async (abort: AbortSignal) => await tokens.hasNews(abort),
    },
    woken: () => tokens.woken(),
    probeMs: 5_000,
  }
  const deps = { clock: place.clock, random: () => 0.5, log: () => {}, network: () => 'home' }
  const settings = { intervalMs: 10_000, retryMs: 5_000, failures: 3 }
  monitorHealth(deps, server, settings, ending.signal).catch(() => undefined)
  return { history, last: () => last, end: () => ending.abort() }
}

describe('tokens over a day', () => {
  it('are renewed before each of them ends, and the workload runs all along', async () => {
    const place = new Place()
    place.logIn()
    const { history, end } = monitored(place, place.tokens())
    await place.clock.run(24 * hour)
    expect(history).toEqual(['0 ready serving'])
    expect(place.renewals).toBeGreaterThanOrEqual(30)
    expect(place.renewals).toBeLessThanOrEqual(32)
    end()
  }, 30_000)

  it('that cannot be renewed: running until the end, then auth_retrying for a day, then unauthenticated, and no try more', async () => {
    const place = new Place()
    place.logIn()
    const { history, last, end } = monitored(place, place.tokens())
    await place.clock.run(minute)
    place.fault = new RefreshError('transient', 'away')
    await place.clock.run(26 * hour)
    expect(history.map((entry) => entry.replace(/^14\d\d/, '14xx'))).toEqual([
      '0 ready serving',
      '60 delayed token-refresh-delayed',
      '14xx denied login-needed',
    ])
    expect(place.failures).toBe(150)
    expect(last()?.message).toContain('for a day')
    await place.clock.run(10 * hour)
    expect(place.failures).toBe(150)
    place.fault = undefined
    place.logIn()
    await place.clock.run(2_000)
    expect(history.at(-1)).toMatch(/ready serving$/)
    end()
  }, 30_000)

  it('that can be renewed again: back within a tick, without anybody', async () => {
    const place = new Place()
    place.logIn()
    const { history, end } = monitored(place, place.tokens())
    await place.clock.run(minute)
    place.fault = new RefreshError('transient', 'away')
    await place.clock.run(10 * hour)
    place.fault = undefined
    await place.clock.run(10 * minute)
    expect(history.map((entry) => entry.split(' ').slice(1).join(' '))).toEqual([
      'ready serving',
      'delayed token-refresh-delayed',
      'ready serving',
    ])
    end()
  }, 30_000)

  it('that ended while the machine slept are renewed when it wakes, also after failures before', async () => {
    const place = new Place()
    place.logIn()
    const { history, end } = monitored(place, place.tokens())
    await place.clock.run(45 * minute)
    place.fault = new RefreshError('transient', 'the network is going')
    await place.clock.run(10 * minute)
    place.clock.suspend(63 * hour, { isCounted: false })
    await place.clock.run(1_000)
    place.fault = undefined
    await place.clock.run(10_000)
    expect(history.at(-1)).toMatch(/ready serving$/)
    expect(history.some((entry) => entry.includes('login-needed'))).toBe(false)
    end()
  }, 30_000)

  it('that are refused for good need a login, which is taken up within two seconds', async () => {
    const place = new Place()
    place.logIn()
    const { history, end } = monitored(place, place.tokens())
    await place.clock.run(minute)
    place.fault = new RefreshError('permanent', 'invalid_grant')
    place.revoked.add(place.grant?.accessToken ?? '')
    await place.clock.run(15_000)
    expect(history).toEqual(['0 ready serving', '1 denied login-needed'])
    await place.clock.run(hour)
    expect(place.failures).toBe(1)
    place.logIn()
    await place.clock.run(2_000)
    expect(history.at(-1)).toMatch(/ready serving$/)
    end()
  })

  it('that the server refuses however new they are do not lead to a storm of renewals', async () => {
    const place = new Place()
    place.logIn()
    place.refusesAll = true
    const { history, end } = monitored(place, place.tokens())
    await place.clock.run(20 * minute)
    expect(place.renewals).toBe(1)
    expect(history).toEqual(['0 denied login-needed'])
    place.refusesAll = false
    await place.clock.run(11_000)
    expect(history.at(-1)).toMatch(/ready serving$/)
    end()
  })
})

describe('a token source', () => {
  it('shares one renewal among all who ask, and with other workloads', async () => {
    const place = new Place()
    place.logIn()
    const [one, two] = [place.tokens(), place.tokens()]
    await Promise.all([one.prepare(signal), two.prepare(signal)])
    const refused = one.login.authorization()
    const asked = [one, one, two, two, one].map(async (tokens) => await tokens.login.renew(refused))
    expect(await Promise.all(asked)).toEqual([undefined, undefined, undefined, undefined, undefined])
    expect(place.renewals).toBe(1)
    expect(two.login.authorization()).toBe(one.login.authorization())
    expect(one.login.authorization()).not.toBe(refused)
  })

  it('does not renew again and again for calls that are refused while probes are not', async () => {
    const place = new Place()
    place.logIn()
    const tokens = place.tokens()
    await tokens.prepare(signal)
    const call = async (): Promise<unknown> => {
      const first = tokens.login.authorization()
      const refusal = await tokens.login.renew(first)
      const second = tokens.login.authorization()
      return refusal ?? (second === undefined ? undefined : tokens.login.giveUp(second))
    }
    for (let round = 0; round < 20; round += 1) {
      expect(await call()).toMatchObject({ reason: 'login-needed' })
      tokens.noteLook('alive')
      expect(tokens.trouble).toBeUndefined()
    }
    expect(place.renewals).toBe(1)
  })

  it('asks nobody and reads nothing until a server wants a login', async () => {
    const place = new Place()
    let opened = 0
    const tokens = place.tokens({ remote_auth_config: { cached_refresh_token_ref: 'R' } })
    place.grants.revision = async () => String((opened += 1))
    for (let round = 0; round < 5; round += 1) {
      expect(await tokens.prepare(signal)).toBeUndefined()
      expect(await tokens.hasNews(signal)).toBe(false)
    }
    expect([opened, tokens.login.isOurs(), tokens.login.authorization()]).toEqual([0, false, undefined])
    tokens.noteLook('unauthorized')
    place.logIn()
    expect(await tokens.hasNews(signal)).toBe(true)
    expect(tokens.login.isOurs()).toBe(true)
  })

  it('takes over what ToolHive has left, at the first use', async () => {
    const place = new Place()
    place.secrets.set('__thv_workloads_R', 'of-toolhive')
    const tokens = place.tokens()
    expect(await tokens.prepare(signal)).toBeUndefined()
    expect(place.grant).toMatchObject({ issuer: 'https://as.test', client: { clientId: 'c', kind: 'registered' } })
    expect(tokens.login.authorization()).toBe(`Bearer ${place.grant?.accessToken}`)
  })

  it('says that a login is needed where one was asked for and nobody has done it, and lets no client in', async () => {
    const place = new Place()
    const tokens = place.tokens()
    expect(await tokens.prepare(signal)).toMatchObject({ kind: 'denied', reason: 'login-needed' })
    expect(tokens.login.isOurs()).toBe(true)
    expect(tokens.refusal?.todo).toContain("'thv login notes'")
    expect(await tokens.login.renew(undefined)).toMatchObject({ reason: 'login-needed' })
  })

  it('uses what it renewed also when that cannot be written, and writes it later', async () => {
    const place = new Place()
    place.logIn()
    const tokens = place.tokens()
    await tokens.prepare(signal)
    const old = tokens.login.authorization()
    place.failWrite = true
    expect(await tokens.login.renew(old)).toBeUndefined()
    const fresh = tokens.login.authorization()
    expect(fresh).not.toBe(old)
    expect(`Bearer ${place.grant?.accessToken}`).toBe(old)
    expect(await tokens.prepare(signal)).toBeUndefined()
    expect(tokens.login.authorization()).toBe(fresh)
    place.failWrite = false
    await tokens.prepare(signal)
    expect(`Bearer ${place.grant?.accessToken}`).toBe(fresh)
  })

  it('keeps what a renewal that failed has changed of the client', async () => {
    const place = new Place()
    place.logIn()
    const tokens = place.tokens()
    await tokens.prepare(signal)
    const old = place.grant!
    const grant = { ...old, client: { ...old.client, clientSecret: 'renewed' } }
    place.fault = new RefreshError('transient', 'away', { grant })
    expect(await tokens.login.renew(tokens.login.authorization())).toMatchObject({ reason: 'token-refresh-delayed' })
    expect(place.grant).toEqual(grant)
    place.fault = undefined
    await place.clock.run(15_000)
    expect(await tokens.prepare(signal)).toBeUndefined()
    expect([place.renewals, place.grant?.client.clientSecret]).toEqual([1, 'renewed'])
  })

  it('forgets a login that somebody else has ended', async () => {
    const place = new Place()
    place.logIn()
    const tokens = place.tokens()
    await tokens.prepare(signal)
    place.put(undefined)
    expect(await tokens.prepare(signal)).toMatchObject({ reason: 'login-needed' })
    expect(tokens.login.authorization()).toBeUndefined()
  })

  it('keeps the scopes that calls lack until a login has them, and no more than a few', () => {
    const { wanted, login } = new Place().tokens()
    expect(login.lacks(['a', 'b'])).toMatchObject({ reason: 'scope-missing', message: expect.stringContaining('a b') })
    expect(wanted.takeNews()).toBe(true)
    expect(wanted.takeNews()).toBe(false)
    expect(wanted.mergeInto(['z'])).toEqual(['z', 'a', 'b'])
    wanted.granted(['a', 'z'])
    expect(wanted.mergeInto(['z', 'a', 'b'])).toEqual(['b'])
    login.lacks(Array.from({ length: 500 }, (_, index) => `s${index}`))
    expect(wanted.mergeInto([])).toHaveLength(50)
  })
})

describe('a login for another server', () => {
  it('is neither used nor renewed under the name that leads to it', async () => {
    const place = new Place()
    place.logIn()
    const { signal } = new AbortController()
    const here = place.tokens()
    await here.prepare(signal)
    expect(here.login.authorization()).toBeDefined()
    const elsewhere = place.tokens({ remote_url: 'https://elsewhere.test/mcp', remote_auth_config: { client_id: 'c' } })
    expect(await elsewhere.prepare(signal)).toMatchObject({ reason: 'login-needed' })
    await elsewhere.login.renew(undefined)
    expect([elsewhere.login.authorization(), place.renewals]).toEqual([undefined, 0])
    await Promise.all([here.close(), elsewhere.close()])
  })
})
