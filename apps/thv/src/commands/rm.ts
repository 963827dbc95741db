import { deleteWorkload, forEachWorkload } from '@thv/core'
import type { CommandContext, CommandInput } from '../command.ts'
import { reportFailures } from './report-failures.ts'
import { selectWorkloads } from './select-workloads.ts'

/** `thv rm`: silent on success. */
export async function rmCommand(context: CommandContext, input: CommandInput): Promise<number> {
  const selection = await selectWorkloads(context, input, () => true)
  if (selection.names.length === 0) {
    context.output.line(
      selection.group === undefined
        ? 'No running workloads to delete'
        : `No workloads found in group '${selection.group}'`,
    )
    return 0
  }
  const deps = await context.container.workloads()
  const failures = await forEachWorkload(
    selection.names,
    async (name) => await deleteWorkload(deps, name, {}, context.signal),
    context.signal,
  )
  return reportFailures(context, failures)
}
