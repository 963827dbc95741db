import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { messageOf, ThvError, type ProcessExit, type SupervisorLauncher } from '@thv/core'
import { createProcessList } from './process-list.ts'
import { spawnDetached } from './spawn-detached.ts'

/** How supervisors are started. */
export interface DetachedSupervisorOptions {
  /**
   * What runs thv, for example `[process.execPath, '/…/thv.js']`. `thv` must stand
   * in it, because tools find a supervisor by its command line (spec/local 2.9).
   */
  command: readonly [executable: string, ...args: string[]]
  /** Environment of the supervisor: the caller's own. */
  environment: Readonly<Record<string, string | undefined>>
  /** Where the output of a supervisor goes; the directory exists. */
  logPath: (name: string) => string
  /** Windows' `SystemRoot`. Default `C:\Windows`; unused elsewhere. */
  systemRoot?: string
}

/** Starts supervisors that outlive the calling command. `supervisor-failed` when one cannot be started. */
export function createDetachedSupervisorLauncher(options: DetachedSupervisorOptions): SupervisorLauncher {
  const list = createProcessList(options.systemRoot === undefined ? {} : { systemRoot: options.systemRoot })
  return {
    async launch(name, { debug }) {
      const [executable, ...leading] = options.command
      const args = [...leading, 'start', name, '--foreground', ...(debug ? ['--debug'] : [])]
      try {
        const { child, ended } = await spawnDetached([executable, ...args], {
          environment: options.environment,
          logPath: options.logPath(name),
        })
        child.unref()
        const pid = child.pid ?? 0
        const entry = await list.one(pid)
        if (entry === undefined) throw new Error('it ended at once')
        return { identity: { pid, started: entry.started }, exit: async () => await exitOf(child, ended) }
      } catch (error) {
        throw failed(name, error)
      }
    },
  }
}

async function exitOf(child: ChildProcess, ended: AbortSignal): Promise<ProcessExit> {
  if (!ended.aborted) await once(ended, 'abort')
  return { code: child.exitCode, signal: child.signalCode }
}

function failed(name: string, cause: unknown): ThvError {
  return new ThvError('supervisor-failed', `the supervisor of '${name}' cannot be started: ${messageOf(cause)}`, {
    hint: 'check free disk space and the permissions of the log directory',
    cause,
  })
}
