import {
  asShared,
  forEachWorkload,
  limits,
  messageOf,
  restartWorkload,
  startWorkload,
  ThvError,
  whileUncontested,
  type StartWorkloadDeps,
} from '@thv/core'
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
  const options = { debug: context.debug, progress: context.output.progress }
  return await bulk(context, input, {
    wanted: 'inactive',
    action: async (deps, name, signal) => await startWorkload(deps, name, options, signal),
  })
}

/** `thv restart`: a running workload is stopped first. */
export async function restartCommand(context: CommandContext, input: CommandInput): Promise<number> {
  tellIsLocal(context, 'restart')
  await readLimitVariables(context.container.environment)
  const { progress } = context.output
  const seconds =
    numberOption(input, 'timeout', { flag: '--timeout', min: 0, max: limits.maxStopMs / 1000 }) ?? limits.stopMs / 1000
  const options = { debug: context.debug, progress, timeoutMs: seconds * 1000 }
  return await bulk(context, input, {
    wanted: 'all',
    action: async (deps, name, signal) => await restartWorkload(deps, name, options, signal),
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

type StartAction = (deps: StartWorkloadDeps, name: string, signal: AbortSignal) => Promise<void>

async function bulk(
  context: CommandContext,
  input: CommandInput,
  work: { wanted: 'inactive' | 'all'; action: StartAction },
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
  const failures = await startEach(context, selection.names, work.action)
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
  // Then the interruption is what happened, and the exit code says so.
  signal.throwIfAborted()
  throw new ThvError('server-exited', `${failures.size} workload(s) failed to restart`, {
    hint: "look at each with 'thv status NAME' and 'thv logs NAME'",
  })
}

/** Whoever stops one of several asks this command to let go of it; who stops the only one ends the command. */
async function startEach(
  { container, signal }: CommandContext,
  names: readonly string[],
  action: StartAction,
): Promise<Map<string, unknown>> {
  const deps = await container.workloads()
  if (names.length === 1) return await forEachWorkload(names, async (name) => await action(deps, name, signal), signal)
  const asOneOfMany = asShared(deps)
  const start = async (name: string): Promise<void> => {
    await whileUncontested(asOneOfMany, name, async (ending) => await action(asOneOfMany, name, ending), signal)
  }
  return await forEachWorkload(names, start, signal)
}
