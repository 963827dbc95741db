import { limits } from '../limits.ts'
import type { ProbeOutcome } from './probe-outcome.ts'
import type { StatusEvent } from './state-machine.ts'
import type { ProbeRun } from './workload-status.ts'

/** How a server is probed. */
export interface HealthSettings {
  intervalMs: number
  retryMs: number
  /** Failures in a row after which it is down. */
  failures: number
}

/** What is known of a server's health. */
export interface Health {
  /** `unknown` until the first verdict. */
  verdict: 'unknown' | 'alive' | 'denied' | 'delayed' | 'down'
  failuresInRow: number
  runs: readonly ProbeRun[]
}

/** Before the first probe. */
export const noHealth: Health = { verdict: 'unknown', failuresInRow: 0, runs: [] }

/** What follows from a probe. */
export interface HealthStep {
  health: Health
  /** What to report: a new verdict, or a new reason of one that is bad. */
  event: StatusEvent | undefined
  /** Whether the probe found something else than the one before. */
  isNew: boolean
  /** Until the next probe. */
  delayMs: number
}

/**
 * Judges a probe. An answer counts at once; a failure counts when it is one of enough in a row.
 * While a server is down its probes go on, with a back-off that ends at three intervals, and half a minute at most. Pure.
 *
 * @param random in [0, 1)
 */
export function judgeProbe(
  health: Health,
  outcome: ProbeOutcome,
  { settings, now, random }: { settings: HealthSettings; now: Date; random: number },
): HealthStep {
  const failuresInRow = outcome.kind === 'failing' ? health.failuresInRow + 1 : 0
  // Who asks to be left alone for longer than the judgement takes says all there is to learn by then; nobody waits that long for a start.
  const patience = health.verdict === 'unknown' ? 1 : settings.failures - 1
  const isPutOff = askedMs(outcome) > settings.retryMs * patience
  const isDown = failuresInRow >= settings.failures || (outcome.kind === 'failing' && isPutOff)
  const verdict = outcome.kind !== 'failing' ? outcome.kind : isDown ? 'down' : health.verdict
  const last = health.runs.at(-1)
  const isNew = last?.reason !== outcome.reason
  const isReported = verdict !== health.verdict || (isNew && (verdict === 'down' || verdict === 'denied'))
  return {
    health: { verdict, failuresInRow, runs: addRun(health.runs, outcome, now) },
    event: isReported ? eventOf[verdict] : undefined,
    isNew,
    delayMs: Math.max(askedMs(outcome), jittered(delayOf(outcome, failuresInRow, settings), random)),
  }
}

/** When the first probe after a sleep or a change of the network is due. */
export function wakeDelayMs(random: number): number {
  // Not at once: a network that has just come back needs a moment for names and routes.
  return Math.round(limits.wakeSpreadMs * (0.2 + 0.8 * random))
}

/** Failures from before a sleep say nothing about now; but a first verdict is owed in time, however often the network changes. */
export function afterWake(health: Health): Health {
  return health.verdict === 'down' || health.verdict === 'unknown' ? health : { ...health, failuresInRow: 0 }
}

const eventOf = { unknown: undefined, alive: 'ready', denied: 'denied', delayed: 'delayed', down: 'down' } as const

function addRun(runs: readonly ProbeRun[], { reason, message }: ProbeOutcome, now: Date): ProbeRun[] {
  const last = runs.at(-1)
  const text = message.slice(0, limits.reasonLength)
  if (last?.reason === reason) return [...runs.slice(0, -1), { ...last, message: text, count: last.count + 1 }]
  return [...runs, { reason, message: text, since: now.toISOString(), count: 1 }].slice(-limits.probeRuns)
}

function delayOf(outcome: ProbeOutcome, failuresInRow: number, settings: HealthSettings): number {
  if (outcome.kind !== 'failing') return settings.intervalMs
  const beyond = Math.max(0, Math.min(failuresInRow - settings.failures, 10))
  const longest = Math.max(
    settings.retryMs,
    Math.min(settings.intervalMs * limits.remoteBackOffIntervals, limits.remoteBackOffMs),
  )
  return Math.min(settings.retryMs * 2 ** beyond, longest)
}

function askedMs({ retryAfterMs = 0 }: ProbeOutcome): number {
  return Math.min(retryAfterMs, limits.remoteRetryAfterMs)
}

function jittered(delayMs: number, random: number): number {
  return Math.round(delayMs * (1 + limits.remoteJitter * (2 * random - 1)))
}
