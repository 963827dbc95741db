import type { Dirent } from 'node:fs'
import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import {
  assertConfinable,
  assertContainable,
  builtInProfile,
  coveredEntries,
  defaultProfileName,
  parseIgnoreFile,
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
import { processLimits } from './process-limits.ts'
import { isWithin } from './sandbox-layout.ts'

/** What is looked up for a plan. */
export interface PlanConfinementOptions {
  /** The user's own ignore patterns, for every mount. */
  globalIgnoreFile: string
  /** Told of an ignore pattern that cannot be obeyed. */
  warn: (message: string) => void
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
  const mounts = await mountsOf(profile, volumes)
  const isAsked =
    hasProfile || volumes.length > 0 || config.isolate_network === true || config.allow_docker_gateway === true
  const covered = await coverOf(options, mounts, config.ignore_config?.LoadGlobal !== false)
  if (config.ignore_config?.PrintOverlays === true) {
    for (const { target, isDirectory } of covered)
      options.note(`hidden from the server: ${target}${isDirectory ? '/' : ''}`)
    if (covered.length === 0) options.note('nothing is hidden from the server')
  }
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

/** What `.thvignore` files and the user's own list keep from the server: spec/local 3.7. */
async function coverOf(
  options: PlanConfinementOptions,
  mounts: readonly Mount[],
  useGlobal: boolean,
): Promise<Confinement['covered']> {
  const everywhere = useGlobal ? await readIgnore(options.globalIgnoreFile, options.warn) : []
  const found = await Promise.all(
    mounts.map(async ({ source, target }) => {
      const entries = await readdir(source, { withFileTypes: true }).catch(() => [])
      const patterns = [...everywhere, ...(await readIgnore(join(source, '.thvignore'), options.warn))]
      const seen = await Promise.all(entries.map(async (entry) => await seenEntry(source, entry)))
      return coveredEntries(
        patterns,
        seen.filter((entry) => entry !== undefined),
      ).map((entry) => ({ target: join(target, relative(source, entry.path)), isDirectory: entry.isDirectory }))
    }),
  )
  return found.flat()
}

/** An entry by its name and, for a link, what it points to; undefined for one that leads out of the mount. */
async function seenEntry(
  source: string,
  entry: Dirent,
): Promise<{ name: string; path: string; isDirectory: boolean } | undefined> {
  const { name } = entry
  const path = join(source, name)
  if (!entry.isSymbolicLink()) return { name, path, isDirectory: entry.isDirectory() }
  const real = await realpath(path).catch(() => undefined)
  if (real === undefined || !isWithin(real, source)) return undefined
  return { name, path: real, isDirectory: (await stat(real)).isDirectory() }
}

async function readIgnore(path: string, warn: (message: string) => void): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch(() => '')
  const { patterns, problems } = parseIgnoreFile(text.slice(0, processLimits.profileBytes))
  for (const problem of problems) warn(`${path}: ${problem}`)
  return patterns
}
