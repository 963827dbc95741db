import { dirname } from 'node:path'
import type { Mount, NetworkAccess } from '@thv/core'

/** What a macOS sandbox is to allow. Paths are absolute and real: seatbelt compares them after links were followed. */
export interface SeatbeltPlan {
  programPaths: readonly string[]
  mounts: readonly Mount[]
  covered: readonly { target: string }[]
  temporaryDirectory: string
  network: NetworkAccess['kind']
  /** Where the egress proxy of a filtered server listens on loopback. */
  proxyPort?: number
  /** Where the server itself listens. */
  listenPort?: number
}

/** What programs need of the system to run at all. */
const system = [
  '/usr',
  '/bin',
  '/sbin',
  '/System',
  '/Library',
  '/opt/homebrew',
  '/private/etc',
  '/private/var/db',
  '/dev',
]

/**
 * The profile for `sandbox-exec -p`. Pure. Experimental: it is not wired into the
 * runtime, because nobody has tried it on macOS yet; there servers run under Node's permission
 * model or without isolation, and say so. Everything is refused but what is named; what comes later wins, so covered
 * paths stand last.
 */
export function seatbeltProfile(plan: SeatbeltPlan): string {
  const { mounts, temporaryDirectory } = plan
  const readable = [...system, ...plan.programPaths, ...mounts.map(({ source }) => source), temporaryDirectory]
  const writable = [...mounts.filter((mount) => mount.writable).map(({ source }) => source), temporaryDirectory]
  const ways = [...new Set(readable.flatMap(parents))].sort()
  return [
    '(version 1)',
    '(deny default)',
    '(allow process-fork process-exec)',
    '(allow signal (target same-sandbox))',
    '(allow sysctl-read)',
    '(allow mach-lookup (global-name "com.apple.system.opendirectoryd.libinfo") (global-name "com.apple.trustd"))',
    `(allow file-read-metadata ${ways.map((path) => `(literal ${quote(path)})`).join(' ')})`,
    `(allow file-read* ${subpaths(readable)})`,
    `(allow file-write* ${subpaths(writable)} (literal "/dev/null") (literal "/dev/zero"))`,
    ...networkRules(plan),
    ...(plan.covered.length === 0 ? [] : [`(deny file* ${subpaths(plan.covered.map(({ target }) => target))})`]),
    '',
  ].join('\n')
}

function networkRules({ network, proxyPort, listenPort }: SeatbeltPlan): string[] {
  if (network === 'open') return ['(allow network*)']
  const rules: string[] = []
  // Seatbelt knows ports of this machine only; names are the proxy's matter.
  if (network === 'filtered' && proxyPort !== undefined) {
    rules.push(`(allow network-outbound (remote ip "localhost:${proxyPort}"))`)
  }
  if (listenPort !== undefined) {
    rules.push(`(allow network-bind network-inbound (local ip "localhost:${listenPort}"))`)
  }
  return rules
}

function subpaths(paths: readonly string[]): string {
  return [...new Set(paths)].map((path) => `(subpath ${quote(path)})`).join(' ')
}

function parents(path: string): string[] {
  const above = dirname(path)
  return above === path ? [path] : [...parents(above), path]
}

/** A string of the profile language; what could end it is escaped. */
function quote(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}
