import { createHash } from 'node:crypto'
import type * as AdaptersModule from '@thv/adapters'
import type { ContainerNetworkOptions } from '@thv/adapters'
import type { ContainerTable, ImageStore, WorkloadRuntime } from '@thv/core'
import { homeDirectory } from './home-directory.ts'

type Adapters = typeof AdaptersModule
type FoundEngine = Awaited<ReturnType<Adapters['findEngine']>>

/** The container engine of this machine; looked for when it is first needed. */
export interface EngineAccess {
  /** `engine-unreachable` when none answers; the next call looks again. */
  find: (signal: AbortSignal) => Promise<FoundEngine>
  containers: () => Promise<ContainerTable>
  images: () => Promise<ImageStore>
  /** Always the same one, because it remembers what it could not remove. */
  runtime: (network: ContainerNetworkOptions, signal: AbortSignal) => Promise<WorkloadRuntime>
}

/** Opens nothing. */
export function createEngineAccess(context: {
  adapters: () => Promise<Adapters>
  environment: Readonly<Record<string, string | undefined>>
  dataDirectory: () => Promise<string>
}): EngineAccess {
  const { adapters, environment } = context
  let found: FoundEngine | undefined
  let runtime: WorkloadRuntime | undefined

  async function find(signal: AbortSignal): Promise<FoundEngine> {
    found ??= await (await adapters()).findEngine({ environment, home: homeDirectory() }, signal)
    return found
  }

  async function findSocket(signal: AbortSignal): Promise<string> {
    return (await find(signal)).socketPath
  }

  /** Tells the containers of this user's state from those of another on the same engine. */
  async function instance(): Promise<string> {
    return createHash('sha256')
      .update(await context.dataDirectory())
      .digest('hex')
      .slice(0, 16)
  }

  return {
    find,
    async images() {
      const now = (): Date => new Date()
      return (await adapters()).createImageStore({ findSocket, now, environment, home: homeDirectory() })
    },
    async containers() {
      return (await adapters()).createContainerTable({ findSocket, instance: await instance() })
    },
    async runtime(network, signal) {
      const socketPath = await findSocket(signal)
      runtime ??= (await adapters()).createContainerRuntime({ socketPath, instance: await instance(), network })
      return runtime
    },
  }
}
