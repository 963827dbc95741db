import { forEachWorkload, limits } from '@thv/core'
import { openActions } from '../actions/open-actions.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { numberOption } from '../options.ts'
import { reportFailures } from './report-failures.ts'
import { isActive, selectWorkloads } from './select-workloads.ts'

/** `thv stop`: silent on success. */
export async function stopCommand(context: CommandContext, input: CommandInput): Promise<number> {
  const seconds =
    numberOption(input, 'timeout', { flag: '--timeout', min: 0, max: limits.maxStopMs / 1000 }) ?? limits.stopMs / 1000
  const actions = await openActions(context, input)
  const { signal } = context
  const selection = await selectWorkloads({ actions, signal }, input, isActive)
  if (selection.names.length === 0) {
    context.output.line(
      selection.group === undefined
        ? 'No running workloads to stop'
        : `No running MCP servers found in group '${selection.group}'`,
    )
    return 0
  }
  const failures = await forEachWorkload(
    selection.names,
    async (name) => await actions.stop(name, { timeoutMs: seconds * 1000 }, signal),
    signal,
  )
  return reportFailures(context, failures)
}
