import { forEachWorkload, limits, stopWorkload } from '@thv/core'
import type { CommandContext, CommandInput } from '../command.ts'
import { numberOption } from '../options.ts'
import { reportFailures } from './report-failures.ts'
import { isActive, selectWorkloads } from './select-workloads.ts'

/** `thv stop`: silent on success. */
export async function stopCommand(context: CommandContext, input: CommandInput): Promise<number> {
  const seconds =
    numberOption(input, 'timeout', { flag: '--timeout', min: 0, max: limits.maxStopMs / 1000 }) ?? limits.stopMs / 1000
  const selection = await selectWorkloads(context, input, isActive)
  if (selection.names.length === 0) {
    context.output.line(
      selection.group === undefined
        ? 'No running workloads to stop'
        : `No running MCP servers found in group '${selection.group}'`,
    )
    return 0
  }
  const deps = await context.container.workloads()
  const failures = await forEachWorkload(
    selection.names,
    async (name) => await stopWorkload(deps, name, { timeoutMs: seconds * 1000 }, context.signal),
    context.signal,
  )
  return reportFailures(context, failures)
}
