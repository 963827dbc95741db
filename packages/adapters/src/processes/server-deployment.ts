import { platform } from 'node:os'
import { messageOf, type Deployment, type DeploySpec, type ServerExit, type ServerProcess } from '@thv/core'
import type { ConfinedCommand } from './sandbox.ts'
import type { GuardedProcess } from './guarded-spawn.ts'
import { createLineMemory, readLines } from '../output-lines.ts'
import type { ProcessList } from './process-list.ts'
import { processLimits } from './process-limits.ts'
import { reapTree } from './reap-tree.ts'
import { createStopPlan } from './stop-plan.ts'
import { waitAtMost } from '../wait-at-most.ts'

/** A deployment that is a process of this machine. */
export interface ProcessDeployment extends Deployment {
  readonly server: ServerProcess
}

/**
 * Everything about one running server: its output, its end, and how to end it.
 * Call it in the same turn of the event loop in which the server was started.
 */
export function createDeployment(
  running: GuardedProcess,
  spec: DeploySpec,
  context: { list: ProcessList; systemRoot: string; confined: ConfinedCommand },
): ProcessDeployment {
  const { child, identity, guard } = running
  const { list, systemRoot, confined } = context
  const isStdio = spec.transport === 'stdio'
  const memory = createLineMemory()
  readLines(child.stderr, (line) => {
    memory.add(line)
    spec.onOutput(line)
  })
  if (!isStdio) readLines(child.stdout, spec.onOutput)

  let stopping: Promise<void> | undefined
  const plan = createStopPlan({
    child,
    group: identity.group,
    endsOnEndOfInput: isStdio,
    depth: confined.depth,
    list,
    left: running.left,
  })
  const exited = followToTheEnd()
  void endAfter(guard?.ended, 'the guard process of the server')
  void endAfter(confined.broken, 'the forwarder of the server')

  async function followToTheEnd(): Promise<ServerExit> {
    const exit = await running.left
    // During a stop, the rest of the tree gets its polite signal before it is killed.
    stopping ??= killTree()
    await stopping.catch((error: unknown) => {
      spec.onOutput(`thv: ${messageOf(error)}`)
    })
    // Whoever held the output open is dead now, so it ends as soon as it is read.
    await waitAtMost(running.closed, processLimits.drainMs)
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy()
    await running.closed
    await confined.release()
    return exit
  }

  async function killTree(): Promise<void> {
    const groupIsOurs = platform() !== 'win32'
    await reapTree(identity, { signal: new AbortController().signal, groupIsOurs, list, systemRoot })
    // After a failure the guard stays: when this process ends, it tries again.
    guard?.release()
  }

  /** A server that nobody watches, or whose network is gone for good, ends too. */
  async function endAfter(end: Promise<void> | undefined, what: string): Promise<void> {
    if (end === undefined) return
    await end
    if (child.exitCode !== null || child.signalCode !== null) return
    spec.onOutput(`thv: ${what} was killed, so the server is stopped`)
    // The exit of the server is what tells everyone; a failure here is told there.
    await killTree().catch(() => {})
  }

  return {
    server: identity,
    stdio: isStdio ? { input: child.stdin, output: child.stdout } : undefined,
    exited,
    isolation: confined.isolation,
    lastStderr() {
      return memory.lines()
    },
    async stop(withinMs) {
      stopping ??= (async () => {
        await plan(withinMs)
        await killTree()
      })()
      await stopping
      // Whoever has waited for the stop may exit right after it.
      await confined.release()
    },
  }
}
