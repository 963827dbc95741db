import {
  afterWake,
  judgeProbe,
  limits,
  noHealth,
  wakeDelayMs,
  type Health,
  type HealthSettings,
  type HealthStep,
  type ProbeOutcome,
} from '@thv/core'
import type { Log } from './log.ts'
import { WakeWatch, type WakeDeps } from './watch-wake.ts'

/** What a monitor needs of the outside. */
export interface MonitorDeps extends WakeDeps {
  /** In [0, 1). */
  random: () => number
  log: Log
}

/** The server that is watched. */
export interface Monitored {
  /** Bounded in time; rejects only when the signal aborts. */
  probe: (signal: AbortSignal) => Promise<ProbeOutcome>
  /** How long a probe waits for an answer at most. One that took much longer was cut short by a sleep. */
  probeMs: number
  /** What earlier probes found; default nothing. */
  health?: Health
  /** Told of every probe that counts, one at a time. */
  judged: (step: HealthStep, outcome: ProbeOutcome) => Promise<void>
  /** What may make the next probe an early one, where there is such a thing. */
  news?: News
  /** The machine slept, or changed its network. */
  woken?: () => void
}

/** Something beside the server that decides whether it can be used. */
export interface News {
  /** How often it is to be asked during a pause. */
  pollMs: () => number
  /** Whether the next probe should not wait. */
  isThere: (signal: AbortSignal) => Promise<boolean>
}

/**
 * Probes a server at once and then for as long as the signal does not abort, and tells what follows. After a sleep of
 * the machine or a change of its network there is one early probe. Rejects with the reason of the abort.
 */
export async function monitorHealth(
  deps: MonitorDeps,
  server: Monitored,
  settings: HealthSettings,
  signal: AbortSignal,
): Promise<never> {
  const { clock, random, log } = deps
  const wake = new WakeWatch(deps)
  let health: Health = server.health ?? noHealth
  /** A network that changes all the while, as where containers come and go, excuses no outage for ever. */
  let isExcused = false
  for (;;) {
    const outcome = await server.probe(signal)
    signal.throwIfAborted()
    let hasWoken = wake.hasWoken(server.probeMs)
    if (outcome.kind !== 'failing') isExcused = false
    // What failed because the machine fell asleep says nothing about the server; but a first verdict is owed in time.
    const counts = !hasWoken || outcome.kind !== 'failing' || isExcused || health.verdict === 'unknown'
    if (counts) {
      const step = judgeProbe(health, outcome, { settings, now: clock.now(), random: random() })
      await server.judged(step, outcome)
      health = step.health
      hasWoken = await pause({ deps, wake, delayMs: step.delayMs, news: server.news }, signal)
    }
    if (!hasWoken) continue
    server.woken?.()
    log('info', 'the machine slept or changed its network: the server is asked early')
    if (!isExcused) health = afterWake(health)
    isExcused = true
    await clock.sleep(wakeDelayMs(random()), signal)
    wake.hasWoken(Infinity)
  }
}

/** Waits in slices, so that a sleep is noticed soon after its end; resolves to whether there was one. */
async function pause(
  { deps, wake, delayMs, news }: { deps: MonitorDeps; wake: WakeWatch; delayMs: number; news: News | undefined },
  signal: AbortSignal,
): Promise<boolean> {
  const due = deps.clock.monotonicMs() + delayMs
  wake.hasWoken(Infinity)
  for (;;) {
    const leftMs = due - deps.clock.monotonicMs()
    if (leftMs <= 0) return false
    const sliceMs = Math.min(leftMs, news?.pollMs() ?? limits.wakeCheckMs)
    await deps.clock.sleep(sliceMs, signal)
    if (wake.hasWoken(sliceMs)) return true
    if ((await news?.isThere(signal)) === true) return false
    // That may have taken a while, and is no sleep.
    if (news !== undefined) wake.hasWoken(Infinity)
  }
}
