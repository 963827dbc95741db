import { messageOf } from '@thv/core'
import { renderError } from '../output/render-error.ts'
import type { CommandContext } from '../command.ts'

/** How many workloads one command works on at once: each may spawn a server. */
const parallel = 4

/** The names for which the action failed, with their errors; one failure does not stop the others. */
export async function forEachWorkload(
  context: CommandContext,
  names: readonly string[],
  action: (name: string) => Promise<void>,
): Promise<Map<string, unknown>> {
  const failures = new Map<string, unknown>()
  const queue = [...names]
  const workers = Array.from({ length: Math.min(parallel, queue.length) }, async () => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      try {
        context.signal.throwIfAborted()
        await action(name)
      } catch (error) {
        failures.set(name, error)
      }
    }
  })
  await Promise.all(workers)
  return failures
}

/** Throws the only failure as it is; prints several and exits with 1. */
export function reportFailures(context: CommandContext, failures: ReadonlyMap<string, unknown>): number {
  if (failures.size === 0) return 0
  const [only] = failures.values()
  if (failures.size === 1 && only instanceof Error) throw only
  for (const [name, error] of failures) {
    context.output.note(messageOf(error).includes(name) ? '' : `${name}:`)
    context.output.note(renderError(error, context.debug))
  }
  return 1
}
