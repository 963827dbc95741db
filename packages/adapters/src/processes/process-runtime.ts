import { stat } from 'node:fs/promises'
import { ThvError, type DeploySpec, type WorkloadRuntime } from '@thv/core'
import { createConfiner, unconfined, type ConfineOptions, type Confiner } from './confine.ts'
import { findExecutable } from './executable.ts'
import { spawnGuarded } from './guarded-spawn.ts'
import { createProcessList } from './process-list.ts'
import { createDeployment, type ProcessDeployment } from './server-deployment.ts'

/** How the process runtime is wired. */
export interface ProcessRuntimeOptions {
  /**
   * Starts a program that calls `reapMain` with the arguments that are appended,
   * and exits with its result; for example `[process.execPath, '/…/thv.js', '__reap']`.
   */
  reaperCommand: readonly [executable: string, ...args: string[]]
  /** Default: no server is confined. */
  confine?: ConfineOptions
  /** Windows' `SystemRoot`. Default `C:\Windows`; unused elsewhere. */
  systemRoot?: string
}

/** The process runtime, whose servers are processes. */
export interface ProcessRuntime extends WorkloadRuntime {
  /** Starts early what the isolation of the next server needs; see {@link Confiner}. */
  prepare: Confiner['prepare']
  /** Ends what was prepared and not needed. */
  close(): Promise<void>
  deploy(spec: DeploySpec, signal: AbortSignal): Promise<ProcessDeployment>
}

/**
 * Runs servers as processes of this user, confined as their spec asks. A server and everything it starts
 * dies with the calling process, also when that is killed with SIGKILL: within half
 * a second on POSIX. Windows keeps this promise for the server itself only.
 */
export function createProcessRuntime(options: ProcessRuntimeOptions): ProcessRuntime {
  const systemRoot = options.systemRoot ?? 'C:\\Windows'
  const list = createProcessList({ systemRoot })
  const confiner = options.confine === undefined ? undefined : createConfiner(options.confine)
  return {
    kind: 'process',
    prepare: (wish, needs) => confiner?.prepare(wish, needs),
    close: async () => await confiner?.close(),
    async deploy(spec, signal) {
      signal.throwIfAborted()
      const [typed, ...args] = spec.command
      if (spec.image !== undefined || typed === undefined) {
        throw new ThvError('internal', 'the process runtime was given an image')
      }
      const { environment, workingDirectory } = spec
      await assertDirectory(workingDirectory)
      const executable = await findExecutable(typed, {
        workingDirectory,
        searchPath: environment['PATH'] ?? environment['Path'] ?? '',
      })
      const command = [executable, ...args] as const
      const confined = confiner === undefined ? unconfined(spec, command) : await confiner.confine(spec, command)
      try {
        const running = await spawnGuarded(
          {
            command: confined.command,
            environment: confined.environment,
            workingDirectory,
            reaperCommand: options.reaperCommand,
            list,
          },
          signal,
        )
        return createDeployment(running, spec, { list, systemRoot, confined })
      } catch (error) {
        await confined.release()
        throw error
      }
    },
  }
}

/** `spawn` reports a missing directory as if the program were missing. */
async function assertDirectory(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined)
  if (found?.isDirectory() === true) return
  throw new ThvError('server-exited', `the server cannot be started: its working directory ${path} does not exist`, {
    hint: 'create the directory, or run the server from another one',
  })
}
