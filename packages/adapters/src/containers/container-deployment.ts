import { once } from 'node:events'
import { limits, messageOf, type Deployment, type DeploySpec, type ServerAddress, type ServerExit } from '@thv/core'
import { createLineMemory, readLines } from '../output-lines.ts'
import { waitAtMost } from '../wait-at-most.ts'
import type { Attachment } from './attachment.ts'
import { waitForAttached, waitThroughOutages } from './container-exit.ts'
import { containerLimits } from './container-limits.ts'
import { followContainerLog, type ContainerOutput } from './container-log.ts'
import type { EngineClient } from './engine-client.ts'

/** A container that was started a moment ago. */
export interface StartedContainer {
  engine: EngineClient
  id: string
  /** Undefined for a server that speaks HTTP. */
  attachment: Attachment | undefined
  address: ServerAddress | undefined
  exitCode: Promise<number>
  /** Ends every wait for the engine. */
  life: AbortController
  /** Removes the container; when it rejects, the engine will be asked again later. */
  remove: () => Promise<void>
}

/** Everything about one running container: its output, its end, and how to end it. */
export function createContainerDeployment(started: StartedContainer, spec: DeploySpec): Deployment {
  const { engine, id, attachment, life } = started
  const memory = createLineMemory()
  const isOver = new AbortController()
  const remove = untilItWorks(started.remove)
  const stop = untilItWorks(endWithin)

  const output = attachment ?? followContainerLog(started, { isOver: isOver.signal, life: life.signal })
  readLines(output.stderr, (line) => {
    memory.add(line)
    spec.onOutput(line)
  })
  if (attachment === undefined) readLines(output.stdout, spec.onOutput)

  const awaited = { ...started, life: life.signal }
  const left = attachment === undefined ? waitThroughOutages(awaited, spec.onOutput) : waitForAttached(awaited)
  const exited = followToTheEnd()

  return {
    server: { container: id, engine: engine.socketPath },
    // One that may do everything is kept from nothing.
    isolation: spec.confinement?.privileged === true ? 'none' : 'container',
    stdio: attachment === undefined ? undefined : { input: attachment.input, output: attachment.stdout },
    ...(started.address === undefined ? {} : { address: started.address }),
    exited,
    lastStderr() {
      return memory.lines()
    },
    stop,
  }

  async function followToTheEnd(): Promise<ServerExit> {
    const exit = await left
    isOver.abort()
    await waitAtMost(drained(output), containerLimits.drainMs)
    life.abort()
    output.close()
    await remove().catch((error: unknown) => spec.onOutput(`thv: ${messageOf(error)}`))
    return exit
  }

  async function endWithin(withinMs: number): Promise<void> {
    const begun = performance.now()
    if (withinMs > 0 && attachment !== undefined) {
      attachment.input.end()
      // At most a third, so that SIGTERM and SIGKILL have their share of a short deadline.
      await waitAtMost(left, Math.min(limits.endOfInputGraceMs, withinMs / 3))
    }
    // An engine cannot end a container as long as it cannot hand on what that has written.
    output.stdout.resume()
    const restMs = Math.ceil(withinMs - (performance.now() - begun))
    try {
      if (restMs > 0 && !isOver.signal.aborted) {
        const graceSeconds = Math.max(0, Math.floor((restMs - containerLimits.removeReserveMs) / 1000))
        await engine.stopContainer(id, graceSeconds, AbortSignal.timeout(restMs + containerLimits.removeMs))
        // The last lines are in the engine's log, which goes with the container.
        await waitAtMost(exited, containerLimits.drainMs)
      }
      await remove()
    } finally {
      // What is not heard by now will not be heard any more.
      if (!(await waitAtMost(left, containerLimits.drainMs))) life.abort()
    }
  }
}

/** Runs an action once, however often it is asked for, and again only after it has failed. */
function untilItWorks<T extends unknown[]>(action: (...args: T) => Promise<void>): (...args: T) => Promise<void> {
  let running: Promise<void> | undefined
  return async (...args) => {
    running ??= action(...args)
    try {
      await running
    } catch (error) {
      running = undefined
      throw error
    }
  }
}

/** Resolves when everything was read, but for what nobody has begun to read. */
async function drained({ ended, stdout, stderr }: ContainerOutput): Promise<void> {
  await ended
  const unfinished = [stdout, stderr].filter((stream) => {
    return !stream.closed && (stream.readableFlowing !== null || stream.readableLength > 0)
  })
  await Promise.all(unfinished.map(async (stream) => await once(stream, 'close')))
}
