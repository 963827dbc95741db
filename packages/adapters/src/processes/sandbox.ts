import { realpath, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { ThvError, type Confinement, type DeploySpec, type Isolation } from '@thv/core'
import { openForwardedNetwork, proxyEnvironment, type NetworkOpeners } from '../forwarded-network.ts'
import { bubblewrapArguments } from './bubblewrap.ts'
import { createControlGroups } from './control-groups.ts'
import type { OwnNetwork } from './own-network.ts'
import { findProgramPaths, installationOf, isBroad } from './program-paths.ts'
import { createSandboxDirectory, type SandboxDirectory } from './sandbox-directory.ts'
import { isSystemPath } from './sandbox-layout.ts'
import { currentUser } from './sandbox-probe.ts'
import { carryEnvironment, joinScript, limitScript } from './sandbox-script.ts'

/** How the sandbox is wired. */
export interface SandboxOptions extends NetworkOpeners {
  home: string
  /** Short: unix sockets get their place below it. */
  temporaryDirectory: string
  /** Node and the script that runs beside a server with a network of its own. */
  forwarder: { node: string; script: string }
}

/** A command line that confines, and what belongs to it. */
export interface ConfinedCommand {
  command: readonly [executable: string, ...args: string[]]
  environment: Readonly<Record<string, string>>
  isolation: Isolation
  /** Generations between the process we start and the server; 0 when they are the same. */
  depth: number
  /** Resolves when something that the server cannot be without has ended; `undefined`: there is no such thing. */
  broken?: Promise<void>
  /** Closes and removes what was opened for it. Idempotent. */
  release(): Promise<void>
}

/** What works here. */
export interface SandboxTools {
  bubblewrap: string
  /** Starts a forwarder in a network of its own, or hands out one that was started before. */
  openOwnNetwork: () => Promise<OwnNetwork>
}

type Command = readonly [executable: string, ...args: string[]]

/** Puts a server into a sandbox. Rejects with `mount-invalid` when something to mount is not there. */
export async function confineInSandbox(
  options: SandboxOptions,
  tools: SandboxTools,
  spec: DeploySpec & { confinement: Confinement },
  command: Command,
): Promise<ConfinedCommand> {
  await assertMountable(spec.confinement)
  const opened: (() => Promise<void>)[] = []
  let releasing: Promise<void> | undefined
  const release = async (): Promise<void> => {
    releasing ??= closeAll(opened)
    await releasing
  }
  try {
    const directory = await createSandboxDirectory(options.temporaryDirectory)
    opened.push(async () => await directory.remove())
    const user = currentUser()
    const groups = await createControlGroups(basename(directory.path), user.uid)
    opened.push(async () => await groups.remove())
    const network = await openNetwork(options, tools, { spec, directory, opened })
    const plan = await planOf(options, spec, { command, directory, isForwarded: network !== undefined })
    const inner = [tools.bubblewrap, ...bubblewrapArguments(plan)]
    const whole = network === undefined ? inner : network.enter(inner)
    const { directories } = groups
    const joined = [...shell(joinScript), directory.keyringFilter, String(directories.length), ...directories]
    const [executable, ...args] = [...joined, ...whole]
    return {
      command: [executable ?? '', ...args],
      environment: carryEnvironment(environmentOf(spec, network !== undefined)),
      isolation: 'sandbox',
      depth: 2,
      ...(network === undefined ? {} : { broken: network.ended }),
      release,
    }
  } catch (error) {
    await release()
    throw error
  }
}

async function closeAll(opened: readonly (() => Promise<void>)[]): Promise<void> {
  for (const close of opened.toReversed()) await close()
}

function shell(script: string): string[] {
  return ['/bin/sh', '-c', script, 'sandbox']
}

/** The network with the forwarder in it, which listens by then; undefined when the server needs none. */
async function openNetwork(
  options: SandboxOptions,
  tools: SandboxTools,
  given: {
    spec: DeploySpec & { confinement: Confinement }
    directory: SandboxDirectory
    opened: (() => Promise<void>)[]
  },
): Promise<OwnNetwork | undefined> {
  const { spec, directory, opened } = given
  const { confinement, listen } = spec
  const wanted = { network: confinement.network, listen, publish: listen, directory: directory.path }
  const forwarded = await openForwardedNetwork(options, wanted, opened)
  if (forwarded === undefined) return undefined
  const network = await tools.openOwnNetwork()
  opened.push(async () => await network.close())
  await network.order({ directory: directory.path, ...forwarded.order })
  return network
}

async function planOf(
  options: SandboxOptions,
  { confinement, environment, workingDirectory }: DeploySpec & { confinement: Confinement },
  { command, directory, isForwarded }: { command: Command; directory: SandboxDirectory; isForwarded: boolean },
): Promise<Parameters<typeof bubblewrapArguments>[0]> {
  const { home } = options
  const { programPaths, mounts, covered, network } = confinement
  const program =
    programPaths === 'discover'
      ? await findProgramPaths({ command, workingDirectory, home })
      : [...programPaths, ...(await installationOf(command[0], home))]
  return {
    command: [...shell(limitScript(environment)), ...command],
    workingDirectory,
    user: currentUser(),
    // A home that holds the system cannot be emptied.
    home: home === '/' || isSystemPath(home) ? '/home' : home,
    programPaths: [
      ...program,
      ...(await installationOf(options.forwarder.node, home)),
      ...(await certificatesOf(environment, home)),
    ],
    mounts,
    covered,
    empty: directory.empty,
    // One more inside the forwarder's would keep the server from being reached.
    network: network.kind === 'none' && !isForwarded ? 'own' : 'inherited',
    ...(network.kind === 'filtered' ? { resolvConf: directory.resolvConf } : {}),
  }
}

/** By these variables programs find the certificates of a company's own authority. */
const certificateVariables = [
  'NODE_EXTRA_CA_CERTS',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'REQUESTS_CA_BUNDLE',
  'CURL_CA_BUNDLE',
]

/** Files, and directories that hold nothing else: such a variable may come from anywhere, and names anything. */
async function certificatesOf(environment: Readonly<Record<string, string>>, home: string): Promise<string[]> {
  const paths = certificateVariables.flatMap((name) => environment[name] ?? []).filter((path) => path.startsWith('/'))
  const usable = paths.map(async (path) => {
    const found = await stat(path).catch(() => undefined)
    return found?.isFile() === true || (found?.isDirectory() === true && !(await isBroad(path, home)))
  })
  const verdicts = await Promise.all(usable)
  return paths.filter((_path, index) => verdicts[index])
}

function environmentOf({ environment, confinement, listen }: DeploySpec, isForwarded: boolean): Record<string, string> {
  const own = { ...environment, TMPDIR: '/tmp' }
  if (confinement?.network.kind !== 'filtered' || !isForwarded) return own
  return { ...own, ...proxyEnvironment(listen?.port) }
}

/** Asked at every start: a server that may write above a volume can put a link in its place. */
async function assertMountable({ mounts }: Confinement): Promise<void> {
  for (const { source } of mounts) {
    const real = await realpath(source).catch(() => undefined)
    if (real === source) continue
    // Tools match on the first sentence: spec/local 3.7.
    const [what, hint] =
      real === undefined
        ? [`volume source path does not exist: ${source}`, 'create it, or take the volume out']
        : [`${source} was replaced by a link to ${real} since the workload started`, 'stop it and look who did that']
    throw new ThvError('mount-invalid', what, { hint })
  }
}
