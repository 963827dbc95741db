import { forEachWorkload, limits, messageOf, restartWorkload, startWorkload, ThvError } from '@thv/core'
import { createLocalActions } from '../actions/local-actions.ts'
import { tellIsLocal } from '../actions/open-actions.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { readLimitVariables } from '../limit-variables.ts'
import { flagOption, numberOption, textOption } from '../options.ts'
import { superviseHere } from '../supervise-here.ts'
import { servingLine } from '../output/serving-line.ts'
import { isSupervised, selectWorkloads } from './select-workloads.ts'

/** `thv start`: nothing to do for what runs. */
export async function startCommand(context: CommandContext, input: CommandInput): Promise<number> {
  tellIsLocal(context, 'start')
  await readLimitVariables(context.container.environment)
  if (flagOption(input, 'foreground')) return await startHere(context, input)
  const deps = await context.container.workloads()
  const { progress } = context.output
  return await bulk(context, input, {
    wanted: 'inactive',
    action: async (name) => await startWorkload(deps, name, { debug: context.debug, progress }, context.signal),
  })
}

/** `thv restart`: a running workload is stopped first. */
export async function restartCommand(context: CommandContext, input: CommandInput): Promise<number> {
  tellIsLocal(context, 'restart')
  await readLimitVariables(context.container.environment)
  const deps = await context.container.workloads()
  const { progress } = context.output
  const seconds =
    numberOption(input, 'timeout', { flag: '--timeout', min: 0, max: limits.maxStopMs / 1000 }) ?? limits.stopMs / 1000
  const options = { debug: context.debug, progress, timeoutMs: seconds * 1000 }
  return await bulk(context, input, {
    wanted: 'all',
    action: async (name) => await restartWorkload(deps, name, options, context.signal),
  })
}

async function startHere(context: CommandContext, input: CommandInput): Promise<number> {
  const [name, ...others] = input.args
  const several = flagOption(input, 'all') || textOption(input, 'group') !== undefined
  if (name === undefined || others.length > 0 || several) {
    throw new ThvError('invalid-flag-combination', '--foreground takes exactly one workload name', {
      hint: 'start the others in their own terminals, or without --foreground',
    })
  }
  await superviseHere(context, name, (config) => context.output.line(servingLine(config)))
  return 0
}

async function bulk(
  context: CommandContext,
  input: CommandInput,
  work: { wanted: 'inactive' | 'all'; action: (name: string) => Promise<void> },
): Promise<number> {
  const { output, signal } = context
  const selection = await selectWorkloads(
    { actions: createLocalActions(context.container), signal },
    input,
    (workload) => work.wanted === 'all' || !isSupervised(workload),
  )
  if (selection.names.length === 0) {
    output.line(
      selection.group === undefined
        ? 'No workloads found to restart'
        : `No workloads found in group '${selection.group}' to restart`,
    )
    return 0
  }
  const failures = await forEachWorkload(selection.names, work.action, context.signal)
  const [only] = failures.values()
  if (selection.names.length === 1 && only instanceof Error) throw only
  if (selection.explicit && failures.size === 0) {
    output.settle()
    return 0
  }
  output.line(`Restart summary: ${selection.names.length - failures.size} succeeded, ${failures.size} failed`)
  if (failures.size === 0) return 0
  output.line('Failed restarts:')
  for (const [name, error] of failures) output.line(`  - ${name}: ${messageOf(error)}`)
  throw new ThvError('server-exited', `${failures.size} workload(s) failed to restart`, {
    hint: "look at each with 'thv status NAME' and 'thv logs NAME'",
  })
}
