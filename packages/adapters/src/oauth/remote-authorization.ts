import type { RemoteAuthorization } from '@thv/core'
import { beginLogin } from './begin-login.ts'
import type { DialerOf, HttpOptions } from './bounded-request.ts'
import { discoverAuthorization } from './discover.ts'
import { finishLogin } from './finish-login.ts'
import { oauthLimits } from './oauth-limits.ts'
import { refreshGrant } from './refresh-grant.ts'
import { revokeGrant } from './revoke-grant.ts'
import type { Resolve } from './url-check.ts'

/** What logins need of this machine. */
export interface RemoteAuthorizationOptions {
  /** Opens connections to a host through a proxy; undefined where none is used. */
  dialerOf: DialerOf
  /** Milliseconds since 1970; default `Date.now`. */
  now?: () => number
  /** How long one request may take; default 10 s. */
  requestMs?: number
  /** Addresses of a host; default the system's resolver. */
  resolve?: Resolve
}

/** Makes the client of authorization servers; its protocol is oauth4webapi's. */
export function createRemoteAuthorization({
  dialerOf,
  now = Date.now,
  requestMs = oauthLimits.requestMs,
  resolve,
}: RemoteAuthorizationOptions): RemoteAuthorization {
  const http = (ca: string | undefined): HttpOptions => ({ ca, dialerOf, requestMs })
  return {
    discover: async (target, signal) => await discoverAuthorization({ http: http(target.ca), resolve }, target, signal),
    begin: async (plan, wishes, signal) => await beginLogin(http(plan.ca), { plan, wishes }, signal),
    finish: async (pending, callback, signal) =>
      await finishLogin(http(pending.plan.ca), { pending, callback, now }, signal),
    refresh: async (grant, { ca }, signal) => await refreshGrant(http(ca), { grant, now }, signal),
    revoke: async (grant, { ca }, signal) => await revokeGrant(http(ca), grant, signal),
  }
}
