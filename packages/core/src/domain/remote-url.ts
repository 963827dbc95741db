import { ThvError } from '../errors.ts'
import { addressKind } from './address-kind.ts'
import { sanitizeWorkloadName } from './workload-name.ts'

/** Where a remote server is, in the parts that a proxy needs. */
export interface RemoteTarget {
  /** Scheme, host and port. */
  origin: string
  /** `/…` */
  path: string
  /** Without the question mark; may be empty. */
  query: string
}

/**
 * Reads the URL of a remote server. Throws `invalid-argument` for what is no URL, has a user,
 * a password, a fragment or port 0, or would cross the internet without TLS.
 */
export function parseRemoteUrl(text: string): RemoteTarget {
  // A parser of URLs drops tabs and line ends without a word: what was meant is not known.
  if (/\p{Cc}/u.test(text)) throw refused('it has control characters', 'write it on one line')
  if (!URL.canParse(text)) throw refused('it is not a URL', 'write it as https://host/path')
  const url = new URL(text)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refused('it is neither https nor http', '')
  if (url.username !== '' || url.password !== '') {
    throw refused('it carries a user or a password', 'leave them out and use --remote-auth-bearer-token-file')
  }
  if (url.hash !== '') throw refused('it has a fragment, which no server ever sees', 'leave # and what follows out')
  if (url.port === '0') throw refused('nothing can listen on port 0', 'name the port of the server')
  if (url.protocol === 'http:' && !isNearby(url.hostname)) {
    throw refused(
      `'${url.hostname}' would be spoken to without TLS`,
      'use https; http is for this machine and private networks',
    )
  }
  return { origin: url.origin, path: url.pathname, query: url.search.slice(1) }
}

/** Whether a text is taken for the URL of a remote server. */
export function isRemoteUrl(text: string): boolean {
  return /^https?:\/\//i.test(text)
}

/** The path that clients are told; empty when the URL has none: spec/local 3.8. */
export function clientPath(remoteUrl: string): string {
  const { path } = parseRemoteUrl(remoteUrl)
  return path === '/' ? '' : path
}

/** The name chosen when the user gave none: spec/local 2.5. */
export function remoteWorkloadName(text: string): string {
  const { hostname } = new URL(parseRemoteUrl(text).origin)
  const isAddress = addressKind(hostname.replace(/^\[|\]$/g, '')) !== 'special'
  const labels = hostname.split('.')
  return sanitizeWorkloadName((isAddress ? undefined : labels.at(-2)) ?? hostname)
}

/** Whether a host, as a URL has it, is this machine, in a private network, or a name that means nothing on the internet. */
export function isNearby(hostname: string): boolean {
  // A dot behind a name says only that it is whole.
  const host = hostname.replace(/^\[|\]$|\.$/g, '').toLowerCase()
  const kind = addressKind(host)
  if (kind !== 'special') return kind !== 'public'
  return !host.includes('.') || /\.(?:localhost|local|internal|home\.arpa)$/.test(host)
}

/** The URL is not repeated: its query may hold a key. */
function refused(why: string, hint: string): ThvError {
  return new ThvError('invalid-argument', `the URL of the remote server cannot be used: ${why}`, {
    hint: hint === '' ? 'write it as https://host/path' : hint,
  })
}
