import {
  isGrantFor,
  isUsable,
  limits,
  messageOf,
  RefreshError,
  renewalDueMs,
  retryDelayMs,
  type Clock,
  type RemoteGrant,
  type RunConfig,
} from '@thv/core'
import type { Refusal, RemoteLogin } from '@thv/proxy'
import { referenceOf } from './adopt-grant.ts'
import { runnerLimits } from './limits.ts'
import { isSameGrant, renewGrant, saveGrant, type RenewDeps } from './renew-grant.ts'
import { refusalOf, troubleOf, type TokenTrouble } from './token-trouble.ts'
import { WantedScopes } from './wanted-scopes.ts'

/** What a token source needs of the outside. */
export interface TokenDeps extends RenewDeps {
  clock: Clock
  /** In [0, 1). */
  random: () => number
}

/**
 * The tokens of one remote workload that takes a login. It renews them ahead of their end and when the server refuses one,
 * and takes up what other processes renew and log in. It starts nothing by itself: the health monitor asks it regularly,
 * and the proxy when a token was refused.
 */
export class RemoteTokens {
  readonly #deps: TokenDeps
  readonly #config: RunConfig & { remote_url: string }
  readonly #reference: string
  /** The config says that there is, or is to be, a login. */
  readonly #isConfigured: boolean
  readonly wanted = new WantedScopes()
  #grant: RemoteGrant | undefined
  /** Where in its span a token is renewed. */
  #chance: number
  /** Of the store when it was last read. */
  #revision: string | undefined
  /** The server wants a login, though nobody said so. */
  #isAskedFor = false
  #refused: string | undefined
  /** What was renewed is refused all the same: the server is asked on with it, and no further renewal would help. */
  #isBarren = false
  /** Until then a refused token is not renewed: the one before it, which was as new, was refused too. */
  #isBarrenUntilMs = -Infinity
  /** Nothing but a login helps. */
  #isOver = false
  #why: TokenTrouble | undefined
  #failures = 0
  #nextTryMs = -Infinity
  #flight: Promise<void> | undefined
  /** What could not be written, and in the place of what. */
  #unsaved: { old: RemoteGrant | undefined; grant: RemoteGrant } | undefined
  #told = ''

  constructor(deps: TokenDeps, config: RunConfig & { remote_url: string }) {
    this.#deps = deps
    this.#config = config
    this.#reference = referenceOf(config)
    this.#isConfigured = asksForLogin(config)
    this.#chance = deps.random()
  }

  /** For the connections to the server. */
  readonly login: RemoteLogin = {
    isOurs: () => this.#isOurs,
    authorization: () => this.#authorization,
    renew: async (refused) => await this.#renewFor(refused),
    giveUp: (refused) => this.#giveUp(refused),
    lacks: (scopes) => this.#lacks(scopes),
  }

  /** Why calls cannot be made; undefined while there is a token that may be taken, and where the login is not ours. */
  get trouble(): TokenTrouble | undefined {
    if (!this.#isOurs || (this.#authorization !== undefined && !this.#isBarren)) return undefined
    return this.#why ?? noLogin
  }

  /** The same for clients. */
  get refusal(): Refusal | undefined {
    const { trouble } = this
    return trouble === undefined ? undefined : refusalOf(trouble, this.#config.name)
  }

  /** How often {@link hasNews} wants to be asked. */
  get pollMs(): number {
    const isWaiting = this.#isAskedFor || this.trouble !== undefined
    return isWaiting ? Math.min(limits.tokenPollMs, limits.wakeCheckMs) : limits.wakeCheckMs
  }

  /**
   * Before the server is asked: reads what others have written, and waits for a token where there is none. Resolves to why the
   * server cannot be asked.
   */
  async prepare(signal: AbortSignal): Promise<TokenTrouble | undefined> {
    if (this.#isActive) {
      if (this.#why?.reason === 'token-unreadable') this.#revision = undefined
      await this.#poll(signal)
      const flight = this.#renewIfDue()
      if (this.#authorization === undefined) await flight
    }
    this.#told = this.#state
    return this.#authorization === undefined ? this.trouble : undefined
  }

  /** In between: whether something has changed that makes another look at the server worth while. */
  async hasNews(signal: AbortSignal): Promise<boolean> {
    if (!this.#isActive) return false
    if (this.pollMs < limits.wakeCheckMs) await this.#poll(signal)
    void this.#renewIfDue()
    return this.#state !== this.#told
  }

  /** What the server said to a probe. */
  noteLook(code: 'alive' | 'unauthorized'): void {
    if (code === 'alive') {
      this.#isBarren = false
      this.#isAskedFor = false
    } else this.#isAskedFor = true
  }

  /** The machine slept: what failed before says nothing about now. */
  woken(): void {
    this.#nextTryMs = -Infinity
  }

  /** Lets a renewal end that is under way: its answer may be the only one. Bounded. */
  async close(): Promise<void> {
    if (this.#flight === undefined) return
    const end = new AbortController()
    const late = this.#deps.clock.sleep(runnerLimits.renewalEndMs, end.signal).catch(() => undefined)
    await Promise.race([this.#flight, late])
    end.abort()
  }

  get #isOurs(): boolean {
    return this.#grant !== undefined || this.#isConfigured
  }

  get #isActive(): boolean {
    return this.#isOurs || this.#isAskedFor
  }

  get #authorization(): string | undefined {
    const grant = this.#grant
    if (grant === undefined || grant.accessToken === '' || grant.accessToken === this.#refused) return undefined
    return isUsable(grant, this.#deps.clock.now()) ? bearer(grant) : undefined
  }

  /** All that a look at the server depends on. */
  get #state(): string {
    return `${this.#isOurs} ${this.#authorization !== undefined} ${this.#isBarren} ${this.trouble?.reason}`
  }

  async #poll(signal: AbortSignal): Promise<void> {
    try {
      if (this.#unsaved !== undefined) return await this.#saveAgain(this.#unsaved, signal)
      const { grants } = await this.#deps.logins()
      const revision = await grants.revision()
      if (revision === this.#revision) return
      this.#revision = revision
      const found = await grants.read(this.#reference, signal)
      const grant = found !== undefined && isGrantFor(found, this.#config) ? found : undefined
      if (!isSameGrant(grant, this.#grant) || this.#why?.reason === 'token-unreadable') this.#take(grant)
      // Another program may have logged in, which is tried once.
      if (grant === undefined) this.#isOver = false
    } catch (error) {
      if (signal.aborted) throw error
      if (this.#grant === undefined && this.#isConfigured) this.#why = troubleOf(error, false)
      this.#deps.log('debug', 'the login of the remote server cannot be read', { error: messageOf(error) })
    }
  }

  /** The flight that is under way, or that had to begin now. */
  #renewIfDue(): Promise<void> | undefined {
    const { clock } = this.#deps
    if (this.#flight !== undefined) return this.#flight
    if (this.#isOver || clock.monotonicMs() < this.#nextTryMs) return undefined
    if (this.#grant === undefined && !this.#isConfigured) return undefined
    const isAhead = this.#authorization !== undefined
    if (isAhead && this.#grant !== undefined) {
      if (this.#grant.refreshToken === undefined) return undefined
      if (clock.now().getTime() < renewalDueMs(this.#grant, this.#chance)) return undefined
    }
    return this.#renew()
  }

  #renew(): Promise<void> {
    this.#flight ??= this.#attempt()
    return this.#flight
  }

  /** Never rejects. */
  async #attempt(): Promise<void> {
    const known = this.#grant
    const mayUse = (grant: RemoteGrant): boolean => this.#mayUse(grant)
    try {
      const { grant, isSaved } = await renewGrant(this.#deps, { config: this.#config, known, mayUse })
      this.#take(grant)
      if (!isSaved && grant !== undefined) this.#unsaved = { old: known, grant }
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#flight = undefined
    }
  }

  async #saveAgain(unsaved: { old: RemoteGrant | undefined; grant: RemoteGrant }, signal: AbortSignal): Promise<void> {
    const grant = await saveGrant(this.#deps, this.#config, unsaved, signal)
    this.#unsaved = undefined
    if (!isSameGrant(grant, this.#grant)) this.#take(grant)
  }

  #mayUse(grant: RemoteGrant): boolean {
    return grant.accessToken !== '' && grant.accessToken !== this.#refused && isUsable(grant, this.#deps.clock.now())
  }

  #take(grant: RemoteGrant | undefined): void {
    this.#grant = grant
    this.#chance = this.#deps.random()
    this.#refused = undefined
    this.#isBarren = false
    this.#isBarrenUntilMs = -Infinity
    // Without one there is nothing to try until somebody logs in.
    this.#isOver = grant === undefined
    this.#why = undefined
    this.#failures = 0
    this.#nextTryMs = -Infinity
    if (grant !== undefined) this.wanted.granted(grant.scopes)
  }

  #fail(error: unknown): void {
    const { clock, random, log } = this.#deps
    this.#failures += 1
    const isPermanent = error instanceof RefreshError && error.kind === 'permanent'
    const delayMs = isPermanent ? undefined : retryDelayMs(this.#failures, random())
    this.#isOver = delayMs === undefined
    this.#nextTryMs = clock.monotonicMs() + (delayMs ?? 0)
    this.#why = troubleOf(error, this.#isOver)
    // No other will come, so the server is asked on with this one: it may change its mind.
    if (this.#isOver && this.#refused !== undefined) {
      this.#refused = undefined
      this.#isBarren = true
    }
    log('warn', 'the login of the remote server was not renewed', { error: this.#why.message, tries: this.#failures })
  }

  async #renewFor(refused: string | undefined): Promise<Refusal | undefined> {
    const grant = this.#grant
    if (refused !== undefined && grant !== undefined && refused === bearer(grant) && !this.#isBarren) {
      // Who lets probes in and no calls would have it renewed after each probe.
      if (this.#deps.clock.monotonicMs() < this.#isBarrenUntilMs) return this.#giveUp(refused)
      this.#refused = grant.accessToken
    }
    if (this.#authorization === undefined) await this.#renewIfDue()
    return this.#authorization === undefined || this.#isBarren ? this.refusal : undefined
  }

  #giveUp(refused: string): Refusal {
    if (this.#grant !== undefined && refused === bearer(this.#grant)) {
      this.#isBarren = true
      this.#isBarrenUntilMs = this.#deps.clock.monotonicMs() + limits.tokenTickMs
      this.#why = { kind: 'denied', reason: 'login-needed', message: stillRefused }
    }
    return this.refusal ?? { message: stillRefused, retryAfterS: 1 }
  }

  #lacks(scopes: readonly string[]): Refusal {
    this.wanted.lacks(scopes)
    const message = `the login lacks a scope that the remote server asks for: ${scopes.join(' ')}`
    const named = scopes.length === 0 ? 'the login lacks a scope, which the remote server does not name' : message
    return refusalOf(
      { kind: 'denied', reason: 'scope-missing', message: named.slice(0, limits.reasonLength) },
      this.#config.name,
    )
  }
}

const stillRefused = 'the remote server refuses the token (HTTP 401), although it has just been renewed'
const noLogin: TokenTrouble = { kind: 'denied', reason: 'login-needed', message: 'nobody has logged in to it yet' }

/** A config that only has a name for the grant may be of a server that wants no login. */
function asksForLogin({ remote_auth_config: auth = {} }: RunConfig): boolean {
  const { issuer, authorize_url, client_id, cached_client_id, cached_cimd_client_id, scopes = [] } = auth
  const texts = [issuer, authorize_url, client_id, cached_client_id, cached_cimd_client_id]
  return scopes.length > 0 || texts.some((value) => value !== undefined && value !== '')
}

function bearer({ accessToken }: RemoteGrant): string {
  return `Bearer ${accessToken}`
}
