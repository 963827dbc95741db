import { assertGroupName, defaultGroup, type Group } from '../domain/group.ts'
import { isThvError, ThvError } from '../errors.ts'
import type { GroupStore, RunConfigStore } from '../ports/state-store.ts'
import { deleteWorkload, type DeleteWorkloadDeps } from './delete-workload.ts'
import { forEachWorkload, throwFailures } from './for-each-workload.ts'

/** What {@link deleteGroup} needs. */
export interface DeleteGroupDeps extends DeleteWorkloadDeps {
  groups: GroupStore
}

/** All groups, sorted by name; the default group is always one of them. */
export async function listGroups(deps: { groups: GroupStore }): Promise<Group[]> {
  const { names } = await deps.groups.list()
  const all = [...new Set([defaultGroup, ...names])].sort()
  const groups = await Promise.all(all.map(async (name) => await loadGroup(deps, name)))
  return groups.filter((group) => group !== undefined)
}

/** One group. `group-not-found`. */
export async function getGroup(deps: { groups: GroupStore }, name: string): Promise<Group> {
  const group = await loadGroup(deps, name)
  if (group !== undefined) return group
  throw groupNotFound(name)
}

/** Creates a group. `invalid-name`, `group-exists`. */
export async function createGroup(deps: { groups: GroupStore }, name: string): Promise<void> {
  assertGroupName(name)
  const isNew = name !== defaultGroup && (await deps.groups.create({ name, registered_clients: [] }))
  if (isNew) return
  throw new ThvError('group-exists', `group '${name}' already exists`, { hint: 'choose another name' })
}

/**
 * Deletes a group. Its workloads go with it, or move to the default group. The group goes
 * last, so that a deletion that is cut off can be repeated. `invalid-argument` for the default
 * group, `group-not-found`.
 */
export async function deleteGroup(
  deps: DeleteGroupDeps,
  name: string,
  options: { withWorkloads: boolean },
  signal: AbortSignal,
): Promise<void> {
  assertGroupName(name)
  if (name === defaultGroup) {
    throw new ThvError('invalid-argument', `the group '${defaultGroup}' cannot be deleted`, {
      hint: 'delete or move its workloads instead',
    })
  }
  if ((await deps.groups.load(name)) === undefined) throw groupNotFound(name)
  const members = await membersOf(deps.configs, name)
  const failures = await forEachWorkload(
    members,
    async (member) => {
      if (options.withWorkloads) await deleteWorkload(deps, member, {}, signal)
      else await moveToDefault(deps.configs, member)
    },
    signal,
  )
  throwFailures(failures, `the group '${name}' was not deleted`)
  await deps.groups.delete(name)
}

async function loadGroup({ groups }: { groups: GroupStore }, name: string): Promise<Group | undefined> {
  const group = await groups.load(name)
  return group ?? (name === defaultGroup ? { name, registered_clients: [] } : undefined)
}

/** What cannot be read is in no group that anybody could know. */
async function membersOf(configs: RunConfigStore, group: string): Promise<string[]> {
  const { names } = await configs.list()
  const found: string[] = []
  for (const name of names) {
    try {
      if ((await configs.load(name))?.group === group) found.push(name)
    } catch (error) {
      if (!isThvError(error) || error.kind !== 'invalid') throw error
    }
  }
  return found
}

async function moveToDefault(configs: RunConfigStore, name: string): Promise<void> {
  const config = await configs.load(name)
  if (config !== undefined) await configs.save({ ...config, group: defaultGroup })
}

function groupNotFound(name: string): ThvError {
  return new ThvError('group-not-found', `group '${name}' not found`, { hint: 'look at the list of groups' })
}
