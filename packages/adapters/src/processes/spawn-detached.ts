import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { platform } from 'node:os'
import { markerVariable } from './marker.ts'

/** How a process of ours outlives the one that starts it. */
export interface DetachedOptions {
  /** The caller's own. */
  environment: Readonly<Record<string, string | undefined>>
  /** Where its output is appended; the directory exists, the file is made private. */
  logPath: string
  /** Default: the caller's. */
  directory?: string
}

/** A process in a session of its own. */
export interface DetachedProcess {
  child: ChildProcess
  /** Aborts when it has ended. */
  ended: AbortSignal
  /** Size of its log before it wrote anything. */
  logOffset: number
}

/** Spawns a process in a session of its own; rejects with the system's error. It keeps its parent alive until `unref`. */
export async function spawnDetached(
  [executable, ...args]: readonly [executable: string, ...args: string[]],
  options: DetachedOptions,
): Promise<DetachedProcess> {
  // Windows has no such flag; there the user's profile directory is private.
  const noFollow = platform() === 'win32' ? 0 : constants.O_NOFOLLOW
  const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | noFollow
  const log = await open(options.logPath, flags, 0o600)
  try {
    const logOffset = (await log.stat()).size
    const child = spawn(executable, args, {
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      env: detachedEnvironment(options.environment),
      windowsHide: true,
      ...(options.directory === undefined ? {} : { cwd: options.directory }),
    })
    const ended = new AbortController()
    child.once('exit', () => ended.abort())
    await once(child, 'spawn')
    child.on('error', () => {})
    return { child, ended: ended.signal, logOffset }
  } finally {
    await log.close()
  }
}

function detachedEnvironment(given: DetachedOptions['environment']): Record<string, string> {
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
