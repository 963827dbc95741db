import {
  authorizationUrlProblem,
  resourceIndicator,
  withTimeLimit,
  type AuthorizationPlan,
  type AuthorizationTarget,
} from '@thv/core'
import { askServer, type ServerAnswer } from './ask-server.ts'
import type { HttpOptions } from './bounded-request.ts'
import { buildPlan, type ServerPart } from './build-plan.ts'
import { findIssuerMetadata, findOriginMetadata } from './issuer-metadata.ts'
import { loginFailed, shownUrl } from './login-failed.ts'
import { oauthLimits } from './oauth-limits.ts'
import { findResourceMetadata, type ResourceMetadata } from './resource-metadata.ts'
import { createUrlCheck, type Resolve, type UrlCheck } from './url-check.ts'

/** How the world is reached. */
export interface DiscoverDeps {
  http: HttpOptions
  resolve?: Resolve | undefined
}

/** As `RemoteAuthorization.discover`. */
export async function discoverAuthorization(
  deps: DiscoverDeps,
  target: AuthorizationTarget,
  outer: AbortSignal,
): Promise<AuthorizationPlan | undefined> {
  if (target.endpoints !== undefined) return configuredPlan(target, target.endpoints)
  const signal = withTimeLimit(outer, oauthLimits.discoveryMs)
  try {
    return await discoverWithin(deps, target, signal)
  } catch (error) {
    outer.throwIfAborted()
    if (!signal.aborted) throw error
    throw loginFailed('finding out who gives tokens for the remote server takes too long', 'try again later')
  }
}

async function discoverWithin(
  deps: DiscoverDeps,
  target: AuthorizationTarget,
  signal: AbortSignal,
): Promise<AuthorizationPlan | undefined> {
  const search: Search = {
    http: deps.http,
    check: await createUrlCheck({ dialerOf: deps.http.dialerOf, resolve: deps.resolve }, target.url),
    target,
    signal,
  }
  const answer = await askServer(search.http, target.url, signal)
  const metadata = await findResourceMetadata(
    search.http,
    { serverUrl: target.url, metadataUrl: answer.metadataUrl, configured: target.resource },
    signal,
  )
  const server = serverPart(target, answer, metadata)
  if (target.issuer !== undefined) return await planOf(search, target.issuer, server)
  if (metadata !== undefined && metadata.issuers.length > 0) return await planOfFirst(search, metadata.issuers, server)
  if (answer.isRefusal) return await planOfOrigin(search, server)
  if (answer.status < 500) return undefined
  throw loginFailed(
    `the remote server does not say who may log in: it answers with the status ${answer.status}`,
    'try again when it works',
  )
}

interface Search {
  http: HttpOptions
  check: UrlCheck
  target: AuthorizationTarget
  signal: AbortSignal
}

/** Endpoints of the user: nothing is asked, so nobody knows whether PKCE is looked at there. */
function configuredPlan(
  target: AuthorizationTarget,
  { authorizeUrl, tokenUrl }: { authorizeUrl: string; tokenUrl: string },
): AuthorizationPlan {
  for (const url of [authorizeUrl, tokenUrl]) {
    const problem = authorizationUrlProblem(url, true)
    if (problem !== undefined)
      throw loginFailed(`the endpoint ${shownUrl(url)} cannot be used: ${problem}`, 'use https')
  }
  return {
    ...serverPart(target, { isRefusal: true, status: 401, scopes: [] }, undefined),
    ...unknownServer(target.issuer ?? new URL(tokenUrl).origin),
    authorizationEndpoint: authorizeUrl,
    tokenEndpoint: tokenUrl,
  }
}

function serverPart(
  target: AuthorizationTarget,
  answer: ServerAnswer,
  metadata: ResourceMetadata | undefined,
): ServerPart {
  const scopes = answer.scopes.length > 0 ? answer.scopes : (metadata?.scopes ?? [])
  return {
    resource: target.resource ?? metadata?.resource ?? resourceIndicator(target.url),
    // An id token is of no use here, and would have to be checked.
    scopes: scopes.filter((scope) => scope !== 'openid' && scope !== 'offline_access'),
    ...(target.ca === undefined ? {} : { ca: target.ca }),
  }
}

async function planOf({ http, check, signal }: Search, issuer: string, server: ServerPart): Promise<AuthorizationPlan> {
  const problem = await check.issuerProblemOf(issuer)
  if (problem !== undefined) {
    throw loginFailed(
      `the authorization server ${shownUrl(issuer)} cannot be used: ${problem}`,
      'ask whoever runs the remote server, or pass --remote-auth-issuer',
    )
  }
  const metadata = await findIssuerMetadata(http, issuer, signal)
  if (metadata !== undefined) return await buildPlan(metadata, server, check)
  throw loginFailed(
    `the authorization server ${issuer} has no metadata`,
    'check its URL, or pass --remote-auth-authorize-url and --remote-auth-token-url',
  )
}

/** The first that works; what was wrong with the first is told when none does. */
async function planOfFirst(search: Search, issuers: readonly string[], server: ServerPart): Promise<AuthorizationPlan> {
  const failures: unknown[] = []
  for (const issuer of issuers.slice(0, oauthLimits.issuers)) {
    try {
      return await planOf(search, issuer, server)
    } catch (error) {
      search.signal.throwIfAborted()
      failures.push(error)
    }
  }
  throw failures[0]
}

/** Servers of 2025-03-26 are their own authorization servers, and need no metadata for it. */
async function planOfOrigin({ http, check, target, signal }: Search, server: ServerPart): Promise<AuthorizationPlan> {
  const { origin } = new URL(target.url)
  const problem = await check.issuerProblemOf(origin)
  if (problem !== undefined) {
    throw loginFailed(
      `the remote server names no authorization server and cannot be its own: ${problem}`,
      'pass --remote-auth-issuer, or a token with --remote-auth-bearer-token-file',
    )
  }
  const metadata = await findOriginMetadata(http, origin, signal)
  if (metadata !== undefined) return await buildPlan(metadata, server, check)
  return {
    ...server,
    ...unknownServer(origin),
    authorizationEndpoint: `${origin}/authorize`,
    tokenEndpoint: `${origin}/token`,
    registrationEndpoint: `${origin}/register`,
  }
}

/** Of an authorization server without metadata. */
function unknownServer(
  issuer: string,
): Pick<
  AuthorizationPlan,
  'issuer' | 'takesMetadataDocuments' | 'namesIssuer' | 'takesOfflineAccess' | 'tokenAuthMethods'
> {
  return {
    issuer,
    takesMetadataDocuments: false,
    namesIssuer: false,
    takesOfflineAccess: false,
    tokenAuthMethods: ['none', 'client_secret_basic', 'client_secret_post'],
  }
}
