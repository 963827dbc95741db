import { lookup } from 'node:dns/promises'
import { addressKind, authorizationUrlProblem, isNearby, issuerProblem } from '@thv/core'
import type { DialerOf } from './bounded-request.ts'
import { oauthLimits } from './oauth-limits.ts'

/** Addresses of a host; the system's resolver unless a test says otherwise. */
export type Resolve = (host: string) => Promise<string[]>

/** Says why a URL that a server named may not be used; undefined when it may. */
export interface UrlCheck {
  problemOf(url: string): Promise<string | undefined>
  issuerProblemOf(issuer: string): Promise<string | undefined>
}

/**
 * Makes the check for one remote server: what is named by a server on the internet must not lead into the private network,
 * neither by its name nor by the addresses of that name. Behind a proxy the names alone are looked at, because the proxy
 * resolves them.
 */
export async function createUrlCheck(
  { dialerOf, resolve = systemResolver }: { dialerOf: DialerOf; resolve?: Resolve | undefined },
  serverUrl: string,
): Promise<UrlCheck> {
  const isNearAddress = async (url: string): Promise<boolean> => {
    const host = new URL(url).hostname
    if (dialerOf(host) !== undefined) return false
    const addresses = await addressesOf(resolve, host.replace(/^\[|\]$/g, ''))
    return addresses.some((address) => addressKind(address) !== 'public')
  }
  const isNear = isNearby(new URL(serverUrl).hostname) || (await isNearAddress(serverUrl))
  const addressProblem = async (url: string): Promise<string | undefined> =>
    !isNear && (await isNearAddress(url))
      ? 'its address is in a private network, and that of the server is not'
      : undefined
  return {
    problemOf: async (url) => authorizationUrlProblem(url, isNear) ?? (await addressProblem(url)),
    issuerProblemOf: async (issuer) => issuerProblem(issuer, isNear) ?? (await addressProblem(issuer)),
  }
}

async function systemResolver(host: string): Promise<string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address)
}

/** Empty for a name that cannot be resolved: the request that follows says why. */
async function addressesOf(resolve: Resolve, host: string): Promise<string[]> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<string[]>((done) => {
    timer = setTimeout(() => done([]), oauthLimits.requestMs)
  })
  try {
    return await Promise.race([resolve(host).catch(() => []), late])
  } finally {
    clearTimeout(timer)
  }
}
