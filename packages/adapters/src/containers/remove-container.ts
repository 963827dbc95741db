import { setTimeout as delay } from 'node:timers/promises'
import { containerLimits } from './container-limits.ts'
import type { EngineClient } from './engine-client.ts'
import { EngineRefusal, isRefusal } from './engine-error.ts'

/**
 * Kills and removes a container with its anonymous volumes, and resolves when it is gone. One that
 * is gone already is fine. Rejects like the methods of `EngineClient`.
 */
export async function removeContainer(engine: EngineClient, id: string, signal: AbortSignal): Promise<void> {
  for (let turn = 1; ; turn++) {
    try {
      return await engine.deleteContainer(id, signal)
    } catch (error) {
      // Somebody else may just be removing it.
      if (isRefusal(error, 409) && (await isGoneSoon(engine, id, signal))) return
      // Podman fails when the container ends of itself at this moment.
      const isEnding = error instanceof EngineRefusal && error.reason.includes('could not be stopped')
      if (!isEnding || turn === containerLimits.removeTries) throw error
      await delay(containerLimits.removePauseMs, undefined, { signal })
    }
  }
}

async function isGoneSoon(engine: EngineClient, id: string, signal: AbortSignal): Promise<boolean> {
  const deadline = performance.now() + containerLimits.removalMs
  while (performance.now() < deadline) {
    try {
      await engine.inspectContainer(id, signal)
    } catch (error) {
      if (isRefusal(error, 404)) return true
      throw error
    }
    await delay(containerLimits.removalPollMs, undefined, { signal })
  }
  return false
}
