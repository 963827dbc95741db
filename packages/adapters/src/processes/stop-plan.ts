import type { ChildProcess } from 'node:child_process'
import { platform } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { limits } from '@thv/core'
import { processLimits } from './process-limits.ts'
import type { ProcessEntry } from './platform/process-entry.ts'
import type { ProcessList } from './process-list.ts'
import { waitAtMost } from '../wait-at-most.ts'

/** What a polite stop needs to know. */
export interface StopSubject {
  child: ChildProcess
  /** 0 where there are no groups. */
  group: number
  /** Generations from the child down to the server, in a sandbox; 0: the child is the server. */
  depth: number
  /** Whether closing its input is how this server is asked to leave. */
  endsOnEndOfInput: boolean
  list: ProcessList
  /** Settles when the child has exited. */
  left: Promise<unknown>
}

/**
 * The polite part of a stop: end of input, then SIGTERM to the whole group, each
 * with its grace and together well within the time given. Resolves when the group
 * is empty or patience is over; what still lives then is killed by the caller.
 */
export function createStopPlan(subject: StopSubject): (withinMs: number) => Promise<void> {
  return async (withinMs) => {
    const begun = performance.now()
    if (withinMs <= 0) return
    if (subject.endsOnEndOfInput) {
      subject.child.stdin?.end()
      // At most a third, so that SIGTERM and SIGKILL have their share of a short deadline.
      await waitAtMost(subject.left, Math.min(limits.endOfInputGraceMs, withinMs / 3))
    }
    const rest = withinMs - (performance.now() - begun)
    if (rest <= 0 || !(await isAlive(subject))) return
    await terminate(subject)
    await waitUntilEmpty(subject, rest - Math.min(limits.killReserveMs, rest / 4))
  }
}

/**
 * The whole group counts, not only its leader: behind `sh -c server` the shell
 * dies of SIGTERM at once while the server is still closing its files.
 */
async function waitUntilEmpty(subject: StopSubject, graceMs: number): Promise<void> {
  const deadline = performance.now() + graceMs
  await waitAtMost(subject.left, graceMs)
  while ((await isAlive(subject)) && performance.now() < deadline) await delay(processLimits.groupPollMs)
}

async function isAlive(subject: StopSubject): Promise<boolean> {
  if (platform() === 'win32') return subject.child.exitCode === null && subject.child.signalCode === null
  if (!signalGroup(subject.group, 0)) return false
  // The kernel counts zombies, and whoever has to collect them may be slow.
  return (await subject.list.all(undefined)).some((one) => one.group === subject.group && !one.dead)
}

/**
 * Windows has no polite signal for a process without a window; there only end of input
 * is polite. What holds a sandbox would die of the signal and take the server along, so
 * there it goes to the server and what that started.
 */
async function terminate(subject: StopSubject): Promise<void> {
  if (platform() === 'win32') return
  if (subject.depth === 0) {
    signalGroup(subject.group, 'SIGTERM')
    return
  }
  const entries = await subject.list.all(undefined)
  for (const pid of descendants(entries, subject.child.pid ?? 0, subject.depth)) signal(pid, 'SIGTERM')
}

/** Everyone at least `depth` generations below a process. */
function descendants(entries: readonly ProcessEntry[], ancestor: number, depth: number): number[] {
  let generation = new Set([ancestor])
  const found: number[] = []
  for (let level = 1; generation.size > 0; level += 1) {
    const parents = generation
    generation = new Set(entries.filter((one) => parents.has(one.parent)).map((one) => one.pid))
    if (level >= depth) found.push(...generation)
  }
  return found
}

function signalGroup(group: number, signal: 'SIGTERM' | 0): boolean {
  try {
    // Never 0, 1 or below: those would reach our own group, or everyone.
    return group > 1 && process.kill(-group, signal)
  } catch {
    return false
  }
}

function signal(pid: number, name: 'SIGTERM'): void {
  try {
    process.kill(pid, name)
  } catch {
    // Gone since the look.
  }
}
