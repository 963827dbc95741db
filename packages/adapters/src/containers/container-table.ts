import type { ContainerTable } from '@thv/core'
import { containerLabels } from './container-body.ts'
import { EngineClient } from './engine-client.ts'

/** How the container table is wired. */
export interface ContainerTableOptions {
  /** Finds the socket of the engine; rejects with `engine-unreachable` when there is none. */
  findSocket: (signal: AbortSignal) => Promise<string>
  /** As given to the container runtime. */
  instance: string
}

/** Finds the containers of a workload by their labels. Asks for an engine only when it is used. */
export function createContainerTable({ findSocket, instance }: ContainerTableOptions): ContainerTable {
  return {
    async reap(workload, signal) {
      const engine = new EngineClient(await findSocket(signal))
      const labels = { [containerLabels.instance]: instance, [containerLabels.name]: workload }
      const found = await engine.listContainers(labels, signal)
      await Promise.all(found.map(async ({ id }) => await engine.removeContainer(id, signal)))
      return found.length
    },
  }
}
