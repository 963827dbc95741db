import type { WorkloadStatus } from '@thv/core'

/** The three decorated statuses of spec/local 6.4; tests of the field look for the bare word in it. */
export function decorateStatus(status: WorkloadStatus): string {
  if (status === 'unauthenticated') return '⚠️  unauthenticated'
  if (status === 'auth_retrying') return '🔄 auth_retrying'
  if (status === 'policy_stopped') return '🚫 policy_stopped'
  return status
}
