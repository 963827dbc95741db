import { messageOf } from '../errors.ts'
import { limits } from '../limits.ts'
import type { RemoteGrant } from '../domain/remote-grant.ts'
import { withTimeLimit } from '../with-time-limit.ts'
import { sharersOf } from './keep-login.ts'
import { loadLogin, referenceOf, targetOf, withoutClient, type LogInDeps } from './log-in.ts'

/** What {@link logOut} needs. */
export type LogOutDeps = Pick<LogInDeps, 'authorization' | 'configs' | 'grants' | 'readUserFile'>

/** What a logout has led to. */
export interface LoggedOut {
  /** Whether there was a grant. */
  wasLoggedIn: boolean
  /** Why the authorization server could not be told; what it gave out is forgotten here all the same. */
  problem?: string
  /** Other workloads that used the same grant. */
  others: string[]
}

/**
 * Deletes the grant of a workload, with the client that was registered for it, and tells the authorization server. The
 * supervisor notices by itself. `workload-not-found`, `invalid-argument`, and what the secret store says.
 */
export async function logOut(deps: LogOutDeps, name: string, signal: AbortSignal): Promise<LoggedOut> {
  const config = await loadLogin(deps, name)
  let last: RemoteGrant | undefined
  await deps.grants.renew(
    referenceOf(config),
    async (current) => {
      last = current
      return 'delete'
    },
    signal,
  )
  await deps.configs.save({ ...config, remote_auth_config: withoutClient(config.remote_auth_config) })
  const others = await sharersOf(deps.configs, config)
  if (last === undefined) return { wasLoggedIn: false, others }
  try {
    const { ca } = await targetOf(deps, config)
    const options = ca === undefined ? {} : { ca }
    await deps.authorization.revoke(last, options, withTimeLimit(signal, limits.revokeMs))
    return { wasLoggedIn: true, others }
  } catch (error) {
    signal.throwIfAborted()
    return { wasLoggedIn: true, others, problem: messageOf(error) }
  }
}
