import {
  isGrantFor,
  limits,
  messageOf,
  RefreshError,
  withTimeLimit,
  type GrantStore,
  type RemoteAuthorization,
  type RemoteGrant,
  type RunConfig,
} from '@thv/core'
import { adoptGrant, referenceOf, type AdoptDeps } from './adopt-grant.ts'
import { runnerLimits } from './limits.ts'
import type { Log } from './log.ts'

/** Where logins are kept, and who renews them. */
export interface RemoteLogins extends Pick<AdoptDeps, 'secrets'> {
  grants: GrantStore
  /** Loaded when it is first needed. */
  authorization: () => Promise<Pick<RemoteAuthorization, 'discover' | 'refresh'>>
}

/** What a renewal needs of the outside. */
export interface RenewDeps extends Pick<AdoptDeps, 'readUserFile'> {
  log: Log
  /** Loaded when a login is first needed. */
  logins: () => Promise<RemoteLogins>
}

/** What came of a renewal. */
export interface Renewed {
  /** Undefined: there is no login at all. */
  grant: RemoteGrant | undefined
  /** False when it could not be written. */
  isSaved: boolean
}

/** What one renewal goes by. */
interface Renewal {
  config: RunConfig & { remote_url: string }
  /** The grant that is to be replaced. */
  known: RemoteGrant | undefined
  /** Whether one that somebody else has put there will do. */
  mayUse: (grant: RemoteGrant) => boolean
}

/**
 * Renews a grant, alone among all processes; one that another has renewed meanwhile is taken instead. Nothing but time ends
 * it: a rotated token that nobody waits for would be lost. Rejects as `RemoteAuthorization.refresh` and the stores do.
 */
export async function renewGrant(deps: RenewDeps, { config, known, mayUse }: Renewal): Promise<Renewed> {
  let obtained: RemoteGrant | undefined
  let failure: RefreshError | undefined
  const { signal } = new AbortController()
  try {
    const { grants } = await deps.logins()
    const grant = await grants.renew(
      referenceOf(config),
      async (current) => {
        if (current !== undefined && !isGrantFor(current, config)) {
          throw new RefreshError('permanent', 'the login under its name is for another server')
        }
        if (current !== undefined && !isSameGrant(current, known) && mayUse(current)) return undefined
        try {
          obtained = await refresh(deps, { config, current }, withTimeLimit(signal, limits.tokenRequestMs))
          return obtained
        } catch (error) {
          if (!(error instanceof RefreshError) || error.grant === undefined) throw error
          failure = error
          return error.grant
        }
      },
      withTimeLimit(signal, runnerLimits.renewalMs),
    )
    if (failure !== undefined) throw failure
    return { grant, isSaved: true }
  } catch (error) {
    if (obtained === undefined) throw error
    // Better in memory alone than lost: the one on disk may be worth nothing any more.
    deps.log('error', 'the renewed login could not be written and will be tried again', { error: messageOf(error) })
    return { grant: obtained, isSaved: false }
  }
}

/** Writes what could not be written before, unless somebody else has logged in meanwhile. Resolves to the grant that counts. */
export async function saveGrant(
  { logins }: RenewDeps,
  config: RunConfig,
  { old, grant }: { old: RemoteGrant | undefined; grant: RemoteGrant },
  signal: AbortSignal,
): Promise<RemoteGrant | undefined> {
  const { grants } = await logins()
  const change = async (current: RemoteGrant | undefined): Promise<RemoteGrant | undefined> =>
    isSameGrant(current, old) ? grant : undefined
  return await grants.renew(referenceOf(config), change, signal)
}

/** Whether two grants have the same tokens. */
export function isSameGrant(one: RemoteGrant | undefined, other: RemoteGrant | undefined): boolean {
  return one?.accessToken === other?.accessToken && one?.refreshToken === other?.refreshToken
}

async function refresh(
  { logins, readUserFile, log }: RenewDeps,
  { config, current }: { config: Renewal['config']; current: RemoteGrant | undefined },
  signal: AbortSignal,
): Promise<RemoteGrant | undefined> {
  const { secrets, authorization } = await logins()
  const grant = current ?? (await adoptGrant({ secrets, authorization, readUserFile }, config, signal))
  if (grant === undefined) return undefined
  if (grant.refreshToken === undefined) {
    throw new RefreshError('permanent', 'the authorization server gave nothing to renew it with')
  }
  const { thv_ca_bundle: bundle = '' } = config
  const options = bundle === '' ? {} : { ca: await readUserFile(bundle) }
  const renewed = await (await authorization()).refresh(grant, options, signal)
  log('debug', 'the login of the remote server was renewed', { until: renewed.expiresAt })
  return renewed
}
