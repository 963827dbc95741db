import { addressKind } from './address-kind.ts'
import { isNearby } from './remote-url.ts'

/**
 * Why a URL that a remote server or its authorization server named is not used; undefined when it may be. It has to be
 * https, or http to this machine. A server on the internet may not name what is near, so that it cannot make us speak to
 * the private network; `isNearTarget` says that the server itself is there.
 */
export function authorizationUrlProblem(text: string, isNearTarget: boolean): string | undefined {
  // The parser would leave out or encode what else is in there, and the text goes into messages.
  if (!/^[\x21-\x7e]+$/.test(text) || !URL.canParse(text)) return 'it is not a URL'
  const url = new URL(text)
  const isLoopback = isThisMachine(url.hostname)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback)) return 'it is not https'
  if (url.username !== '' || url.password !== '') return 'it carries a user or a password'
  if (url.hash !== '') return 'it has a fragment'
  if (!isNearTarget && isNearby(url.hostname)) return 'it is in a private network, and the server is not'
  return undefined
}

/** Why a text is no issuer identifier (RFC 8414 2); undefined when it is one that may be used. */
export function issuerProblem(text: string, isNearTarget: boolean): string | undefined {
  const problem = authorizationUrlProblem(text, isNearTarget)
  if (problem !== undefined) return problem
  return text.includes('?') ? 'it has a query' : undefined
}

function isThisMachine(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '')
  return host === 'localhost' || host.endsWith('.localhost') || addressKind(host) === 'loopback'
}
