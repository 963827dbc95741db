import { execFile } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { platform } from 'node:os'
import { ThvError, type ServerProcess } from '@thv/core'
import { findTree } from './find-tree.ts'
import { markerVariable } from './marker.ts'
import { killTreeCommand } from './platform/windows.ts'
import type { ProcessEntry } from './platform/process-entry.ts'
import { createProcessList, type ProcessList } from './process-list.ts'
import { processLimits } from './process-limits.ts'

/** What may be known beyond the record of the server. */
export interface ReapOptions {
  signal: AbortSignal
  list?: ProcessList
  /** The caller saw the group's leader exit just now, so its number still means this group. */
  groupIsOurs?: boolean
  systemRoot?: string
}

/**
 * Kills every living process of a server's tree and waits until they are gone.
 * Looks again until a look finds nothing, because a process may fork between look
 * and kill. Resolves to how many were found; `stop-timeout` when something does
 * not die within five seconds; rejects with the signal's reason when it aborts.
 */
export async function reapTree(server: ServerProcess, options: ReapOptions): Promise<number> {
  const list = options.list ?? createProcessList()
  const variable = server.marker === '' ? undefined : `${markerVariable}=${server.marker}`
  const deadline = performance.now() + processLimits.reapMs
  const seen = new Set<string>()
  for (;;) {
    options.signal.throwIfAborted()
    const found = findTree(await list.all(variable), server, {
      self: process.pid,
      ...(options.groupIsOurs === undefined ? {} : { groupIsOurs: options.groupIsOurs }),
    })
    if (found.length === 0) return seen.size
    for (const one of found) seen.add(`${one.pid} ${one.started}`)
    await Promise.all(
      found.map(async (one) => {
        // Looking at everyone takes a while in which a number may have got a new owner.
        if ((await list.one(one.pid))?.started !== one.started) return
        kill(one, one.pid === server.group, options.systemRoot ?? 'C:\\Windows')
      }),
    )
    if (performance.now() > deadline) {
      const pids = found.map((one) => one.pid).join(', ')
      throw new ThvError('stop-timeout', `processes of the server do not die: ${pids}`, {
        hint: 'they hang in the operating system; look at them with ps',
      })
    }
    await delay(processLimits.reapPauseMs, undefined, { signal: options.signal })
  }
}

function kill(one: ProcessEntry, leadsTheGroup: boolean, systemRoot: string): void {
  if (platform() === 'win32') {
    const command = killTreeCommand(systemRoot, one.pid)
    execFile(command.file, [...command.args], { env: command.environment, windowsHide: true }, () => {})
    return
  }
  try {
    // The group at once, because its members may fork faster than they are killed one by one.
    process.kill(leadsTheGroup && one.group === one.pid ? -one.pid : one.pid, 'SIGKILL')
  } catch {
    // Gone since the look, or of another user: the next look tells.
  }
}
