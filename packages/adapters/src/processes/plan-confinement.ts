import { readFile, realpath, stat } from 'node:fs/promises'
import {
  assertConfinable,
  assertContainable,
  builtInProfile,
  defaultProfileName,
  parseMount,
  parsePermissionProfile,
  parseVolume,
  resolveContainerNetwork,
  resolveNetwork,
  ThvError,
  withGateway,
  type Confinement,
  type Mount,
  type NetworkAccess,
  type PermissionProfile,
  type RunConfig,
} from '@thv/core'
import { ignoreCover, type IgnoreOptions } from './ignore-cover.ts'
import { processLimits } from './process-limits.ts'

/** What is looked up for a plan. */
export interface PlanConfinementOptions extends IgnoreOptions {
  /** Told what is hidden, when the config wants that said. */
  note: (message: string) => void
}

/**
 * What a run config says about the confinement of its server. Volumes lie over the
 * mounts of the profile. Who asks for a profile, volumes or network isolation gets them or
 * no start. Throws `permission-profile-invalid`, `mount-invalid`, `isolation-contradiction`.
 */
export async function planConfinement(options: PlanConfinementOptions, config: RunConfig): Promise<Confinement> {
  const named = config.permission_profile_name_or_path
  const volumes = config.volumes ?? []
  const hasProfile = config.permission_profile !== null || (named !== undefined && named !== '')
  const wish = config.thv?.isolation ?? 'auto'
  const isContainer = config.thv?.runtime === 'container'
  const asked = { profile: hasProfile, volumes: volumes.length > 0, network: config.isolate_network === true }
  if (!isContainer) assertConfinable(wish, asked)
  const profile = await profileOf(config)
  const powers = isContainer ? containerPowers(profile, config) : processPowers(profile, config)
  const asGiven = await mountsOf(profile, volumes)
  await warnOfSockets(asGiven, options.warn)
  const { covered, mounts } = await ignoreCover(options, asGiven, config.ignore_config?.LoadGlobal !== false)
  const isAsked =
    hasProfile || volumes.length > 0 || config.isolate_network === true || config.allow_docker_gateway === true
  if (config.ignore_config?.PrintOverlays === true) noteCovered(covered, options.note)
  return {
    wish: wish === 'auto' && isAsked ? 'required' : wish,
    programPaths: 'discover',
    mounts,
    covered,
    ...powers,
  }
}

function processPowers(profile: PermissionProfile, config: RunConfig): Pick<Confinement, 'network'> {
  if (profile.privileged === true) {
    throw new ThvError('runtime-unsupported', 'the permission profile asks for a privileged server: no process is', {
      hint: "take 'privileged' out of the profile",
    })
  }
  if (config.thv?.isolation === 'none') return { network: reachable({ kind: 'open' }, config) }
  return { network: reachable(resolveNetwork(profile, config.isolate_network), config) }
}

function reachable(network: NetworkAccess, config: RunConfig): NetworkAccess {
  return config.allow_docker_gateway === true ? withGateway(network) : network
}

function containerPowers(profile: PermissionProfile, config: RunConfig): Pick<Confinement, 'network' | 'privileged'> {
  const privileged = profile.privileged === true
  const network = reachable(resolveContainerNetwork(profile, config.isolate_network), config)
  assertContainable(config.thv?.isolation ?? 'auto', { privileged, network })
  // Its port would be open to other machines: nothing but the server decides where it listens.
  if (network.kind === 'joined' && network.network === 'host' && config.transport !== 'stdio') {
    throw new ThvError(
      'isolation-contradiction',
      'a server that speaks HTTP and the host network contradict each other',
      {
        hint: "leave '--network host' out: the proxy reaches the container without it",
      },
    )
  }
  return { network, ...(privileged ? { privileged } : {}) }
}

async function profileOf(config: RunConfig): Promise<PermissionProfile> {
  const named = config.permission_profile_name_or_path ?? ''
  if (config.permission_profile !== null && config.permission_profile !== undefined) {
    return parsePermissionProfile(config.permission_profile, "the run config's 'permission_profile'")
  }
  return await loadPermissionProfile(named === '' ? defaultProfileName : named)
}

/** A built-in profile, or the one in a JSON file. Throws `permission-profile-invalid`. */
export async function loadPermissionProfile(nameOrPath: string): Promise<PermissionProfile> {
  const builtIn = builtInProfile(nameOrPath)
  if (builtIn !== undefined) return builtIn
  const hint = "give 'none', 'network' or the path of a JSON file"
  const origin = `'${nameOrPath}'`
  let value: unknown
  try {
    if ((await stat(nameOrPath)).size > processLimits.profileBytes) throw new Error('it is too large')
    value = JSON.parse(await readFile(nameOrPath, 'utf8'))
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new ThvError('permission-profile-invalid', `the permission profile ${origin} cannot be read: ${why}`, {
      hint,
    })
  }
  return parsePermissionProfile(value, origin)
}

/** In the order of the profile, then the volumes. The first one for a target stays. */
async function mountsOf(profile: PermissionProfile, volumes: readonly string[]): Promise<Mount[]> {
  const wanted: Mount[] = [
    ...(profile.read ?? []).map((spec) => ({ ...parseMount(spec), writable: false })),
    ...(profile.write ?? []).map((spec) => ({ ...parseMount(spec), writable: true })),
    ...volumes.map((text) => {
      const { source, target, readOnly } = parseVolume(text)
      return { source, target, writable: !readOnly }
    }),
  ]
  const taken = new Map<string, Mount>()
  for (const mount of wanted) {
    if (taken.has(mount.target)) continue
    // A link is followed now: what it points to later is nobody's promise.
    const source = await realpath(mount.source).catch(() => undefined)
    if (source === undefined) {
      // Tools match on this sentence: spec/local 3.7.
      throw new ThvError('mount-invalid', `volume source path does not exist: ${mount.source}`, {
        hint: 'create it, or take the volume out',
      })
    }
    taken.set(mount.target, { ...mount, source })
  }
  return [...taken.values()]
}

/** Read-only or not, whoever reaches a socket may ask for everything that its owner does. */
async function warnOfSockets(mounts: readonly Mount[], warn: (message: string) => void): Promise<void> {
  for (const { source } of mounts) {
    if (!(await stat(source)).isSocket()) continue
    warn(`${source} is a socket: the server gets the powers of whoever listens there, and an engine's are all of them`)
  }
}

function noteCovered(covered: Confinement['covered'], note: (message: string) => void): void {
  for (const { target, isDirectory } of covered) note(`hidden from the server: ${target}${isDirectory ? '/' : ''}`)
  if (covered.length === 0) note('nothing is hidden from the server')
}
