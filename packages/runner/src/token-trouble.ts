import {
  isThvError,
  limits,
  messageOf,
  RefreshError,
  statusReasons,
  type ProbeOutcome,
  type ReasonCode,
} from '@thv/core'
import type { Refusal } from '@thv/proxy'

/** Why there is no token that a remote server would take. */
export interface TokenTrouble {
  /** `delayed`: it is tried again; `denied`: somebody has to do something. */
  kind: 'delayed' | 'denied'
  reason: ReasonCode
  /** One sentence; never a secret. */
  message: string
}

/** What a failed renewal comes to. `isLast`: it is not tried again. */
export function troubleOf(error: unknown, isLast: boolean): TokenTrouble {
  const message = messageOf(error).slice(0, limits.reasonLength)
  if (error instanceof RefreshError && error.kind === 'permanent') {
    return { kind: 'denied', reason: 'login-needed', message: `the login was not renewed: ${message}` }
  }
  if (isThvError(error) && unreadable.has(error.code)) return { kind: 'denied', reason: 'token-unreadable', message }
  if (isLast) {
    return { kind: 'denied', reason: 'login-needed', message: `the login could not be renewed for a day: ${message}` }
  }
  // Tools match on how this begins: spec/local 2.1.
  const begin = `Token refresh failing transiently; retrying every ${limits.tokenTickMs / 60_000}m0s at the latest`
  return { kind: 'delayed', reason: 'token-refresh-delayed', message: `${begin}: ${message}` }
}

/** What clients of a workload are told of a trouble. */
export function refusalOf({ kind, reason, message }: TokenTrouble, name: string): Refusal {
  return {
    message,
    reason,
    todo: statusReasons[reason].todo.replaceAll('NAME', name),
    ...(kind === 'delayed' ? { retryAfterS: limits.tokenRetryAfterS } : {}),
  }
}

/** What the status says of it. */
export function outcomeOfTrouble({ kind, reason, message }: TokenTrouble): ProbeOutcome {
  return { kind, reason, message }
}

const unreadable: ReadonlySet<string> = new Set([
  'secrets-locked-away',
  'secrets-denied',
  'secrets-corrupt',
  'secrets-not-set-up',
])
