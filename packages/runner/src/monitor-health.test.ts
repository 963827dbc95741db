import { afterEach, describe, expect, it } from 'vitest'
import { limits, type Health, type ProbeOutcome } from '@thv/core'
import { VirtualClock } from './fixtures/virtual-clock.ts'
import { monitorHealth } from './monitor-health.ts'

const minute = 60_000
const settings = { intervalMs: 10_000, retryMs: 5_000, failures: 3 }
const alive: ProbeOutcome = { kind: 'alive', reason: 'serving', message: 'it answers' }
const refused: ProbeOutcome = { kind: 'failing', reason: 'remote-refused', message: 'it refuses' }

/** From the first failure on: a probe interval until it is seen, two retries, and their jitter. */
const downWithinMs = (settings.intervalMs + 2 * settings.retryMs) * (1 + limits.remoteJitter)
const upWithinMs = limits.remoteBackOffMs * (1 + limits.remoteJitter)

let controllers: AbortController[] = []

afterEach(() => {
  for (const controller of controllers) controller.abort()
  controllers = []
})

interface Watched {
  /** When it was probed, on the monotonic clock. */
  probes: number[]
  /** Verdicts that were reported, with their times. */
  reports: { atMs: number; verdict: Health['verdict'] }[]
  health: Health | undefined
  stop: () => void
  ended: Promise<void>
}

function watch(
  clock: VirtualClock,
  truth: () => ProbeOutcome,
  more: { random?: () => number; network?: () => string; probeMs?: number } = {},
): Watched {
  const controller = new AbortController()
  controllers.push(controller)
  const watched: Watched = {
    probes: [],
    reports: [],
    health: undefined,
    stop: () => controller.abort(),
    ended: Promise.resolve(),
  }
  const server = {
    probeMs: 5_000,
    probe: async (signal: AbortSignal): Promise<ProbeOutcome> => {
      watched.probes.push(clock.monotonicMs())
      if (more.probeMs !== undefined) await clock.sleep(more.probeMs, signal)
      return truth()
    },
    judged: async ({ event, health }: { event: unknown; health: Health }): Promise<void> => {
      watched.health = health
      if (event !== undefined) watched.reports.push({ atMs: clock.monotonicMs(), verdict: health.verdict })
    },
  }
  const deps = { clock, random: more.random ?? (() => 0.5), network: more.network ?? (() => 'home'), log: () => {} }
  watched.ended = monitorHealth(deps, server, settings, controller.signal).catch(() => undefined)
  return watched
}

describe('watching one remote server', () => {
  it('probes at once, then every ten seconds', async () => {
    const clock = new VirtualClock()
    const { probes } = watch(clock, () => alive)
    await clock.run(35_000)
    expect(probes).toEqual([0, 10_000, 20_000, 30_000])
  })

  it('reports a server that was never there after two retries, and asks with growing pauses up to half a minute', async () => {
    const clock = new VirtualClock()
    const { probes, reports } = watch(clock, () => refused)
    await clock.run(2 * minute)
    expect(probes).toEqual([0, 5_000, 10_000, 15_000, 25_000, 45_000, 75_000, 105_000])
    expect(reports).toEqual([{ atMs: 10_000, verdict: 'down' }])
  })

  it('is not asked before the time it asks for, and nobody waits for its start so long', async () => {
    const clock = new VirtualClock()
    const busy: ProbeOutcome = { ...refused, reason: 'remote-rate-limited', retryAfterMs: 60_000 }
    const { probes, reports } = watch(clock, () => busy)
    await clock.run(2 * minute)
    expect(probes).toEqual([0, 60_000, 120_000])
    expect(reports).toEqual([{ atMs: 0, verdict: 'down' }])
    const rude = watch(clock, () => ({ ...busy, retryAfterMs: 7 * 24 * 60 * minute }))
    const beganMs = clock.monotonicMs()
    await clock.run(limits.remoteRetryAfterMs)
    expect(rude.probes).toEqual([beganMs, beganMs + limits.remoteRetryAfterMs])
  })

  it('lets up to a tenth of each pause to chance', async () => {
    const clock = new VirtualClock()
    const early = watch(clock, () => alive, { random: () => 0 })
    const late = watch(clock, () => alive, { random: () => 0.999999 })
    await clock.run(12_000)
    expect([early.probes[1], late.probes[1]]).toEqual([9_000, 11_000])
  })

  it.each([false, true])(
    'asks once, early, after the machine slept (clock that counts sleep: %s)',
    async (isCounted) => {
      const clock = new VirtualClock()
      const { probes, reports } = watch(clock, () => alive)
      await clock.run(11_000)
      clock.suspend(8 * 60 * minute, { isCounted })
      const wokenMs = clock.monotonicMs()
      await clock.run(limits.wakeCheckMs + limits.wakeSpreadMs)
      expect(probes.filter((atMs) => atMs > wokenMs)).toHaveLength(1)
      expect(reports.map(({ verdict }) => verdict)).toEqual(['alive'])
    },
  )

  it.each([false, true])(
    'takes no failure for a fact that a sleep cut short (clock that counts sleep: %s)',
    async (isCounted) => {
      const clock = new VirtualClock()
      let answer = alive
      const watched = watch(clock, () => answer, { probeMs: 1_000 })
      await clock.run(11_500)
      answer = refused
      clock.suspend(60 * minute, { isCounted })
      await clock.run(1_000)
      expect(watched.health?.failuresInRow).toBe(0)
      answer = alive
      await clock.run(10_000)
      expect(watched.health).toMatchObject({ verdict: 'alive', failuresInRow: 0 })
      expect(watched.health?.runs).toHaveLength(1)
    },
  )

  it('comes to a first verdict in time although the network changes all the while', async () => {
    const clock = new VirtualClock()
    let changes = 0
    const { reports } = watch(clock, () => refused, { network: () => String((changes += 1)), probeMs: 5_000 })
    await clock.run(30_000)
    expect(reports).toMatchObject([{ verdict: 'down' }])
  })

  it('tells that a server is down although the network changes all the while', async () => {
    const clock = new VirtualClock()
    let changes = 0
    let answer = alive
    const { reports } = watch(clock, () => answer, { network: () => String((changes += 1)), probeMs: 5_000 })
    await clock.run(minute)
    answer = refused
    await clock.run(minute)
    expect(reports.map(({ verdict }) => verdict)).toEqual(['alive', 'down'])
    answer = alive
    await clock.run(minute)
    expect(reports.at(-1)).toMatchObject({ verdict: 'alive' })
  })

  it('comes back within seconds when the network does', async () => {
    const clock = new VirtualClock()
    let network = ''
    const { reports } = watch(clock, () => (network === '' ? refused : alive), { network: () => network })
    await clock.run(3 * minute)
    network = '192.0.2.7'
    const backMs = clock.monotonicMs()
    await clock.run(limits.wakeCheckMs + limits.wakeSpreadMs)
    expect(reports.at(-1)).toMatchObject({ verdict: 'alive' })
    expect(reports.at(-1)!.atMs - backMs).toBeLessThanOrEqual(limits.wakeCheckMs + limits.wakeSpreadMs)
  })

  it('ends with its signal, and leaves no wait behind', async () => {
    const clock = new VirtualClock()
    const { stop, ended } = watch(clock, () => alive)
    await clock.run(5_000)
    stop()
    await ended
    expect(clock.waiting).toBe(0)
  })
})

describe('a wall clock that is set', () => {
  it('back by an hour changes nothing: probes and verdicts follow the monotonic clock', async () => {
    const clock = new VirtualClock()
    let answer = alive
    const { probes, reports } = watch(clock, () => answer)
    await clock.run(11_000)
    clock.set(-60 * minute)
    answer = refused
    await clock.run(20_000)
    expect(probes).toEqual([0, 10_000, 20_000, 25_000, 30_000])
    expect(reports).toEqual([
      { atMs: 0, verdict: 'alive' },
      { atMs: 30_000, verdict: 'down' },
    ])
  })

  it('ahead by an hour looks like a sleep: one early probe, and no more', async () => {
    const clock = new VirtualClock()
    const { probes, reports } = watch(clock, () => alive)
    await clock.run(11_000)
    clock.set(60 * minute)
    await clock.run(limits.wakeCheckMs + limits.wakeSpreadMs)
    expect(probes).toHaveLength(3)
    expect(reports).toHaveLength(1)
  })
})

describe('fifty remote servers', () => {
  it('are told the truth about for half an hour of random outages', async () => {
    const random = seeded(7)
    const clock = new VirtualClock()
    const servers = Array.from({ length: 50 }, () => {
      const turns = outages(random, 30 * minute)
      const isUp = (): boolean => isUpAt(turns, clock.monotonicMs())
      return { turns, ...watched(clock, isUp, random) }
    })
    await clock.run(30 * minute)
    let checked = 0
    for (const { turns, monitor } of servers) {
      for (const [index, fromMs] of turns.entries()) {
        const isUp = index % 2 === 0
        const withinMs = isUp ? upWithinMs : downWithinMs
        const untilMs = turns[index + 1] ?? 30 * minute
        // Until then the truth may not be known, and what was shorter need not be seen.
        for (let atMs = fromMs + withinMs + 1; atMs < untilMs; atMs += 1_000) {
          checked += 1
          expect(verdictAt(monitor, atMs)).toBe(isUp ? 'alive' : 'down')
        }
      }
      expect(monitor.health?.runs.length).toBeLessThanOrEqual(limits.probeRuns)
    }
    expect(checked).toBeGreaterThan(10_000)
    expect(clock.waiting).toBe(50)
  })

  it('are asked once each after a sleep, not all at the same moment', async () => {
    const random = seeded(11)
    const clock = new VirtualClock()
    const monitors = Array.from({ length: 50 }, () => watch(clock, () => alive, { random }))
    await clock.run(5 * minute)
    clock.suspend(60 * minute, { isCounted: false })
    const wokenMs = clock.monotonicMs()
    await clock.run(limits.wakeCheckMs + limits.wakeSpreadMs)
    const wave = monitors.map(({ probes }) => probes.filter((atMs) => atMs > wokenMs))
    expect(wave.map(({ length }) => length)).toEqual(monitors.map(() => 1))
    const perMoment = new Map<number, number>()
    for (const atMs of wave.flat())
      perMoment.set(Math.floor(atMs / 100), (perMoment.get(Math.floor(atMs / 100)) ?? 0) + 1)
    expect(Math.max(...perMoment.values())).toBeLessThan(10)
  })
})

function watched(clock: VirtualClock, isUp: () => boolean, random: () => number): { monitor: Watched } {
  return { monitor: watch(clock, () => (isUp() ? alive : refused), { random }) }
}

function verdictAt({ reports }: Watched, atMs: number): Health['verdict'] | undefined {
  return reports.findLast((report) => report.atMs <= atMs)?.verdict
}

/** When a server goes down and comes back; it begins up. */
function outages(random: () => number, totalMs: number): number[] {
  const turns = [0]
  for (let atMs = random() * 5 * minute; atMs < totalMs; atMs += 1_000 + random() * 4 * minute) turns.push(atMs)
  return turns
}

function isUpAt(turns: readonly number[], atMs: number): boolean {
  return turns.filter((turnMs) => turnMs <= atMs).length % 2 === 1
}

/** The same numbers in every run: mulberry32. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
