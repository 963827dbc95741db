import { parseRemoteUrl } from './remote-url.ts'

/**
 * How a run config says that a remote server is logged in to (`remote_auth_config`): spec/local 11.2. Secrets are
 * never in it, but the names of secrets are.
 */
export interface RemoteAuthConfig {
  /** `NAME,target=bearer_token`: the secret that holds a token. */
  bearer_token?: string
  bearer_token_file?: string
  /** In the place of what the server names. */
  issuer?: string
  /** Both in the place of an issuer. */
  authorize_url?: string
  token_url?: string
  /** A client that was set up by hand; an https URL is that of a client metadata document. */
  client_id?: string
  /** `NAME,target=oauth_secret`: the secret that holds it. */
  client_secret?: string
  /** Absolute path; read at each login. */
  client_secret_file?: string
  /** In the place of what the server names. */
  scopes?: string[]
  /** Default `scope`. */
  scope_param_name?: string
  /** In the place of the URL: RFC 8707. */
  resource?: string
  /** Further parameters of the authorization request. */
  oauth_params?: Record<string, string>
  skip_browser?: boolean
  /** Time for a login at `thv run`, in nanoseconds. */
  timeout?: number
  callback_port?: number
  /** Name of the secret that holds the grant. Workloads with the same one share it. */
  cached_refresh_token_ref?: string
  /** Of the last login: which client it was done as. */
  cached_client_id?: string
  cached_cimd_client_id?: string
  cached_token_auth_method?: string
  /** The port that a registered client has said it listens on. */
  cached_dcr_callback_port?: number
  [key: string]: unknown
}

/** Prefixes of the names that secrets of workloads get: spec/local 9.3. */
export const grantPrefix = 'OAUTH_REFRESH_TOKEN_'
export const clientSecretPrefix = 'OAUTH_CLIENT_SECRET_'

/** What ToolHive calls the use of a client secret. */
export const clientSecretTarget = 'oauth_secret'

/** What a run config says of a client secret in the secret store. */
export function formatClientSecret(name: string): string {
  return `${name},target=${clientSecretTarget}`
}

/** The name of the secret; undefined for what is no such reference. */
export function parseClientSecret(text: string): string | undefined {
  return /^([^,\0]+),target=.+$/.exec(text)?.[1]
}

/** What is wrong with the types of the keys about a login; undefined when nothing is. */
export function remoteAuthProblem(auth: Readonly<Record<string, unknown>>): string | undefined {
  for (const key of texts) if (!isAbsentOr(auth[key], 'string')) return `'remote_auth_config.${key}' is not a string`
  for (const key of ports) {
    if (auth[key] !== undefined && !isPort(auth[key])) return `'remote_auth_config.${key}' is not a port number`
  }
  if (!isAbsentOr(auth['skip_browser'], 'boolean')) return "'remote_auth_config.skip_browser' is not a boolean"
  if (!isAbsentOr(auth['timeout'], 'number')) return "'remote_auth_config.timeout' is not a number"
  const { scopes, oauth_params: parameters } = auth
  if (isSet(scopes) && !(Array.isArray(scopes) && scopes.every((scope) => typeof scope === 'string'))) {
    return "'remote_auth_config.scopes' is not a list of strings"
  }
  if (isSet(parameters) && !isTextMap(parameters)) return "'remote_auth_config.oauth_params' is not a map of strings"
  return undefined
}

/** What makes no sense about a login; undefined when nothing does. Its values are not repeated: they may be secrets. */
export function loginProblem(auth: RemoteAuthConfig): string | undefined {
  const secret = auth.client_secret ?? ''
  if (secret !== '' && parseClientSecret(secret) === undefined) {
    return "'client_secret' is not the name of a secret, NAME,target=oauth_secret"
  }
  return exclusionProblem(auth) ?? urlProblem(auth)
}

const texts = [
  'bearer_token',
  'bearer_token_file',
  'issuer',
  'authorize_url',
  'token_url',
  'client_id',
  'client_secret',
  'client_secret_file',
  'scope_param_name',
  'resource',
  'cached_refresh_token_ref',
  'cached_client_id',
  'cached_cimd_client_id',
  'cached_token_auth_method',
]
const ports = ['callback_port', 'cached_dcr_callback_port']
const urls = ['issuer', 'authorize_url', 'token_url']

function exclusionProblem(auth: RemoteAuthConfig): string | undefined {
  const has = (key: string): boolean => isSet(auth[key])
  if (has('issuer') && (has('authorize_url') || has('token_url'))) {
    return 'an issuer and the URLs of endpoints exclude each other'
  }
  if (has('authorize_url') !== has('token_url')) {
    return 'the URL of an authorization endpoint has no meaning without that of a token endpoint, nor the other way round'
  }
  if (has('client_secret') && has('client_secret_file')) return 'a client secret and its file exclude each other'
  if ((has('client_secret') || has('client_secret_file')) && !has('client_id')) {
    return 'a client secret has no meaning without a client id'
  }
  return undefined
}

/** A login crosses the internet with TLS only, as the server itself does. */
function urlProblem(auth: RemoteAuthConfig): string | undefined {
  for (const key of urls) {
    const url = auth[key]
    if (typeof url !== 'string' || url === '') continue
    try {
      parseRemoteUrl(url)
    } catch {
      return `'${key}' is no https URL without a user, a password and a fragment`
    }
  }
  return undefined
}

function isTextMap(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Object.values(value).every((entry) => typeof entry === 'string')
}

function isAbsentOr(value: unknown, type: 'string' | 'boolean' | 'number'): boolean {
  return value === undefined || value === null || typeof value === type
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== ''
}

function isPort(value: unknown): boolean {
  return value === null || (Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 65_535)
}
