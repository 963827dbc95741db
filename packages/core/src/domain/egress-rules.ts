import { addressKind, canonicalAddress } from './address-kind.ts'
import type { OutboundPermissions } from './permission-profile.ts'

/** A place a server wants to connect to, as it named it. */
export interface EgressTarget {
  /** Name or address, without brackets. */
  host: string
  port: number
}

/** Allowed, or refused with the reason and the change of the profile that would allow it. */
export type EgressDecision = { allowed: true } | { allowed: false; reason: string; remedy: string }

const allowed: EgressDecision = { allowed: true }

/**
 * Whether a server may connect to what it named. For a name this is the first half:
 * each address it resolves to is put to {@link decideAddress} as well.
 */
export function decideEgress(rules: OutboundPermissions, target: EgressTarget): EgressDecision {
  const host = plainHost(target.host)
  const { insecure_allow_all: all = false, allow_host: hosts = [], allow_port: ports = [] } = rules
  if (!all) {
    if (hosts.length === 0 && ports.length === 0) return refuse('the profile allows no connections', target)
    if (hosts.length > 0 && !hosts.some((rule) => matchesHost(rule, host))) {
      return refuse(`the profile does not name ${host}`, target, ports.length > 0 && !ports.includes(target.port))
    }
    if (ports.length > 0 && !ports.includes(target.port)) {
      const remedy = `add ${target.port} to network.outbound.allow_port`
      return { allowed: false, reason: `the profile does not name port ${target.port}`, remedy }
    }
  }
  return isAddress(host) || isLocalName(host) ? decideAddress(rules, { ...target, host }, host) : allowed
}

/**
 * Whether a name that may be connected to may lead to this address. The machine itself
 * and its links are reached only by who names them; private networks also by a profile
 * that names the very host. So a name under somebody else's control cannot be pointed
 * at what listens here.
 */
export function decideAddress(
  rules: OutboundPermissions,
  target: EgressTarget,
  address: string,
  /** Further addresses of this machine, canonical. */
  own: ReadonlySet<string> = new Set(),
): EgressDecision {
  const host = plainHost(target.host)
  const kind = isLocalName(address) || own.has(canonicalAddress(address)) ? 'loopback' : addressKind(address)
  if (kind === 'public') return allowed
  const named = (rules.allow_host ?? []).map(plainHost)
  if (named.includes(plainHost(address))) return allowed
  const namesHost = named.includes(host)
  if (namesHost && (kind === 'private' || (kind === 'loopback' && isLocalName(host)))) return allowed
  const what = address === host ? host : `${host} (${address})`
  const remedy = `add '${kind === 'private' ? host : address}' to network.outbound.allow_host`
  return { allowed: false, reason: `${what} is ${descriptions[kind]}`, remedy }
}

/** Whether a rule (`example.com`, `.example.com`, an address) covers a host. Names ignore case and a final dot. */
export function matchesHost(rule: string, host: string): boolean {
  const [wanted, asked] = [plainHost(rule), plainHost(host)]
  if (!wanted.startsWith('.')) return wanted === asked
  return !isAddress(asked) && (asked === wanted.slice(1) || asked.endsWith(wanted))
}

const descriptions = {
  loopback: 'this machine itself',
  'link-local': 'a link-local address (cloud metadata is one)',
  private: 'in a private network',
  special: 'no address of a single host',
} as const

function refuse(reason: string, { host, port }: EgressTarget, alsoPort = false): EgressDecision {
  const remedy = `add '${plainHost(host)}' to network.outbound.allow_host`
  return { allowed: false, reason, remedy: alsoPort ? `${remedy} and ${port} to allow_port` : remedy }
}

function plainHost(host: string): string {
  return host
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/(?<=.)\.$/, '')
}

function isLocalName(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost')
}

/** Also what only some resolvers take for an address: `127.1`, `2130706433`, `0x7f000001`. No name ends in a number. */
function isAddress(host: string): boolean {
  return host.includes(':') || /(?:^|\.)(?:\d+|0x[\da-f]*)$/.test(host)
}
