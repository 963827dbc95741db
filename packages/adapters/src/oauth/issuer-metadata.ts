import { issuerMetadataUrls } from '@thv/core'
import { processDiscoveryResponse, type AuthorizationServer } from 'oauth4webapi'
import type { HttpOptions } from './bounded-request.ts'
import { loginFailed } from './login-failed.ts'
import { readDocument } from './read-document.ts'

/**
 * Finds the metadata of an issuer: RFC 8414 and OpenID Connect, in the order of MCP. Undefined when there is none. Rejects
 * with `login-failed` when a document names another issuer, byte for byte: with it, one server could pass for another.
 */
export async function findIssuerMetadata(
  http: HttpOptions,
  issuer: string,
  signal: AbortSignal,
): Promise<AuthorizationServer | undefined> {
  return await findMetadata(http, { identifier: issuer, accepted: [issuer] }, signal)
}

/**
 * The same for the origin of a server of 2025-03-26, which names no issuer: then nobody can know whether it is written with
 * a slash at its end.
 */
export async function findOriginMetadata(
  http: HttpOptions,
  origin: string,
  signal: AbortSignal,
): Promise<AuthorizationServer | undefined> {
  return await findMetadata(http, { identifier: origin, accepted: [origin, `${origin}/`] }, signal)
}

async function findMetadata(
  http: HttpOptions,
  { identifier, accepted }: { identifier: string; accepted: readonly string[] },
  signal: AbortSignal,
): Promise<AuthorizationServer | undefined> {
  for (const url of issuerMetadataUrls(identifier)) {
    const document = await readDocument(http, url, signal)
    if (typeof document?.['issuer'] !== 'string') continue
    // The library compares URLs, not bytes.
    if (!accepted.includes(document['issuer'])) throw mismatch(url, identifier)
    return await processDiscoveryResponse(new URL(identifier), Response.json(document))
  }
  return undefined
}

function mismatch(url: string, identifier: string): Error {
  return loginFailed(
    `the authorization server does not say that it is ${identifier}: the metadata at ${url} names another issuer`,
    'do not log in there; ask whoever runs the remote server, or pass --remote-auth-issuer when you know the right one',
  )
}
