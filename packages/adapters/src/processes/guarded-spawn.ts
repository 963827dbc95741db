import { spawn, type ChildProcess, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { platform } from 'node:os'
import { messageOf, ThvError, type ServerExit, type ServerProcess } from '@thv/core'
import { startGuard, type Guard } from './guard.ts'
import { serverScript } from './guard-script.ts'
import { inheritedDescriptors } from './inherited-descriptors.ts'
import { createMarker, markerVariable } from './marker.ts'
import type { ProcessList } from './process-list.ts'

/** What to start, with absolute paths. */
export interface SpawnRequest {
  command: readonly [executable: string, ...args: string[]]
  environment: Readonly<Record<string, string>>
  workingDirectory: string
  reaperCommand: readonly string[]
  list: ProcessList
}

/** A server that runs, watched. */
export interface GuardedProcess {
  child: ChildProcessWithoutNullStreams
  identity: ServerProcess
  /** Resolves when the server has exited. Never rejects. */
  left: Promise<ServerExit>
  /** Resolves when it has exited and all its output was read. Never rejects. */
  closed: Promise<void>
  /** Undefined on Windows, where job objects do what can be done. */
  guard: Guard | undefined
}

/**
 * Starts a server so that it cannot outlive the calling process. There is no moment
 * at which it runs unwatched: first the guard, then a shell that waits, then the
 * guard learns whom to kill, and only then the shell becomes the server.
 */
export async function spawnGuarded(request: SpawnRequest, signal: AbortSignal): Promise<GuardedProcess> {
  const marker = createMarker()
  if (platform() === 'win32') return await spawnPlain(request, marker)
  const guard = await startGuard(marker, request.reaperCommand)
  let child: ChildProcessWithoutNullStreams | undefined
  try {
    signal.throwIfAborted()
    child = spawnShell(request, marker)
    const ends = followEnds(child)
    const identity = await identify(child, marker, request.list)
    await guard.watch(identity, signal)
    child.stdin.write('go\n')
    return { child, identity, guard, ...ends }
  } catch (error) {
    // End of input makes the waiting shell leave; it never became the server.
    child?.stdin.destroy()
    child?.kill('SIGKILL')
    guard.release()
    throw error
  }
}

/** In the place of what our own caller left open stands nothing: an open directory leads out of any sandbox. */
function spawnShell(request: SpawnRequest, marker: string): ChildProcessWithoutNullStreams {
  const nothing = openSync('/dev/null', 'r')
  try {
    const inherited = inheritedDescriptors()
    const more = Array.from({ length: Math.max(2, ...inherited) - 2 }, (_none, index) =>
      inherited.includes(index + 3) ? nothing : ('ignore' as const),
    )
    const args = ['-c', serverScript(request.environment), 'server', ...request.command]
    const child = spawn('/bin/sh', args, {
      // A session of its own: the pid is also the number of the group.
      detached: true,
      cwd: request.workingDirectory,
      env: { ...request.environment, [markerVariable]: marker },
      stdio: ['pipe', 'pipe', 'pipe', ...more],
    })
    if (isPiped(child)) return child
    // Node makes no pipes when there is no descriptor left for them, and tells why by an event.
    child.on('error', () => {})
    throw new ThvError('server-exited', 'the server cannot be started: too many files are open')
  } finally {
    closeSync(nothing)
  }
}

function isPiped(child: ChildProcess): child is ChildProcessWithoutNullStreams {
  return Boolean(child.stdin) && Boolean(child.stdout) && Boolean(child.stderr)
}

/** Windows: libuv puts children into a job that ends with us; grandchildren may leave it. */
async function spawnPlain(request: SpawnRequest, marker: string): Promise<GuardedProcess> {
  const [executable, ...args] = request.command
  const child = spawn(executable, args, {
    cwd: request.workingDirectory,
    env: { ...request.environment, [markerVariable]: marker },
    stdio: 'pipe',
    windowsHide: true,
  })
  const ends = followEnds(child)
  return { child, identity: await identify(child, marker, request.list), guard: undefined, ...ends }
}

async function identify(
  child: ChildProcessWithoutNullStreams,
  marker: string,
  list: ProcessList,
): Promise<ServerProcess> {
  for (const stream of [child.stdin, child.stdout, child.stderr]) stream.on('error', () => {})
  await once(child, 'spawn').catch((error: unknown) => {
    throw new ThvError('server-exited', `the server cannot be started: ${messageOf(error)}`, { cause: error })
  })
  // Later errors (a kill that failed) are no news: what counts is the exit.
  child.on('error', () => {})
  const pid = child.pid ?? 0
  const entry = await list.one(pid)
  if (entry === undefined || entry.dead) {
    throw new ThvError('server-exited', 'the server ended before it could be watched')
  }
  return { pid, started: entry.started, group: platform() === 'win32' ? 0 : pid, marker }
}

/** Listens before anything is awaited: an exit that nobody hears would be waited for until the end of time. */
function followEnds(child: ChildProcessWithoutNullStreams): Pick<GuardedProcess, 'left' | 'closed'> {
  return {
    left: new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        resolve({ code, signal })
      })
    }),
    closed: new Promise((resolve) => {
      child.once('close', () => {
        resolve()
      })
    }),
  }
}
