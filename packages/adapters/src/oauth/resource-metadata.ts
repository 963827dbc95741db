import { coversServer, readScopes, resourceMetadataUrls } from '@thv/core'
import type { HttpOptions } from './bounded-request.ts'
import { loginFailed, shownUrl } from './login-failed.ts'
import { readDocument } from './read-document.ts'

/** What the metadata of a protected resource says that matters here: RFC 9728 2. */
export interface ResourceMetadata {
  resource: string
  issuers: readonly string[]
  scopes: readonly string[]
}

/** Whose metadata is looked for. */
export interface WantedResource {
  serverUrl: string
  /** URL of its challenge; one at another origin than the server's is not asked. */
  metadataUrl?: string | undefined
  /** Indicator that the user configured; metadata of it is fine too. */
  configured?: string | undefined
}

/**
 * Finds the metadata of the server: at the URL of its challenge, then at the well-known ones. Undefined when there is none.
 * Rejects with `login-failed` when it is about another resource. oauth4webapi reads such documents too, but knows no
 * resource that the server is only a part of, which MCP allows.
 */
export async function findResourceMetadata(
  http: HttpOptions,
  wanted: WantedResource,
  signal: AbortSignal,
): Promise<ResourceMetadata | undefined> {
  for (const url of candidates(wanted)) {
    const document = await readDocument(http, url, signal)
    if (typeof document?.['resource'] !== 'string') continue
    const { resource, authorization_servers: issuers, scopes_supported: scopes } = document
    if (resource !== wanted.configured && !coversServer(resource, wanted.serverUrl)) throw mismatch(resource, url)
    const named: unknown[] = Array.isArray(issuers) ? issuers : []
    return {
      resource,
      issuers: named.filter((issuer) => typeof issuer === 'string'),
      scopes: readScopes(scopes),
    }
  }
  return undefined
}

function candidates({ serverUrl, metadataUrl }: WantedResource): string[] {
  const wellKnown = resourceMetadataUrls(serverUrl)
  if (metadataUrl === undefined || !URL.canParse(metadataUrl)) return wellKnown
  const named = new URL(metadataUrl)
  if (named.origin !== new URL(serverUrl).origin) return wellKnown
  return [named.href, ...wellKnown.filter((url) => url !== named.href)]
}

function mismatch(resource: string, url: string): Error {
  return loginFailed(
    `the remote server describes itself as another one: ${shownUrl(url)} is about ${shownUrl(resource)}`,
    'use the URL that it names, or pass --remote-auth-resource when that is what its tokens are for',
  )
}
