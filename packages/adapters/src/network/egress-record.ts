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

/** Remembers attempts, and logs each refusal once with what would allow it. */
export function createEgressRecord(log: (message: string) => void): EgressRecord {
  const refused = new Set<string>()
  const reached = new Map<string, EgressAttempt>()
  return {
    add(attempt) {
      const key = formatAuthority(attempt)
      if (attempt.refused === undefined) {
        if (reached.size < networkLimits.learned) reached.set(key, attempt)
        return
      }
      if (refused.has(key) || refused.size >= networkLimits.refusals) return
      refused.add(key)
      const { reason, remedy } = attempt.refused
      log(`blocked a connection of the server to ${key}: ${reason}; to allow it, ${remedy}`)
    },
    smallestProfile(name, mounts) {
      const attempts = [...reached.values()]
      const hosts = [...new Set(attempts.map(({ host }) => host.toLowerCase()))].sort()
      const ports = [...new Set(attempts.map(({ port }) => port))].sort((left, right) => left - right)
      const outbound = { insecure_allow_all: false, allow_host: hosts, allow_port: ports }
      return { name, read: mounts.read ?? [], write: mounts.write ?? [], network: { outbound }, privileged: false }
    },
  }
}
