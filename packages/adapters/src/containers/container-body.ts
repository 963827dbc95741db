import type { DeploySpec, ImageSpec } from '@thv/core'
import { containerLimits } from './container-limits.ts'
import type { JsonObject } from './read-json.ts'

/** Labels by which thv finds its containers again. */
export const containerLabels = {
  /** ToolHive's mark of everything it runs. */
  toolhive: 'toolhive',
  /** The workload. */
  name: 'toolhive-name',
  /** Which user's state, because workloads of two users may have one name on one engine. */
  instance: 'thv-instance',
} as const

/**
 * What the engine is told about a server's container. Pure. All capabilities are dropped and
 * none can be gained; processes and memory are bounded; the engine never restarts it, because the supervisor does; a
 * port is published for a server that speaks HTTP only, on the loopback address and
 * under a number that the engine picks, so that nobody reaches the server past the proxy from
 * another machine.
 */
export function buildContainerBody(spec: DeploySpec, image: ImageSpec, instance: string): JsonObject {
  const isStdio = spec.transport === 'stdio'
  const port = isStdio || image.targetPort === undefined ? undefined : `${image.targetPort}/tcp`
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
      CapDrop: ['ALL'],
      SecurityOpt: ['label:disable', 'no-new-privileges'],
      Privileged: false,
      RestartPolicy: { Name: 'no' },
      AutoRemove: false,
      PidsLimit: containerLimits.containerProcesses,
      Memory: containerLimits.containerMemoryBytes,
      LogConfig: logConfigOf(isStdio),
      ...(port === undefined ? {} : { PortBindings: { [port]: [{ HostIp: '127.0.0.1', HostPort: '' }] } }),
    },
  }
}

/** What a stdio server writes is the protocol: it belongs to its client and not on a disk. */
function logConfigOf(isStdio: boolean): JsonObject {
  if (isStdio) return { Type: 'none' }
  return { Type: 'json-file', Config: { 'max-size': containerLimits.engineLogSize } }
}
