import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { ThvError, type Confinement, type DeploySpec, type Isolation, type OutboundPermissions } from '@thv/core'
import { bubblewrapArguments, networkArguments } from './bubblewrap.ts'
import { createControlGroups } from './control-groups.ts'
import { findProgramPaths, installationOf } from './program-paths.ts'
import { createSandboxDirectory, type SandboxDirectory } from './sandbox-directory.ts'
import { isSystemPath } from './sandbox-layout.ts'
import { currentUser, withoutPowers } from './sandbox-probe.ts'
import { forwardScript, joinScript, limitScript } from './sandbox-script.ts'

/** How the sandbox is wired. */
export interface SandboxOptions {
  home: string
  /** Short: unix sockets get their place below it. */
  temporaryDirectory: string
  /** Node and the script that runs beside a server with a network of its own. */
  forwarder: { node: string; script: string }
  /** Opens the way out of a filtered server. */
  openEgress: (egress: { socketPath: string; outbound: OutboundPermissions }) => Promise<Closable>
  /** Opens the way in to a server that speaks HTTP in a network of its own. */
  openInbound: (inbound: { socketPath: string; host: string; port: number }) => Promise<Closable>
}

/** Something that was opened for one server. */
export interface Closable {
  close(): Promise<void>
}

/** A command line that confines, and what belongs to it. */
export interface ConfinedCommand {
  command: readonly [executable: string, ...args: string[]]
  environment: Readonly<Record<string, string>>
  isolation: Isolation
  /** Generations between the process we start and the server; 0 when they are the same. */
  depth: number
  /** Closes and removes what was opened for it. Idempotent. */
  release(): Promise<void>
}

type Command = readonly [executable: string, ...args: string[]]

/** Puts a server into a sandbox. Rejects with `mount-invalid` when something to mount is not there. */
export async function confineInSandbox(
  options: SandboxOptions,
  bubblewrap: string,
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
    const forwarder = await openNetwork(options, spec, { directory, opened })
    const inner = [bubblewrap, ...bubblewrapArguments(await planOf(options, spec, { command, directory }))]
    const whole =
      forwarder === undefined
        ? inner
        : [bubblewrap, ...networkArguments(user, [...shell(forwardScript), ...forwarder, ...withoutPowers, ...inner])]
    const { directories } = groups
    const [executable, ...args] = [...shell(joinScript), String(directories.length), ...directories, ...whole]
    return {
      command: [executable ?? '', ...args],
      environment: environmentOf(spec, forwarder !== undefined),
      isolation: 'sandbox',
      depth: forwarder === undefined ? 2 : 3,
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

/** Where programs inside find a proxy; moved when the server itself wants that port. */
const proxyPort = 3128

/** What listens on names without knowing of proxies: the ports of the profile, or those of the web. */
const webPorts = [80, 443]

/** The words of the forwarder's command; undefined when the server needs none. */
async function openNetwork(
  options: SandboxOptions,
  { confinement, listen }: DeploySpec & { confinement: Confinement },
  { directory, opened }: { directory: SandboxDirectory; opened: (() => Promise<void>)[] },
): Promise<string[] | undefined> {
  const { network } = confinement
  const order: Record<string, unknown> = { directory: directory.path }
  if (network.kind === 'filtered') {
    const { outbound } = network
    const egress = await options.openEgress({ socketPath: `${directory.path}/egress.sock`, outbound })
    opened.push(async () => await egress.close())
    const named = outbound.allow_port ?? []
    const ports = new Set(named.length === 0 ? webPorts : named)
    ports.delete(listen?.port ?? 0)
    order['egress'] = { proxyPort: proxyPortOf(listen?.port), ports: [...ports] }
  }
  if (network.kind !== 'open' && listen !== undefined) {
    const inbound = await options.openInbound({ socketPath: `${directory.path}/inbound.sock`, ...listen })
    opened.push(async () => await inbound.close())
    order['inbound'] = listen
  }
  const { node, script } = options.forwarder
  return Object.keys(order).length === 1 ? undefined : [node, script, JSON.stringify(order)]
}

function proxyPortOf(serverPort: number | undefined): number {
  return serverPort === proxyPort ? proxyPort + 1 : proxyPort
}

async function planOf(
  options: SandboxOptions,
  { confinement, environment, workingDirectory }: DeploySpec & { confinement: Confinement },
  { command, directory }: { command: Command; directory: SandboxDirectory },
): Promise<Parameters<typeof bubblewrapArguments>[0]> {
  const { home } = options
  const { programPaths, mounts, covered, network } = confinement
  const program =
    programPaths === 'discover'
      ? await findProgramPaths({ command, workingDirectory, home })
      : [...programPaths, ...(await installationOf(command[0], home))]
  return {
    command: [...shell(limitScript), ...command],
    workingDirectory,
    user: currentUser(),
    // A home that holds the system cannot be emptied.
    home: home === '/' || isSystemPath(home) ? '/home' : home,
    programPaths: [
      ...program,
      ...(await installationOf(options.forwarder.node, home)),
      ...(await certificatesOf(environment)),
    ],
    mounts,
    covered,
    empty: directory.empty,
    network: network.kind === 'none' ? 'own' : 'inherited',
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

async function certificatesOf(environment: Readonly<Record<string, string>>): Promise<string[]> {
  const paths = certificateVariables.flatMap((name) => environment[name] ?? []).filter((path) => path.startsWith('/'))
  const there = await Promise.all(paths.map(async (path) => (await stat(path).catch(() => undefined)) !== undefined))
  return paths.filter((_path, index) => there[index])
}

function environmentOf({ environment, confinement, listen }: DeploySpec, isForwarded: boolean): Record<string, string> {
  const own = { ...environment, TMPDIR: '/tmp' }
  if (confinement?.network.kind !== 'filtered' || !isForwarded) return own
  const proxy = `http://127.0.0.1:${proxyPortOf(listen?.port)}`
  const direct = 'localhost,127.0.0.1,::1'
  return {
    ...own,
    HTTP_PROXY: proxy,
    HTTPS_PROXY: proxy,
    NO_PROXY: direct,
    http_proxy: proxy,
    https_proxy: proxy,
    no_proxy: direct,
    // Node 22.21 and 24 use the variables only when told so.
    NODE_USE_ENV_PROXY: '1',
  }
}

async function assertMountable({ mounts }: Confinement): Promise<void> {
  for (const { source } of mounts) {
    if ((await stat(source).catch(() => undefined)) !== undefined) continue
    // Tools match on this sentence: spec/local 3.7.
    throw new ThvError('mount-invalid', `volume source path does not exist: ${source}`, {
      hint: 'create it, or take the volume out',
    })
  }
}
