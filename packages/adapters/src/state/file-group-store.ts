import { dirname, join } from 'node:path'
import { assertGroupName, limits, ThvError, type Group, type GroupStore } from '@thv/core'
import { syncDirectory } from './atomic-write.ts'
import { createExclusively } from './create-exclusively.ts'
import { decodeState, parseJsonObject } from './parse-state-json.ts'
import { listStateFiles } from './list-state-files.ts'
import { readStateFile } from './read-state-file.ts'
import { removeFile } from './remove-file.ts'
import { stateError } from './state-error.ts'

/**
 * Groups as `<stateDirectory>/groups/<name>.json`, ToolHive's files (spec/local 2.7).
 * Keys that thv does not know (`skills`, `plugins`) stay in a loaded group. Opens
 * nothing until used.
 *
 * @param options.stateDirectory `state` of `resolveDirectories`
 */
export function createFileGroupStore(options: { stateDirectory: string }): GroupStore {
  const directory = join(options.stateDirectory, 'groups')
  const pathOf = (name: string): string => {
    assertGroupName(name)
    return join(directory, `${name}.json`)
  }
  return {
    load: async (name) => await load(name, pathOf(name)),
    create: async (group) => await create(group, pathOf(group.name)),
    delete: async (name) => await removeFile(pathOf(name)),
    list: async () => await listStateFiles(directory, { what: 'group', assertName: assertGroupName }),
  }
}

async function load(name: string, path: string): Promise<Group | undefined> {
  const read = await readStateFile(path, limits.groupBytes)
  if (read.kind === 'absent') return undefined
  if (read.kind === 'refused') throw corrupt(name, path, read.reason)
  const raw = parseJsonObject(decodeState(read.bytes))
  if (raw === undefined) throw corrupt(name, path, 'it is not a JSON object')
  const clients = raw['registered_clients']
  const registered = Array.isArray(clients) ? clients.filter((client) => typeof client === 'string') : []
  // The file name is what every command goes by; a name inside that differs is a copy's leftover.
  return { ...raw, name, registered_clients: registered }
}

async function create(group: Group, path: string): Promise<boolean> {
  try {
    const created = await createExclusively(path, `${JSON.stringify(group, null, 2)}\n`, true)
    if (created) await syncDirectory(dirname(path))
    return created
  } catch (error) {
    throw stateError(error, path, 'create')
  }
}

function corrupt(name: string, path: string, why: string): ThvError {
  return new ThvError('state-corrupt', `the group '${name}' cannot be used: '${path}': ${why}`, {
    hint: 'mend the file, or remove it and create the group again',
  })
}
