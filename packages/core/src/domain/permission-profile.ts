import { Diagnostics } from '../diagnostics.ts'
import { parseMount } from './mount.ts'
import { isRecord } from './is-record.ts'

/** What a server may do: ToolHive's profile format (spec/local 3.7). */
export interface PermissionProfile {
  name?: string
  /** Mount specs a server may read. */
  read?: string[]
  /** Mount specs a server may read and write. */
  write?: string[]
  network?: NetworkPermissions
  /** Containers only; a sandboxed process is never privileged. */
  privileged?: boolean
}

/** The network part of a {@link PermissionProfile}. */
export interface NetworkPermissions {
  /** `bridge` (default), `none`, `host`, or the name of a container network. */
  mode?: string
  outbound?: OutboundPermissions
  inbound?: { allow_host?: string[] }
}

/** Where a server may connect to. An empty list does not restrict; all empty means nowhere. */
export interface OutboundPermissions {
  /** Every host and port but the addresses of this machine and its network. */
  insecure_allow_all?: boolean
  /** Names, addresses, or `.example.com` for a domain and everything below. */
  allow_host?: string[]
  allow_port?: number[]
}

/** What a server gets when nobody says anything: spec/local 3.7. */
export const defaultProfileName = 'network'

/** The profile of a built-in name (`none`, its alias `stdio`, `network`); undefined for any other word. */
export function builtInProfile(name: string): PermissionProfile | undefined {
  if (name !== 'none' && name !== 'stdio' && name !== 'network') return undefined
  const outbound = { insecure_allow_all: name === 'network', allow_host: [], allow_port: [] }
  return { name, read: [], write: [], network: { outbound }, privileged: false }
}

/**
 * Checks a profile that came from a file or a run config. Throws
 * `permission-profile-invalid` with every problem; a key it does not know is one of
 * them, because a restriction must not be lost to a slip of the pen.
 */
export function parsePermissionProfile(value: unknown, origin: string): PermissionProfile {
  const problems = new Diagnostics()
  const profile = readProfile(value, problems)
  problems.throwIfAny(
    'permission-profile-invalid',
    `${origin} is not a permission profile`,
    "compare it with the example in docs/isolation.md, or use the built-in 'none' or 'network'",
  )
  return profile
}

function readProfile(value: unknown, problems: Diagnostics): PermissionProfile {
  const profile: PermissionProfile = {}
  const fields = fieldsOf(value, '', ['name', 'read', 'write', 'network', 'privileged'], problems)
  if (fields === undefined) return profile
  const { name, read, write, privileged, network } = fields
  if (typeof name === 'string') profile.name = name
  else if (isSet(name)) problems.add('name', 'is not a text')
  if (isSet(read)) profile.read = mountsOf(read, 'read', problems)
  if (isSet(write)) profile.write = mountsOf(write, 'write', problems)
  if (isSet(privileged)) profile.privileged = flagOf(privileged, 'privileged', problems)
  if (isSet(network)) profile.network = readNetwork(network, problems)
  return profile
}

function readNetwork(value: unknown, problems: Diagnostics): NetworkPermissions {
  const network: NetworkPermissions = {}
  const fields = fieldsOf(value, 'network', ['mode', 'outbound', 'inbound'], problems)
  if (fields === undefined) return network
  const { mode, outbound, inbound } = fields
  if (typeof mode === 'string' && /^[\w.-]*$/.test(mode)) network.mode = mode
  else if (isSet(mode)) problems.add('network.mode', "is not 'bridge', 'none', 'host' or the name of a network")
  if (isSet(outbound)) network.outbound = readOutbound(outbound, problems)
  if (isSet(inbound)) {
    const inner = fieldsOf(inbound, 'network.inbound', ['allow_host'], problems)
    const hosts = inner?.['allow_host']
    network.inbound = isSet(hosts) ? { allow_host: hostsOf(hosts, 'network.inbound.allow_host', problems) } : {}
  }
  return network
}

function readOutbound(value: unknown, problems: Diagnostics): OutboundPermissions {
  const at = 'network.outbound'
  const outbound: OutboundPermissions = {}
  const fields = fieldsOf(value, at, ['insecure_allow_all', 'allow_host', 'allow_port'], problems)
  if (fields === undefined) return outbound
  const { insecure_allow_all: all, allow_host: hosts, allow_port: ports } = fields
  if (isSet(all)) outbound.insecure_allow_all = flagOf(all, `${at}.insecure_allow_all`, problems)
  if (isSet(hosts)) outbound.allow_host = hostsOf(hosts, `${at}.allow_host`, problems)
  if (isSet(ports)) outbound.allow_port = portsOf(ports, `${at}.allow_port`, problems)
  return outbound
}

function fieldsOf(
  value: unknown,
  path: string,
  known: readonly string[],
  problems: Diagnostics,
): Record<string, unknown> | undefined {
  const at = path === '' ? 'profile' : path
  if (!isRecord(value)) {
    problems.add(at, 'is not an object')
    return undefined
  }
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) problems.add(path === '' ? key : `${path}.${key}`, `is not one of ${known.join(', ')}`)
  }
  return value
}

function listOf(value: unknown, path: string, problems: Diagnostics): unknown[] {
  if (Array.isArray(value)) return value
  problems.add(path, 'is not a list')
  return []
}

function mountsOf(value: unknown, path: string, problems: Diagnostics): string[] {
  return listOf(value, path, problems).flatMap((entry, index) => {
    const at = `${path}[${index}]`
    if (typeof entry !== 'string') {
      problems.add(at, 'is not a text')
      return []
    }
    return problems.collect(at, () => parseMount(entry)) === undefined ? [] : [entry]
  })
}

/** A name with an optional leading dot, or an address; nothing with a scheme, a port or a path. */
const hostPattern = /^\.?(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.?$/i
const ipv6Pattern = /^(?=.*:.*:)[0-9a-f:.]+$/i

function hostsOf(value: unknown, path: string, problems: Diagnostics): string[] {
  return listOf(value, path, problems).flatMap((entry, index) => {
    if (typeof entry === 'string' && (hostPattern.test(entry) || ipv6Pattern.test(entry))) return [entry]
    problems.add(`${path}[${index}]`, "is not a host: write example.com, .example.com or an address, and no '*'")
    return []
  })
}

function portsOf(value: unknown, path: string, problems: Diagnostics): number[] {
  return listOf(value, path, problems).flatMap((entry, index) => {
    if (typeof entry === 'number' && Number.isInteger(entry) && entry >= 1 && entry <= 65_535) return [entry]
    problems.add(`${path}[${index}]`, 'is not a port from 1 to 65535')
    return []
  })
}

function flagOf(value: unknown, path: string, problems: Diagnostics): boolean {
  if (typeof value !== 'boolean') problems.add(path, 'is not true or false')
  return value === true
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null
}
