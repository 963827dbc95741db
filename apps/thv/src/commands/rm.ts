import { forEachWorkload } from '@thv/core'
import { openActions } from '../actions/open-actions.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { reportFailures } from './report-failures.ts'
import { selectWorkloads } from './select-workloads.ts'

/** `thv rm`: silent on success. */
export async function rmCommand(context: CommandContext, input: CommandInput): Promise<number> {
  const actions = await openActions(context, input)
  const { signal } = context
  const selection = await selectWorkloads({ actions, signal }, input, () => true)
  if (selection.names.length === 0) {
    context.output.line(
      selection.group === undefined
        ? 'No running workloads to delete'
        : `No workloads found in group '${selection.group}'`,
    )
    return 0
  }
  const failures = await forEachWorkload(selection.names, async (name) => await actions.delete(name, signal), signal)
  return reportFailures(context, failures)
}
