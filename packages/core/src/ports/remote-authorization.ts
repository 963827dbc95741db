import type { ClientIdentity, RemoteGrant } from '../domain/remote-grant.ts'

/** What is known of a remote server's authorization before it is asked. */
export interface AuthorizationTarget {
  /** URL of the MCP endpoint. */
  url: string
  /** Asked for in the place of what is discovered. */
  issuer?: string
  /** Both or none: nothing is discovered then, and no issuer is checked but that of answers. */
  endpoints?: { authorizeUrl: string; tokenUrl: string }
  /** Indicator in the place of the URL's own: RFC 8707. */
  resource?: string
  /** Authorities (PEM) in the place of Node's own. */
  ca?: string
}

/** Who gives out tokens for a remote server, and what it wants. Plain data: it may be kept and passed on. */
export interface AuthorizationPlan {
  issuer: string
  resource: string
  authorizationEndpoint: string
  tokenEndpoint: string
  registrationEndpoint?: string
  revocationEndpoint?: string
  /** The client may be a document at a URL: draft-ietf-oauth-client-id-metadata-document. */
  takesMetadataDocuments: boolean
  /** Answers of the authorization endpoint name their issuer, and one that does not is refused: RFC 9207. */
  namesIssuer: boolean
  /** Scopes of the challenge, else of the resource's metadata, but for those of OpenID Connect; empty when neither says. */
  scopes: readonly string[]
  /** Whether `offline_access` may be asked for. */
  takesOfflineAccess: boolean
  tokenAuthMethods: readonly string[]
  ca?: string
}

/** A login that waits for the answer of a browser. Holds secrets; never written to disk or a log. */
export interface PendingLogin {
  plan: AuthorizationPlan
  client: ClientIdentity
  redirectUri: string
  scopes: readonly string[]
  /** To be opened in a browser. */
  authorizationUrl: string
  state: string
  codeVerifier: string
}

/** What a login asks for. */
export interface LoginWishes {
  /** Where the browser is to end: `http://localhost:PORT/callback` or `http://127.0.0.1:PORT/callback`. */
  redirectUri: string
  scopes: readonly string[]
  /**
   * A client that is known already: configured, or registered before with the same issuer and redirect. A registered one
   * that the authorization server has forgotten is registered anew.
   */
  client?: ClientIdentity
  /** Where our client metadata document is; without it a client is registered. */
  metadataDocumentUrl?: string
  /** Further parameters of the authorization request. */
  parameters?: Readonly<Record<string, string>>
  /** Name of the scope parameter; default `scope`. */
  scopeParameter?: string
}

/**
 * Speaks OAuth for MCP with the authorization server of a remote server. Every method is bounded in time and in bytes,
 * follows no redirect to another origin, and rejects with `login-failed` (what happened, why, what to do; never a secret)
 * or with the signal's reason. `refresh` rejects with `RefreshError`.
 */
export interface RemoteAuthorization {
  /** Finds out who protects the server: its challenge, its metadata (RFC 9728), that of its issuer. Undefined: nobody does. */
  discover(target: AuthorizationTarget, signal: AbortSignal): Promise<AuthorizationPlan | undefined>
  /** Becomes a client where none is known, and builds the URL for the browser. */
  begin(plan: AuthorizationPlan, wishes: LoginWishes, signal: AbortSignal): Promise<PendingLogin>
  /** Checks what the browser brought (state, issuer, error) and exchanges the code. */
  finish(pending: PendingLogin, callback: URL, signal: AbortSignal): Promise<RemoteGrant>
  /** Gets a new access token. The old grant is of no use afterwards when the refresh token was rotated. */
  refresh(grant: RemoteGrant, options: { ca?: string }, signal: AbortSignal): Promise<RemoteGrant>
  /** Tells the authorization server that the grant is not needed any more (RFC 7009); a server without that is fine. */
  revoke(grant: RemoteGrant, options: { ca?: string }, signal: AbortSignal): Promise<void>
}

/** Why a token could not be renewed. */
export class RefreshError extends Error {
  /**
   * `transient`: the network, a 5xx, 429, or an answer that is no OAuth answer; the same grant may work later.
   * `permanent`: the authorization server says no, and only a login helps.
   */
  readonly kind: 'transient' | 'permanent'
  /** The old grant with another secret of its client, which counts from now on: to be kept. Undefined: nothing has changed. */
  readonly grant: RemoteGrant | undefined

  constructor(
    kind: 'transient' | 'permanent',
    message: string,
    options: { cause?: unknown; grant?: RemoteGrant } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.name = 'RefreshError'
    this.kind = kind
    this.grant = options.grant
  }
}
