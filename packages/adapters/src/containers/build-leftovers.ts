import { containerLimits } from './container-limits.ts'
import type { EngineClient } from './engine-client.ts'

/** Follows the output of a build and knows which images it made on the way. */
export interface BuildLeftovers {
  see(line: string): void
  /** Removes those that no image has as its part. What cannot be removed stays; never rejects. */
  remove(engine: EngineClient): Promise<void>
}

/**
 * The classic builder keeps the first stage of a build, and every step of one that failed, as images without
 * a name. Those that were there before belong to somebody else's build and stay.
 */
export function createBuildLeftovers(): BuildLeftovers {
  const made = new Set<string>()
  let isOurs = false
  return {
    see(line) {
      if (line.startsWith('Step ')) isOurs = !/: FROM /i.test(line)
      else if (line.startsWith(' ---> Using cache')) isOurs = false
      const id = /^ ---> ([0-9a-f]{12,64})$/.exec(line)?.[1]
      if (id !== undefined && isOurs && made.size < containerLimits.buildSteps) made.add(id)
    },
    async remove(engine) {
      if (made.size === 0) return
      try {
        const signal = AbortSignal.timeout(containerLimits.removeMs)
        for (const id of await engine.listUnnamedImages(signal)) {
          const short = id.replace(/^sha256:/, '')
          if ([...made].some((one) => short.startsWith(one))) await engine.removeImage(id, signal)
        }
      } catch {
        // The engine is gone, and the build with it; its own pruning finds what it kept.
      }
    },
  }
}
