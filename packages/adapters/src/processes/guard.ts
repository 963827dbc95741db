import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { messageOf, ThvError, type ProcessIdentity } from '@thv/core'
import { guardScript } from './guard-script.ts'
import { processLimits } from './process-limits.ts'
import { waitAtMost } from '../wait-at-most.ts'

/** How a guard shows up in a process list. */
export const guardName = 'server-guard'

/** The watcher of one server; see {@link guardScript}. */
export interface Guard {
  /** Tells the guard whom to kill; resolves when it has said that it watches. */
  watch(leader: ProcessIdentity, signal: AbortSignal): Promise<void>
  /** The tree is gone: lets the guard leave without killing. */
  release(): void
  /** Resolves when the guard has ended, for whatever reason. */
  readonly ended: Promise<void>
}

/**
 * Starts a guard. It inherits nothing of ours but a plain search path for `sleep`
 * and `grep`; in particular no marker and no `NODE_OPTIONS` that could stop the
 * reaper from starting.
 */
export async function startGuard(marker: string, reaperCommand: readonly string[]): Promise<Guard> {
  if (reaperCommand.some((word) => word.includes('\n'))) throw failed('its command has a line break')
  const child = spawn('/bin/sh', ['-c', guardScript, guardName], {
    detached: true,
    cwd: '/',
    env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin' },
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const { stdin, stdout } = child
  stdin.on('error', () => {})
  stdout.on('error', () => {})
  // An unexpected 'error' after the spawn (a failed kill) must not end the supervisor.
  child.on('error', () => {})
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => {
      resolve()
    })
  })
  await once(child, 'spawn').catch((error: unknown) => {
    throw failed(messageOf(error), error)
  })
  stdin.write([marker, reaperCommand.length, ...reaperCommand, ''].join('\n'))
  return {
    async watch(leader, signal) {
      const ready = once(stdout, 'data', { signal })
      stdin.write(`${leader.pid} ${leader.started}\n`)
      if (!(await waitAtMost(Promise.race([ready, ended]), processLimits.guardReadyMs))) {
        throw failed('it does not answer')
      }
      if (child.exitCode !== null || child.signalCode !== null) throw failed('it ended at once')
      signal.throwIfAborted()
    },
    release() {
      stdin.end('done\n')
    },
    ended,
  }
}

function failed(why: string, cause?: unknown): ThvError {
  return new ThvError('server-exited', `the guard process of the server cannot run: ${why}`, {
    hint: 'check that /bin/sh works and that the process limit of the user is not reached',
    cause,
  })
}
