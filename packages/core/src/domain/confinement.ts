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

/**
 * The network of a server: none; open, which is this machine's for a process and the
 * engine's usual one for a container; one of the engine's networks by its name, `host` for this
 * machine's; or only what the rules allow, with `gateway` also this machine under the names that Docker gives it.
 */
export type NetworkAccess =
  | { kind: 'none' }
  | { kind: 'open' }
  | { kind: 'joined'; network: string }
  | { kind: 'filtered'; outbound: OutboundPermissions; gateway?: boolean }

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
  /** A container that may do everything; never a process. */
  privileged?: boolean
}

/**
 * The network a profile gives to a process. Throws `isolation-contradiction` for what cannot be
 * true at the same time, and when the profile restricts what nothing would enforce.
 */
export function resolveNetwork(profile: PermissionProfile, isolateNetwork: boolean | undefined): NetworkAccess {
  const mode = profile.network?.mode ?? ''
  if (mode === 'none') return { kind: 'none' }
  if (mode === 'host') {
    if (isolateNetwork !== true) return { kind: 'open' }
    throw contradiction('network isolation and the host network', "leave --isolate-network or '--network host' out")
  }
  if (!isUsual(mode)) {
    throw new ThvError('runtime-unsupported', `a process cannot join the container network '${mode}'`, {
      hint: "use '--network none' or '--network host', or run an image",
    })
  }
  return resolveOutbound(profile.network?.outbound ?? {}, isolateNetwork)
}

/**
 * The network a profile gives to a container. One that may reach everything is filtered only
 * when that is asked for. Throws like {@link resolveNetwork}.
 */
export function resolveContainerNetwork(
  profile: PermissionProfile,
  isolateNetwork: boolean | undefined,
): NetworkAccess {
  const mode = profile.network?.mode ?? ''
  const outbound = profile.network?.outbound ?? {}
  if (mode === 'none') return { kind: 'none' }
  if (isUsual(mode)) {
    return resolveOutbound(outbound, isolateNetwork ?? (outbound.insecure_allow_all === true ? false : undefined))
  }
  const hint = `leave --isolate-network, or the network '${mode}', out`
  if (isolateNetwork === true) throw contradiction(`network isolation and the network '${mode}'`, hint)
  if (isRestricted(outbound)) {
    throw contradiction(`a profile that restricts connections and the network '${mode}'`, hint)
  }
  return { kind: 'joined', network: mode }
}

/** A network that also leads to this machine. Throws `isolation-contradiction` for one that is not filtered: nothing would change. */
export function withGateway(network: NetworkAccess): NetworkAccess {
  if (network.kind === 'filtered') return { ...network, gateway: true }
  throw contradiction(
    'the Docker gateway and a network that is not filtered',
    'leave --allow-docker-gateway out, or add --isolate-network',
  )
}

function isUsual(mode: string): boolean {
  return mode === '' || mode === 'bridge' || mode === 'default'
}

function isRestricted({
  insecure_allow_all: all,
  allow_host: hosts = [],
  allow_port: ports = [],
}: OutboundPermissions) {
  return all !== true && (hosts.length > 0 || ports.length > 0)
}

function resolveOutbound(outbound: OutboundPermissions, isolateNetwork: boolean | undefined): NetworkAccess {
  const all = outbound.insecure_allow_all === true
  if (isolateNetwork === false) {
    if (all) return { kind: 'open' }
    throw contradiction(
      'a profile that restricts connections and no network isolation',
      "leave --isolate-network=false out, or allow everything with '--permission-profile network'",
    )
  }
  return all || isRestricted(outbound) ? { kind: 'filtered', outbound } : { kind: 'none' }
}

/** Throws `isolation-contradiction` for a container that is not to be isolated, or not enough. */
export function assertContainable(
  wish: IsolationWish,
  confinement: { privileged: boolean; network: NetworkAccess },
): void {
  const { privileged, network } = confinement
  if (wish === 'none') throw contradiction('a container and no isolation', "leave '--isolation none' out")
  if (!privileged) return
  const hint = "take 'privileged' out of the profile"
  if (wish === 'required') throw contradiction('a privileged container and required isolation', hint)
  if (network.kind === 'filtered') throw contradiction('a privileged container and network isolation', hint)
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
