import type { RemoteAuthorization } from '@thv/core'
import { beginLogin } from './begin-login.ts'
import type { DialerOf, HttpOptions } from './bounded-request.ts'
import { discoverAuthorization } from './discover.ts'
import { finishLogin } from './finish-login.ts'
import { refreshGrant } from './refresh-grant.ts'
import { revokeGrant } from './revoke-grant.ts'
import type { Resolve } from './url-check.ts'

/** What logins need of this machine. */
export interface RemoteAuthorizationOptions {
  /** Opens connections to a host through a proxy; undefined where none is used. */
  dialerOf: DialerOf
  /** Milliseconds since 1970; default `Date.now`. */
  now?: () => number
  /** Addresses of a host; default the system's resolver. */
  resolve?: Resolve
}

/** Makes the client of authorization servers; its protocol is oauth4webapi's. */
export function createRemoteAuthorization({
  dialerOf,
  now = Date.now,
  resolve,
}: RemoteAuthorizationOptions): RemoteAuthorization {
  const http = (ca: string | undefined): HttpOptions => ({ ca, dialerOf })
  return {
    discover: async (target, signal) => await discoverAuthorization({ dialerOf, resolve }, target, signal),
    begin: async (plan, wishes, signal) => await beginLogin(http(plan.ca), { plan, wishes }, signal),
    finish: async (pending, callback, signal) =>
      await finishLogin(http(pending.plan.ca), { pending, callback, now }, signal),
    refresh: async (grant, { ca }, signal) => await refreshGrant(http(ca), { grant, now }, signal),
    revoke: async (grant, { ca }, signal) => await revokeGrant(http(ca), grant, signal),
  }
}
