import { PassThrough } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { follow, type Attachment } from './attachment.ts'
import { containerLimits } from './container-limits.ts'
import type { EngineClient } from './engine-client.ts'

/** The output of a container, taken apart. */
export type ContainerOutput = Omit<Attachment, 'input'>

/**
 * The output of a server that speaks HTTP, read from the engine's log: unlike a stream of
 * an attached container it can be taken up again when the engine was away. A line written
 * at that moment may be missing or come twice. Ends when the container has, which
 * `isOver` tells; `life` ends it at once.
 */
export function followContainerLog(
  container: { engine: EngineClient; id: string },
  { isOver, life }: { isOver: AbortSignal; life: AbortSignal },
): ContainerOutput {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  return {
    stdout,
    stderr,
    ended: read(),
    close() {
      for (const stream of [stdout, stderr]) stream.destroy()
    },
  }

  async function read(): Promise<undefined> {
    let since = 0
    while (!life.aborted) {
      const broke = await readFrom(since)
      since = Date.now() / 1000
      // After a proper end the container has most likely ended; after any other its last words are still to be read.
      const waiting = broke ? life : isOver
      await delay(containerLimits.engineBackMs, undefined, { signal: waiting }).catch(() => {})
      if (!broke && isOver.aborted) break
    }
    stdout.end()
    stderr.end()
  }

  /** Whether it broke. What is the matter then is told by the wait for the exit. */
  async function readFrom(since: number): Promise<boolean> {
    try {
      const frames = await container.engine.followLogs(container.id, since, life)
      return (await follow(frames, { stdout, stderr })) !== undefined
    } catch {
      return true
    }
  }
}
