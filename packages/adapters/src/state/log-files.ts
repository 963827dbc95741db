import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { assertWorkloadName, systemCodeOf, type LogFiles } from '@thv/core'
import { readTail } from './read-tail.ts'
import { removeFile } from './remove-file.ts'
import { stateError } from './state-error.ts'
import { sweepTemporaries } from './temporary-file.ts'

// The last `.log` counts: a workload may be called `a.log`.
const logName = /^(.+)\.log(?:\.\d{1,3})?$/s

/**
 * Logs under `<dataDirectory>/logs`: `<name>.log` of the supervisor and its proxy,
 * where ToolHive has it (spec/local 0.2), and `servers/<name>.log` of the server, in
 * a directory of its own because a name may contain dots; `api/serve.log` of a background API server. Rotated parts end in `.1`,
 * `.2`. Opens nothing until used.
 *
 * @param options.dataDirectory `data` of `resolveDirectories`
 */
export function createLogFiles(options: { dataDirectory: string }): LogFiles {
  const proxyLogs = join(options.dataDirectory, 'logs')
  const serverLogs = join(proxyLogs, 'servers')
  const locate = (directory: string, name: string): string => {
    assertWorkloadName(name)
    return join(directory, `${name}.log`)
  }
  return {
    proxyLog: (name) => locate(proxyLogs, name),
    serverLog: (name) => locate(serverLogs, name),
    apiServerLog: () => join(proxyLogs, 'api', 'serve.log'),
    readTail: async (name, which, lines) =>
      await readTail(locate(which === 'proxy' ? proxyLogs : serverLogs, name), lines),
    delete: async (name) => {
      assertWorkloadName(name)
      await removeLogs(proxyLogs, (found) => found === name)
      await removeLogs(serverLogs, (found) => found === name)
    },
    prune: async (keep) => {
      const ofProxies = await removeLogs(proxyLogs, (found) => !keep(found))
      const ofServers = await removeLogs(serverLogs, (found) => !keep(found))
      return [...ofProxies, ...ofServers.map((file) => `servers/${file}`)]
    },
  }
}

/** Removes the logs of the wanted names; what is not named like a log of a workload stays. */
async function removeLogs(directory: string, isWanted: (name: string) => boolean): Promise<string[]> {
  const removed: string[] = []
  // A rotation that was killed left a whole log under a temporary name.
  await sweepTemporaries(directory)
  for (const file of await filesIn(directory)) {
    const name = logName.exec(file)?.[1]
    if (name === undefined || !isWorkloadName(name) || !isWanted(name)) continue
    await removeFile(join(directory, file))
    removed.push(file)
  }
  return removed.sort()
}

async function filesIn(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true })
    return entries.filter((entry) => !entry.isDirectory()).map((entry) => entry.name)
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return []
    throw stateError(error, directory, 'list')
  }
}

function isWorkloadName(name: string): boolean {
  try {
    assertWorkloadName(name)
    return true
  } catch {
    return false
  }
}
