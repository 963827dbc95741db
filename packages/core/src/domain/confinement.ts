import { ThvError } from '../errors.ts'
import type { Mount } from './mount.ts'
import type { OutboundPermissions, PermissionProfile } from './permission-profile.ts'

/** How far a server is kept from the rest of the machine, strongest first. */
export const isolations = ['container', 'sandbox', 'node-permissions', 'none'] as const
export type Isolation = (typeof isolations)[number]

/**
 * What a user asks for. `auto`: the best there is, with a warning when that is not a
 * sandbox; `required`: at least a sandbox, or no start; `none`: a plain process.
 */
export const isolationWishes = ['auto', 'required', 'none'] as const
export type IsolationWish = (typeof isolationWishes)[number]

/** The network of a server: none, that of this machine, or only what the rules allow. */
export type NetworkAccess = { kind: 'none' } | { kind: 'open' } | { kind: 'filtered'; outbound: OutboundPermissions }

/** Everything a runtime must know to confine one server; made from profile, volumes and flags. */
export interface Confinement {
  wish: IsolationWish
  /**
   * What the program itself is made of: readable inside, under the same paths.
   * `discover`: a local command, of which the runtime finds that out by looking.
   */
  programPaths: readonly string[] | 'discover'
  /** Later ones lie over earlier ones. */
  mounts: readonly Mount[]
  /** Paths inside, covered by something empty. */
  covered: readonly { target: string; isDirectory: boolean }[]
  network: NetworkAccess
}

/**
 * The network a profile gives. Throws `isolation-contradiction` for what cannot be
 * true at the same time, and when the profile restricts what nothing would enforce.
 */
export function resolveNetwork(profile: PermissionProfile, isolateNetwork: boolean | undefined): NetworkAccess {
  const { mode = 'bridge', outbound = {} } = profile.network ?? {}
  if (mode === 'none') return { kind: 'none' }
  if (mode === 'host') {
    if (isolateNetwork !== true) return { kind: 'open' }
    throw contradiction('network isolation and the host network', "leave --isolate-network or '--network host' out")
  }
  if (mode !== 'bridge' && mode !== '' && mode !== 'default') {
    throw new ThvError('runtime-unsupported', `a process cannot join the container network '${mode}'`, {
      hint: "use '--network none' or '--network host', or run an image",
    })
  }
  const { insecure_allow_all: all = false, allow_host: hosts = [], allow_port: ports = [] } = outbound
  if (isolateNetwork === false) {
    if (all) return { kind: 'open' }
    throw contradiction(
      'a profile that restricts connections and no network isolation',
      "leave --isolate-network=false out, or allow everything with '--permission-profile network'",
    )
  }
  if (!all && hosts.length === 0 && ports.length === 0) return { kind: 'none' }
  return { kind: 'filtered', outbound }
}

/** Throws `isolation-contradiction` when a profile cannot hold for an unconfined process. */
export function assertConfinable(
  wish: IsolationWish,
  asked: { profile: boolean; volumes: boolean; network: boolean },
): void {
  if (wish !== 'none') return
  const hint = "leave '--isolation none' out, or the flag that needs isolation"
  if (asked.profile) throw contradiction('a permission profile and no isolation', hint)
  if (asked.volumes) throw contradiction('volumes and no isolation', hint)
  if (asked.network) throw contradiction('network isolation and no isolation', hint)
}

function contradiction(what: string, hint: string): ThvError {
  return new ThvError('isolation-contradiction', `${what} contradict each other`, { hint })
}
