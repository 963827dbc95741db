import { parseBearerToken, type RunConfig } from '@thv/core'
import { SecretHeaders, type SecretHeaderDeps } from './secret-headers.ts'

/** Where a token comes from. */
export interface CredentialDeps extends SecretHeaderDeps {
  /** Reads a file of the user; rejects when it cannot. */
  readUserFile: (path: string) => Promise<string>
  /** The token of the environment, when no file is named. */
  environmentToken: string | undefined
}

const noToken: Readonly<Record<string, string>> = {}

/**
 * What is told a remote server about us. The file of a token is read again before each probe, and secrets when they have
 * changed, so that a new token is taken up without a restart.
 */
export class RemoteCredentials {
  readonly #deps: CredentialDeps
  readonly #file: string | undefined
  /** A variable of the shell may be meant for any server, so it is used only where the workload was run with it. */
  readonly #isForUs: boolean
  readonly #fixed: Readonly<Record<string, string>>
  readonly #secrets: SecretHeaders
  #token = noToken
  #headers: Readonly<Record<string, string>>

  constructor(deps: CredentialDeps, config: RunConfig) {
    this.#deps = deps
    const file = config.remote_auth_config?.bearer_token_file
    this.#file = file === '' ? undefined : file
    this.#isForUs = config.thv?.token_from_environment === true
    this.#fixed = config.header_forward?.add_plaintext_headers ?? {}
    this.#secrets = new SecretHeaders(deps, config)
    this.#headers = this.#fixed
  }

  /** Whether a token is sent. */
  get hasToken(): boolean {
    return this.#token !== noToken || this.#secrets.hasToken
  }

  /** For every request to the remote server. */
  headers(): Readonly<Record<string, string>> {
    return this.#headers
  }

  /** Reads the token again. Resolves to why it cannot be used; the last one that could stays in use then. */
  async refresh(): Promise<string | undefined> {
    const problem = await this.#secrets.refresh()
    return problem ?? (await this.#readToken())
  }

  async #readToken(): Promise<string | undefined> {
    const { environmentToken, readUserFile } = this.#deps
    if (this.#file === undefined) {
      return this.#use(this.#isForUs ? environmentToken : undefined, 'the token in TOOLHIVE_REMOTE_AUTH_BEARER_TOKEN')
    }
    try {
      return this.#use(await readUserFile(this.#file), `the token in '${this.#file}'`)
    } catch (error) {
      const why = error instanceof Error && 'code' in error ? String(error.code) : 'it is no readable file'
      return `the token file '${this.#file}' cannot be read: ${why}`
    }
  }

  #use(text: string | undefined, what: string): string | undefined {
    if (text === undefined) return this.#send(noToken)
    const token = parseBearerToken(text)
    if (token === undefined) return `${what} is empty or has characters that no header can hold`
    return this.#send({ Authorization: `Bearer ${token}` })
  }

  #send(token: Readonly<Record<string, string>>): undefined {
    this.#token = token
    this.#headers = { ...this.#fixed, ...this.#secrets.headers(), ...token }
  }
}
