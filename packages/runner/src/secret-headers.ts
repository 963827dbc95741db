import { messageOf, namesSecrets, resolveHeaderSecrets, type RunConfig, type UserSecrets } from '@thv/core'
import { runnerLimits } from './limits.ts'

/** Where the secrets come from. */
export interface SecretHeaderDeps {
  userSecrets: UserSecrets
}

/** The headers that a remote server gets from secrets, looked up again when the store has changed. */
export class SecretHeaders {
  readonly #deps: SecretHeaderDeps
  readonly #config: RunConfig
  #headers: Readonly<Record<string, string>> = {}
  /** Of the store, when they were looked up. */
  #revision: string | undefined

  constructor(deps: SecretHeaderDeps, config: RunConfig) {
    this.#deps = deps
    this.#config = config
  }

  /** Whether one of them is a token. */
  get hasToken(): boolean {
    return Object.keys(this.#headers).some((name) => name.toLowerCase() === 'authorization')
  }

  headers(): Readonly<Record<string, string>> {
    return this.#headers
  }

  /** Resolves to why they cannot be looked up, without their values; those that could stay in use then. */
  async refresh(): Promise<string | undefined> {
    if (!namesSecrets(this.#config)) return undefined
    const { userSecrets } = this.#deps
    try {
      // Before the look: what changes meanwhile is looked up the next time.
      const revision = await userSecrets.store.revision()
      if (revision === this.#revision) return undefined
      this.#headers = await resolveHeaderSecrets(userSecrets, this.#config, AbortSignal.timeout(runnerLimits.secretMs))
      this.#revision = revision
      return undefined
    } catch (error) {
      return `a secret for the remote server cannot be used: ${messageOf(error)}`
    }
  }
}
