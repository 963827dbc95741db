import type { ChildProcess } from 'node:child_process'
import { platform } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { limits } from '@thv/core'
import { processLimits } from './process-limits.ts'
import type { ProcessList } from './process-list.ts'
import { waitAtMost } from '../wait-at-most.ts'

/** What a polite stop needs to know. */
export interface StopSubject {
  child: ChildProcess
  /** 0 where there are no groups. */
  group: number
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
    terminate(subject)
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

/** Windows has no polite signal for a process without a window; there only end of input is polite. */
function terminate(subject: StopSubject): void {
  if (platform() !== 'win32') signalGroup(subject.group, 'SIGTERM')
}

function signalGroup(group: number, signal: 'SIGTERM' | 0): boolean {
  try {
    // Never 0, 1 or below: those would reach our own group, or everyone.
    return group > 1 && process.kill(-group, signal)
  } catch {
    return false
  }
}
