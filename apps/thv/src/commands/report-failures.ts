import { messageOf } from '@thv/core'
import { renderError } from '../output/render-error.ts'
import type { CommandContext } from '../command.ts'

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
