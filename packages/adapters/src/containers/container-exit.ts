import { setTimeout as delay } from 'node:timers/promises'
import type { ServerExit } from '@thv/core'
import { containerLimits } from './container-limits.ts'
import type { EngineClient } from './engine-client.ts'
import { isRefusal } from './engine-error.ts'

/** A container whose end is awaited. */
export interface AwaitedContainer {
  engine: EngineClient
  id: string
  /** As the engine gives it; rejects when the engine breaks off. */
  exitCode: Promise<number>
  /** Aborts when nobody waits any more. */
  life: AbortSignal
}

const wentAway = 'the container engine went away'
const removed = 'the container was removed by somebody else'

/**
 * The end of a stdio server: its exit, or the loss of the engine and so of its stream. Without
 * that it is of no use, because nobody knows which messages were lost in it. Never rejects.
 */
export async function waitForAttached(container: AwaitedContainer): Promise<ServerExit> {
  try {
    return await explain(container, await container.exitCode)
  } catch {
    return (await look(container)) ?? gone(wentAway)
  }
}

/**
 * The end of a server that speaks HTTP. It needs no engine to go on serving, so an engine
 * that is away is waited for, until `life` aborts. Never rejects.
 */
export async function waitThroughOutages(
  container: AwaitedContainer,
  tell: (line: string) => void,
): Promise<ServerExit> {
  let { exitCode } = container
  for (;;) {
    try {
      return await explain(container, await exitCode)
    } catch {
      if (container.life.aborted) return gone(wentAway)
      tell(`thv: ${wentAway}; the server may still run`)
    }
    const again = await waitForEngine(container)
    if ('signal' in again) return again
    tell('thv: the container engine is back')
    exitCode = again.exitCode
  }
}

async function waitForEngine({
  engine,
  id,
  life,
}: AwaitedContainer): Promise<{ exitCode: Promise<number> } | ServerExit> {
  for (;;) {
    await delay(containerLimits.engineBackMs, undefined, { signal: life }).catch(() => {})
    if (life.aborted) return gone(wentAway)
    try {
      return await engine.waitForContainer(id, 'not-running', life)
    } catch (error) {
      if (isRefusal(error, 404)) return gone(removed)
    }
  }
}

/** How the container ended, as the engine says; undefined when it runs. */
async function look(container: AwaitedContainer): Promise<ServerExit | undefined> {
  const { engine, id } = container
  try {
    const { running, exitCode } = await engine.inspectContainer(id, AbortSignal.timeout(containerLimits.removeMs))
    return running ? undefined : await explain(container, exitCode)
  } catch (error) {
    return gone(isRefusal(error, 404) ? removed : wentAway)
  }
}

async function explain({ engine, id }: AwaitedContainer, code: number): Promise<ServerExit> {
  const exit = { code, signal: null }
  // 128 + SIGKILL: the kernel's, ours or somebody else's.
  if (code !== 137) return exit
  try {
    const seen = await engine.inspectContainer(id, AbortSignal.timeout(containerLimits.removeMs))
    if (seen.outOfMemory) return { ...exit, reason: 'the server was killed: it used more memory than it may' }
    return seen.removing ? gone(removed) : exit
  } catch (error) {
    return isRefusal(error, 404) ? gone(removed) : exit
  }
}

function gone(reason: string): ServerExit & { reason: string } {
  return { code: null, signal: null, reason }
}
