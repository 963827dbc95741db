import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ThvError } from '@thv/core'
import { attemptLock, releaseLock, type HeldLock, type LockFiles, type LockHolder } from './lock-chain.ts'
import { createLockFiles, freshToken, sweepLock, type Liveness } from './lock-files.ts'
import { enterQueue } from './path-queue.ts'
import { stateError } from './state-error.ts'
import { stateLimits } from './state-limits.ts'

/** How long to wait for a lock, and what decides whether its holder lives. */
export interface LockOptions {
  timeoutMs: number
  signal: AbortSignal
  processes: Liveness
}

/**
 * Runs `action` while holding the lock `path`, against other processes and against
 * other callers in this one (in order of arrival). A holder that was killed is
 * noticed at once, by its process identity, and its lock is taken over. Rejects
 * with `state-locked` after `timeoutMs`, or with the signal's reason. Not reentrant.
 *
 * Why a file of our own and not `flock`, which ToolHive uses: Node has no `flock`
 * without native code. So this lock keeps thv's processes apart from each other; two
 * *different* products that write one file at the same time are only protected by
 * atomic replacement (the later one wins, nothing is torn). The file is named
 * `.thv-lock` because ToolHive locks and sweeps files named `.lock`.
 */
export async function withFileLock<T>(path: string, options: LockOptions, action: () => Promise<T>): Promise<T> {
  const absolute = resolve(path)
  const deadline = performance.now() + options.timeoutMs
  const leave = await enterQueue(absolute, options.timeoutMs, options.signal)
  if (leave === undefined) throw locked(absolute, options.timeoutMs, `this process (pid ${process.pid})`)
  try {
    const files = createLockFiles(options.processes)
    const held = await acquire(files, absolute, { ...options, deadline })
    try {
      if (held.files.length > 1) await sweepLock(absolute, held.files)
      return await action()
    } finally {
      // What was to be done is done; a lock that cannot be removed is void when this process ends.
      await releaseLock(files, held).catch(() => undefined)
    }
  } finally {
    leave()
  }
}

async function acquire(files: LockFiles, path: string, options: LockOptions & { deadline: number }): Promise<HeldLock> {
  const self = await options.processes.self()
  for (;;) {
    options.signal.throwIfAborted()
    const attempt = await attemptLock(files, path, { ...self, token: freshToken() }).catch((error: unknown) => {
      throw stateError(error, path, 'lock')
    })
    if (attempt !== 'again' && 'held' in attempt) return attempt.held
    if (performance.now() >= options.deadline) throw locked(path, options.timeoutMs, describe(attempt))
    await sleep(pause(), undefined, { signal: options.signal }).catch(() => options.signal.throwIfAborted())
  }
}

function describe(attempt: { busy: LockHolder } | 'again'): string {
  if (attempt === 'again') return 'other processes'
  return attempt.busy.pid === 0 ? 'an unreadable lock file' : `process ${attempt.busy.pid}`
}

function locked(path: string, timeoutMs: number, holder: string): ThvError {
  // ToolHive's wording in front (spec/local 0.3): tools match on it.
  const message = `failed to acquire lock: timeout after ${timeoutMs / 1000}s; '${path}' is held by ${holder}`
  return new ThvError('state-locked', message, {
    hint: 'try again; if that process hangs, end it and the lock is free',
  })
}

function pause(): number {
  const { lockPollMinMs, lockPollMaxMs } = stateLimits
  return lockPollMinMs + Math.random() * (lockPollMaxMs - lockPollMinMs)
}
