import type { ImageStore } from '@thv/core'
import { buildImage } from './build-image.ts'
import { EngineClient } from './engine-client.ts'
import { pullImage } from './pull-image.ts'
import type { DockerConfigPlace } from './registry-auth.ts'

/** How the image store is wired. */
export interface ImageStoreOptions extends DockerConfigPlace {
  /** Finds the socket of the engine; rejects with `engine-unreachable` when there is none. */
  findSocket: (signal: AbortSignal) => Promise<string>
  now: () => Date
}

/** The images of the engine. Asks for one only when it is used. */
export function createImageStore(options: ImageStoreOptions): ImageStore {
  const { findSocket, now, ...place } = options
  return {
    async isReachable(signal) {
      try {
        await findSocket(signal)
        return true
      } catch {
        signal.throwIfAborted()
        return false
      }
    },
    async pull(reference, progress, signal) {
      const engine = new EngineClient(await findSocket(signal))
      await pullImage({ engine, place }, reference, progress, signal)
    },
    async build(wanted, progress, signal) {
      const engine = new EngineClient(await findSocket(signal))
      return await buildImage({ engine, place, now }, wanted, progress, signal)
    },
  }
}
