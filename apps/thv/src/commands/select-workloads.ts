import { ThvError, type Workload } from '@thv/core'
import type { WorkloadActions } from '../actions/workload-actions.ts'
import type { CommandInput } from '../command.ts'
import { flagOption, textOption } from '../options.ts'

/** What a bulk command works on: names as given, or everything that `--all` or `--group` finds. */
export type Selection = { names: string[]; group: string | undefined; explicit: boolean }

/** Reads NAMES, `--all` and `--group`, which exclude each other. */
export async function selectWorkloads(
  { actions, signal }: { actions: WorkloadActions; signal: AbortSignal },
  input: CommandInput,
  wanted: (workload: Workload) => boolean,
): Promise<Selection> {
  const all = flagOption(input, 'all')
  const group = textOption(input, 'group')
  const ways = [input.args.length > 0, all, group !== undefined].filter(Boolean).length
  if (ways === 0) {
    throw new ThvError('invalid-argument', 'at least one workload name must be provided', {
      hint: 'give names, or --all, or --group NAME',
    })
  }
  if (ways > 1) {
    throw new ThvError('invalid-flag-combination', 'names, --all and --group exclude each other', {
      hint: 'use one of them',
    })
  }
  if (input.args.length > 0) return { names: [...new Set(input.args)], group: undefined, explicit: true }
  if (group !== undefined) await actions.requireGroup(group, signal)
  const listing = await actions.list(group === undefined ? { all: true } : { all: true, group }, signal)
  return { names: listing.workloads.filter(wanted).map((workload) => workload.name), group, explicit: false }
}

/** Whether `--all` of stop means it: is there something to end? An unhealthy one may have a server left. */
export function isActive(workload: Workload): boolean {
  return !['stopped', 'error', 'policy_stopped'].includes(workload.status)
}

/** Whether a living process keeps it up, so that `--all` of start has nothing to do for it. */
export function isSupervised(workload: Workload): boolean {
  return workload.supervisor_pid !== undefined
}
