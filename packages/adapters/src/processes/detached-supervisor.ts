import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { platform } from 'node:os'
import { messageOf, ThvError, type SupervisorLauncher } from '@thv/core'
import { markerVariable } from './marker.ts'
import { createProcessList } from './process-list.ts'

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
      const log = await openLog(options.logPath(name), name)
      try {
        const child = spawn(executable, args, {
          detached: true,
          stdio: ['ignore', log.fd, log.fd],
          env: supervisorEnvironment(options.environment),
          windowsHide: true,
        })
        await once(child, 'spawn')
        child.on('error', () => {})
        child.unref()
        const pid = child.pid ?? 0
        const entry = await list.one(pid)
        if (entry === undefined) throw new Error('it ended at once')
        return { pid, started: entry.started }
      } catch (error) {
        throw failed(name, error)
      } finally {
        await log.close()
      }
    },
  }
}

function supervisorEnvironment(given: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const environment: Record<string, string> = {}
  for (const [key, value] of Object.entries(given)) {
    // A thv called by a server under thv starts a workload of its own right: with the
    // marker of that server, the end of one would kill the other.
    if (value !== undefined && key !== markerVariable) environment[key] = value
  }
  // ToolHive's code tests for 1; its documents say true.
  environment['TOOLHIVE_DETACHED'] = '1'
  return environment
}

async function openLog(path: string, name: string) {
  // Windows has no such flag; there the user's profile directory is private.
  const noFollow = platform() === 'win32' ? 0 : constants.O_NOFOLLOW
  try {
    return await open(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | noFollow, 0o600)
  } catch (error) {
    throw failed(name, error)
  }
}

function failed(name: string, cause: unknown): ThvError {
  return new ThvError('supervisor-failed', `the supervisor of '${name}' cannot be started: ${messageOf(cause)}`, {
    hint: 'check free disk space and the permissions of the log directory',
    cause,
  })
}
