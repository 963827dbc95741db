import { ThvError } from '../errors.ts'

/** Where a workload listens when its config does not say: spec/local 3.4. */
const loopback = '127.0.0.1'

// Brackets, ports and URLs are what people write by mistake. Whether the address is one
// of this machine shows when it is bound.
const hostName = /^[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$/i
const ipv6 = /^(?=.*:.*:)[0-9a-f:.]+(?:%[\w.-]+)?$/i

/** Throws `host-invalid` for what is no address and no host name. */
export function assertHost(host: string): void {
  if (hostName.test(host) || ipv6.test(host)) return
  throw new ThvError('host-invalid', host === '' ? 'the host is empty' : `'${host}' is not an address`, {
    hint: 'write an address without brackets and port: 127.0.0.1, or ::1',
  })
}

/** The address to listen on; an empty host means the default. */
export function listenHost(host: string): string {
  return host === '' ? loopback : host
}

/** A host as it stands in a URL. */
export function urlHost(host: string): string {
  // RFC 6874: the % of a zone is written %25.
  return host.includes(':') ? `[${host.replace('%', '%25')}]` : host
}

/** The host under which a client on this machine reaches a listener, as it stands in a URL. */
export function clientHost(host: string): string {
  if (['', 'localhost', '0.0.0.0', '::'].includes(host.toLowerCase())) return loopback
  return urlHost(host)
}
