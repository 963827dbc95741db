import type { PermissionProfile } from '@thv/core'
import type { EgressAttempt } from './egress-proxy.ts'
import { formatAuthority } from './authority.ts'
import { networkLimits } from './network-limits.ts'

/** What the connections of one workload have shown. */
export interface EgressRecord {
  add(attempt: EgressAttempt): void
  /** The smallest profile that lets through all that was not refused, reached or not. */
  smallestProfile(name: string, mounts: Pick<PermissionProfile, 'read' | 'write'>): PermissionProfile
}

/** Remembers attempts, and logs once each refusal, with what would allow it, and each failure. */
export function createEgressRecord(log: (message: string) => void): EgressRecord {
  const told = new Set<string>()
  const wanted = new Map<string, EgressAttempt>()
  const tellOnce = (message: string): void => {
    if (told.has(message) || told.size > networkLimits.refusals) return
    told.add(message)
    const isLast = told.size > networkLimits.refusals
    log(isLast ? `${networkLimits.refusals} different refusals and failures are logged; more are not` : message)
  }
  return {
    add(attempt) {
      const key = formatAuthority(attempt)
      const { refused, failed } = attempt
      if (refused !== undefined) {
        tellOnce(`blocked a connection of the server to ${key}: ${refused.reason}; to allow it, ${refused.remedy}`)
        return
      }
      if (failed !== undefined) tellOnce(`the server could not reach ${key}: ${failed}`)
      if (wanted.size < networkLimits.learned || wanted.has(key)) wanted.set(key, attempt)
      else
        tellOnce(
          `${networkLimits.learned} different hosts and ports are remembered; more are not, also not in a learned profile`,
        )
    },
    smallestProfile(name, mounts) {
      const attempts = [...wanted.values()]
      const hosts = [...new Set(attempts.map(({ host }) => host.toLowerCase()))].sort()
      const ports = [...new Set(attempts.map(({ port }) => port))].sort((left, right) => left - right)
      const outbound = { insecure_allow_all: false, allow_host: hosts, allow_port: ports }
      return { name, read: mounts.read ?? [], write: mounts.write ?? [], network: { outbound }, privileged: false }
    },
  }
}
