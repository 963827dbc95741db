/** How a client proves to a token endpoint who it is: RFC 8414, `token_endpoint_auth_methods_supported`. */
export type TokenAuthMethod = 'none' | 'client_secret_basic' | 'client_secret_post'

/** Who we are to an authorization server. It is of no use with another one. */
export interface ClientIdentity {
  clientId: string
  authMethod: TokenAuthMethod
  clientSecret?: string
  /** When the secret ends, RFC 3339; absent: never. */
  clientSecretExpiresAt?: string
  /** Where a registration is managed, and with what (RFC 7592). */
  registration?: { uri: string; accessToken: string }
  /** How it was come by. */
  kind: 'configured' | 'metadata-document' | 'registered'
}

/** What a login at the authorization server of a remote server left. All of it is secret. */
export interface RemoteGrant {
  /** Byte for byte as its metadata says. */
  issuer: string
  /** What the tokens are for: RFC 8707. */
  resource: string
  tokenEndpoint: string
  revocationEndpoint?: string
  client: ClientIdentity
  accessToken: string
  /** Absent when the authorization server gave none: then every expiry needs a login. */
  refreshToken?: string
  /** When the access token ends by this machine's clock, RFC 3339; absent when nobody said. */
  expiresAt?: string
  /** What was granted; what was asked for where the server did not say. */
  scopes: readonly string[]
  /** RFC 3339. */
  obtainedAt: string
}
