import {
  endsPatience,
  prolongSilence,
  type HealthSettings,
  type HealthStep,
  type ProbeOutcome,
  type ProbeRun,
  type Silence,
} from '@thv/core'
import { proxyLimits, type BackendSign } from '@thv/proxy'
import { monitorHealth } from './monitor-health.ts'
import type { Supervision } from './supervision.ts'

/** A server of this machine that is to be replaced. */
export interface Hang {
  reason: string
  /** When it was last known to live, on the monotonic clock. */
  sinceMs: number
}

/** One run of a server that has just answered its handshake. */
export interface LocalRun {
  restarts: number
  /** Called with the first verdict, which follows from the handshake. */
  onReady: () => void
}

/**
 * Watches the local server of one workload, run after run, with the monitor and the judgement of remote servers and a policy of
 * its own: one that is down is restarted instead of waited for. While a run lasts nobody else reports its status.
 */
export class LocalMonitor {
  readonly #supervision: Supervision
  readonly #settings: HealthSettings & { busyMs: number; probeMs: number }
  /** What probes of this and of earlier runs found. */
  #runs: readonly ProbeRun[] = []
  /** Whether a question was ever answered as it should be. Of a server that does not know them, silence says nothing. */
  #isProven = false

  constructor(supervision: Supervision) {
    this.#supervision = supervision
    this.#settings = settingsOf(supervision)
  }

  /** Resolves when the server is to be replaced; rejects when the signal aborts, and then nothing is reported any more. */
  async watch(run: LocalRun, signal: AbortSignal): Promise<Hang> {
    const { deps, proxy } = this.#supervision
    const over = new AbortController()
    let isFirst = true
    let silence: Silence | undefined
    let hang: Hang | undefined
    const server = {
      health: { verdict: 'unknown', failuresInRow: 0, runs: this.#runs } as const,
      probeMs: this.#settings.probeMs,
      // Asleep nobody works on a call.
      woken: () => (silence = undefined),
      probe: async (inner: AbortSignal): Promise<ProbeOutcome> => {
        // The handshake is the first probe.
        const sign = isFirst ? handshake : await proxy.probe(inner)
        if (!isFirst && sign.code === 'alive') this.#isProven = true
        const isAlive = sign.code === 'alive' || this.#isToBeBelieved(sign)
        silence = isAlive ? undefined : prolongSilence(silence, sign.isBusy, deps.clock.monotonicMs())
        return outcomeOf(sign, silence)
      },
      judged: async (step: HealthStep, outcome: ProbeOutcome): Promise<void> => {
        this.#runs = step.health.runs
        await this.#tell({ step, outcome, run: isFirst ? run : undefined }, signal)
        if (isFirst) {
          run.onReady()
          // At once: a first call may come in a moment, and never end.
          void this.#prove(signal)
        }
        isFirst = false
        if (silence === undefined || step.health.verdict !== 'down') return
        const nowMs = deps.clock.monotonicMs()
        if (!endsPatience(silence, { nowMs, busyMs: this.#settings.busyMs })) return
        const seconds = Math.round((nowMs - silence.sinceMs) / 1000)
        const reason = `the server failed its health checks for ${seconds} s: ${outcome.message}`
        hang = { reason, sinceMs: silence.sinceMs }
        over.abort()
      },
    }
    try {
      const network = (): string => ''
      return await monitorHealth({ ...deps, network }, server, this.#settings, AbortSignal.any([signal, over.signal]))
    } catch (error) {
      if (hang === undefined) throw error
      return hang
    }
  }

  /** Learns early whether the server knows the questions. Never rejects, and judges nothing. */
  async #prove(signal: AbortSignal): Promise<void> {
    const { code } = await this.#supervision.proxy.probe(signal).catch(() => ({ code: 'absent' }))
    if (code === 'alive') this.#isProven = true
  }

  #isToBeBelieved({ code }: BackendSign): boolean {
    return !this.#isProven && (code === 'silent' || code === 'server-error')
  }

  /** The one place from where the status and `/health` are written while a run lasts. */
  async #tell(
    { step, outcome, run }: { step: HealthStep; outcome: ProbeOutcome; run: LocalRun | undefined },
    signal: AbortSignal,
  ): Promise<void> {
    const { deps, proxy, reporter } = this.#supervision
    const probes = [...step.health.runs]
    const isAlive = outcome.kind === 'alive'
    proxy.noteHealth(isAlive ? 'healthy' : step.health.verdict === 'down' ? 'unhealthy' : 'degraded', outcome.message)
    if (step.isNew) deps.log(isAlive ? 'info' : 'warn', 'the server was asked', { found: outcome.message })
    if (step.event === undefined) {
      if (step.isNew) await reporter.recordProbes(probes, signal)
      return
    }
    const begun = run === undefined ? {} : { started_at: deps.clock.now().toISOString(), restarts: run.restarts }
    await reporter.report(
      step.event,
      {
        // Tools match on how this sentence begins: spec/local 2.1.
        ...(isAlive ? {} : { context: `Health check failed: ${outcome.message}` }),
        reason: outcome.reason,
        extension: { probes, ...begun },
      },
      signal,
    )
  }
}

const handshake: BackendSign = { code: 'alive', message: 'it answered its handshake', isBusy: false }

/** A call is never cut short for the health of its server while its client may still get the answer. */
function settingsOf({ deps, config }: Supervision): HealthSettings & { busyMs: number; probeMs: number } {
  const limits = { ...proxyLimits, ...deps.proxyLimits, ...config.thv?.limits }
  const { healthIntervalMs, healthRetryMs, healthFailures, healthBusyMs, requestTimeoutMs, answerHeadMs } = limits
  return {
    probeMs: limits.healthTimeoutMs,
    intervalMs: healthIntervalMs,
    retryMs: healthRetryMs,
    failures: healthFailures,
    busyMs: Math.max(healthBusyMs, requestTimeoutMs, answerHeadMs),
  }
}

function outcomeOf({ code, message }: BackendSign, silence: Silence | undefined): ProbeOutcome {
  if (silence === undefined) {
    const said =
      code === 'alive' ? message : 'it answered its handshake, and does not know the questions for its health'
    return { kind: 'alive', reason: 'serving', message: said }
  }
  const silent = silence.isBusy ? 'server-busy' : 'server-hung'
  const reason = code === 'refused' ? 'server-refuses' : code === 'server-error' ? 'server-error' : silent
  return { kind: 'failing', reason, message }
}
