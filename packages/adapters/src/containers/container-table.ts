import type { ContainerTable } from '@thv/core'
import { containerLabels } from './container-body.ts'
import { EngineClient, type LabelFilter } from './engine-client.ts'
import { removeContainer } from './remove-container.ts'

/** How the container table is wired. */
export interface ContainerTableOptions {
  /** Finds the socket of the engine; rejects with `engine-unreachable` when there is none. */
  findSocket: (signal: AbortSignal) => Promise<string>
  /** As given to the container runtime. */
  instance: string
}

/** Finds the containers of a workload by their labels. Looks for an engine only when none is on record. */
export function createContainerTable({ findSocket, instance }: ContainerTableOptions): ContainerTable {
  return {
    async reap(workload, engines, signal) {
      const labels = { [containerLabels.instance]: instance, [containerLabels.name]: workload }
      const sockets = engines.length === 0 ? [await findSocket(signal)] : engines
      const counts = await Promise.all(sockets.map(async (socket) => await removeAll(socket, labels, signal)))
      return counts.reduce((sum, count) => sum + count, 0)
    },
  }
}

async function removeAll(socketPath: string, labels: LabelFilter, signal: AbortSignal): Promise<number> {
  const engine = new EngineClient(socketPath)
  const found = await engine.listContainers(labels, signal)
  await Promise.all(found.map(async ({ id }) => await removeContainer(engine, id, signal)))
  return found.length
}
