import { assertWorkloadName } from '../domain/workload-name.ts'
import { ThvError } from '../errors.ts'
import type { GroupStore } from '../ports/state-store.ts'
import { requireGroup } from './build-run-config.ts'
import { listWorkloads, type ReadWorkloadDeps } from './list-workloads.ts'

/**
 * The workloads of a request about several: its names, or every member of its group; exactly
 * one of the two. Throws `invalid-argument`, `invalid-name`, `group-not-found`; whether a
 * name exists is found out by what is done to it.
 */
export async function selectWorkloads(
  deps: ReadWorkloadDeps & { groups: GroupStore },
  wanted: { names?: readonly string[] | undefined; group?: string | undefined },
): Promise<string[]> {
  const { names = [], group = '' } = wanted
  if (names.length > 0 === (group !== '')) {
    throw new ThvError('invalid-argument', 'either names or a group must be given, and not both', {
      hint: 'send {"names":["a"]} or {"group":"g"}',
    })
  }
  if (group === '') {
    for (const name of names) assertWorkloadName(name)
    return [...new Set(names)]
  }
  await requireGroup(deps.groups, group)
  const { workloads } = await listWorkloads(deps, { all: true, group })
  return workloads.map(({ name }) => name)
}
