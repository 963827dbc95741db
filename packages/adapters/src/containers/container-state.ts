import { listIn, recordIn, textIn, type JsonObject } from './read-json.ts'

/** What the engine knows of one container. */
export interface InspectedContainer {
  id: string
  running: boolean
  exitCode: number
  /** Somebody is just removing it. */
  removing: boolean
  /** The kernel killed it because it used more memory than it may. */
  outOfMemory: boolean
  /** Ports of this machine by port of the container (`8080/tcp`). */
  ports: Record<string, { host: string; port: number }[]>
}

/** Reads the engine's answer about a container. */
export function readInspection(found: unknown, id: string): InspectedContainer {
  const state = recordIn(found, 'State')
  return {
    id: textIn(found, 'Id') ?? id,
    running: state['Running'] === true,
    exitCode: Number(state['ExitCode'] ?? 0),
    removing: state['Status'] === 'removing',
    outOfMemory: state['OOMKilled'] === true,
    ports: portsOf(recordIn(recordIn(found, 'NetworkSettings'), 'Ports')),
  }
}

function portsOf(ports: JsonObject): InspectedContainer['ports'] {
  const entries = Object.keys(ports).map((key) => {
    const bindings = listIn(ports, key).map((one) => ({
      host: textIn(one, 'HostIp') ?? '',
      port: Number(textIn(one, 'HostPort') ?? 0),
    }))
    return [key, bindings] as const
  })
  return Object.fromEntries(entries)
}
