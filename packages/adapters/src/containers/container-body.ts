import type { Confinement, DeploySpec, ImageSpec, NetworkAccess } from '@thv/core'
import { containerLimits } from './container-limits.ts'
import type { JsonObject } from './read-json.ts'

/** Labels by which thv finds its containers again. */
export const containerLabels = {
  /** ToolHive's mark of everything it runs. */
  toolhive: 'toolhive',
  /** The workload. */
  name: 'toolhive-name',
  /** ToolHive's mark of what runs beside a server. */
  auxiliary: 'toolhive-auxiliary-workload',
  /** Which user's state, because workloads of two users may have one name on one engine. */
  instance: 'thv-instance',
} as const

/** Where a server's container belongs. */
export interface ContainerPlace {
  /** Tells the containers of one user's state from those of another. */
  instance: string
  /** Id of the container whose network it shares; its own without. */
  networkOf?: string
  /** Whether the engine can bound processor time; true without. */
  boundsCpu?: boolean
}

/**
 * What the engine is told about a server's container. Pure. All capabilities are dropped and
 * none can be gained, but for a privileged one; processes and memory are bounded; the engine never restarts it, because the supervisor does; a
 * port is published for a server that speaks HTTP only, on the loopback address and
 * under a number that the engine picks, so that nobody reaches the server past the proxy from
 * another machine.
 */
export function buildContainerBody(spec: DeploySpec, image: ImageSpec, place: ContainerPlace): JsonObject {
  const { instance, networkOf, boundsCpu = true } = place
  const { confinement } = spec
  const isStdio = spec.transport === 'stdio'
  const isPublished = !isStdio && image.targetPort !== undefined && networkOf === undefined
  const port = isPublished ? `${image.targetPort}/tcp` : undefined
  return {
    Image: image.reference,
    // Without arguments the image's own apply.
    ...(spec.command.length === 0 ? {} : { Cmd: [...spec.command] }),
    Env: Object.entries(spec.environment).map(([key, value]) => `${key}=${value}`),
    Labels: {
      ...image.labels,
      [containerLabels.toolhive]: 'true',
      [containerLabels.name]: spec.name,
      [containerLabels.instance]: instance,
    },
    Tty: false,
    OpenStdin: isStdio,
    // When this process dies, the container reads end of input, and a server that obeys the protocol ends.
    StdinOnce: isStdio,
    AttachStdin: isStdio,
    AttachStdout: true,
    AttachStderr: true,
    ...(port === undefined ? {} : { ExposedPorts: { [port]: {} } }),
    HostConfig: {
      ...powersOf(confinement?.privileged === true),
      ...mountsOf(confinement),
      ...networkOfServer(confinement?.network, networkOf),
      RestartPolicy: { Name: 'no' },
      AutoRemove: false,
      PidsLimit: containerLimits.containerProcesses,
      Memory: containerLimits.containerMemoryBytes,
      // With swap; without this the engine adds as much again.
      MemorySwap: containerLimits.containerMemoryBytes,
      // Unlike NanoCpus, this is no error on a machine with fewer processors.
      ...(boundsCpu ? { CpuPeriod: cpuPeriodUs, CpuQuota: containerLimits.containerCpus * cpuPeriodUs } : {}),
      LogConfig: logConfigOf(isStdio),
      ...(port === undefined ? {} : { PortBindings: { [port]: [{ HostIp: '127.0.0.1', HostPort: '' }] } }),
    },
  }
}

/** The kernel's usual period, in microseconds. */
const cpuPeriodUs = 100_000

function powersOf(isPrivileged: boolean): JsonObject {
  if (isPrivileged) return { Privileged: true, SecurityOpt: ['label:disable'] }
  return { Privileged: false, CapDrop: ['ALL'], SecurityOpt: ['label:disable', 'no-new-privileges'] }
}

/** The engine mounts by depth, so what covers an entry of a mount lies over it. */
function mountsOf(confinement: Confinement | undefined): JsonObject {
  if (confinement === undefined) return {}
  const { mounts, covered } = confinement
  const binds = mounts.map(({ source, target, writable }) => bind(source, target, !writable))
  const covers = covered.map(({ target, isDirectory }) =>
    isDirectory ? emptyDirectory(target) : bind('/dev/null', target, true),
  )
  return binds.length + covers.length === 0 ? {} : { Mounts: [...binds, ...covers] }
}

function bind(source: string, target: string, isReadOnly: boolean): JsonObject {
  return { Type: 'bind', Source: source, Target: target, ReadOnly: isReadOnly }
}

function emptyDirectory(target: string): JsonObject {
  const { coverBytes } = containerLimits
  return { Type: 'tmpfs', Target: target, ReadOnly: true, TmpfsOptions: { SizeBytes: coverBytes, Mode: 0o555 } }
}

function networkOfServer(network: NetworkAccess | undefined, networkOf: string | undefined): JsonObject {
  if (networkOf !== undefined) return { NetworkMode: `container:${networkOf}` }
  if (network === undefined || network.kind === 'open') return {}
  // A filtered network is one that is shared; should there be none to share, then no network at all.
  return { NetworkMode: network.kind === 'joined' ? network.network : 'none' }
}

/** What a stdio server writes is the protocol: it belongs to its client and not on a disk. */
function logConfigOf(isStdio: boolean): JsonObject {
  if (isStdio) return { Type: 'none' }
  return { Type: 'json-file', Config: { 'max-size': containerLimits.engineLogSize } }
}
