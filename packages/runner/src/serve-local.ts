import {
  decideRestart,
  isThvError,
  messageOf,
  requireTargetPort,
  ThvError,
  type Deployment,
  type RunConfig,
} from '@thv/core'
import { attachServer } from './attach-server.ts'
import { describeExit } from './describe-exit.ts'
import { endServers } from './end-servers.ts'
import { failureOf, type Failure } from './failure.ts'
import { runnerLimits } from './limits.ts'
import { LocalMonitor, type Hang, type LocalRun } from './local-monitor.ts'
import { logFieldsOf } from './log-fields.ts'
import type { ServerCommand } from './server-command.ts'
import type { Supervision } from './supervision.ts'

/**
 * Deploys, serves, and restarts until told to end (`stopped`) or out of attempts (a failure). Between two runs this loop reports
 * the status; during a run only its monitor does, and a run is over when its monitor is.
 */
export async function serveLocal(
  supervision: Supervision,
  command: ServerCommand,
  onServing: (config: RunConfig) => void,
): Promise<'stopped' | Failure> {
  const { deps, config, reporter, signal } = supervision
  const monitor = new LocalMonitor(supervision)
  const onReady = (): void => onServing(config)
  let attempts = 0
  for (;;) {
    const run = { restarts: attempts, onReady }
    const end = await serveOnce(supervision, { command, monitor, run, isFirst: attempts === 0 })
    if (end === 'stopped') return 'stopped'
    const decision = decideRestart(attempts, end.servedMs, deps.random())
    if (!decision.restart) {
      deps.log('error', 'the server keeps crashing', { reason: end.reason })
      const context = `the server keeps crashing: ${end.reason}`
      return { context, code: 'server-crash-loop', stderr: end.stderr }
    }
    attempts = decision.attempt
    const context = `${end.reason}, restarting (attempt ${attempts})`
    deps.log('warn', 'the server will be restarted', {
      reason: end.reason,
      attempt: attempts,
      delayMs: decision.delayMs,
    })
    await reporter.report('exit', { context, extension: { restarts: attempts, last_stderr: end.stderr } }, signal)
    await deps.clock.sleep(decision.delayMs, signal)
    deps.log('info', 'restarting the server', { name: config.name })
  }
}

/** Whether it is the engine that failed, and not the server. */
export function isEngineTrouble(error: unknown): error is ThvError {
  return isThvError(error) && (error.code === 'engine-unreachable' || error.code === 'engine-failed')
}

/** Why one run of a server ended without being asked to. */
interface Crash {
  reason: string
  stderr: string[]
  /** From its first answer to its last sign of life: a server that hangs in its handshake never served. */
  servedMs: number
}

interface Run {
  command: ServerCommand
  monitor: LocalMonitor
  run: LocalRun
  /** The first one is not tried again: somebody waits for the reason. */
  isFirst: boolean
}

async function serveOnce(
  supervision: Supervision,
  { command, monitor, run, isFirst }: Run,
): Promise<Crash | 'stopped'> {
  const { deps, proxy, reporter, signal } = supervision
  const crash = (reason: string, stderr: string[] = [], servedMs = 0): Crash => {
    // From here on calls wait for the next one.
    proxy.detach(reason)
    return { reason, stderr, servedMs }
  }
  const conflict = await portConflict(supervision)
  if (conflict !== undefined) {
    if (isFirst) throw conflict
    return crash(conflict.message)
  }
  let deployment: Deployment
  try {
    deployment = await deps.runtime.deploy({ ...command, onOutput: deps.writeServerLine }, signal)
  } catch (error) {
    // An engine that is away, or has only just come back, is tried again like a server that crashes.
    if (isFirst || !isEngineTrouble(error)) throw error
    return crash(error.message)
  }
  try {
    deps.log('info', 'server started', { ...logFieldsOf(deployment.server), isolation: deployment.isolation })
    await reporter.report(
      'launch',
      { extension: { server: deployment.server, isolation: deployment.isolation } },
      signal,
    )
    const { lost } = await attachServer(supervision, deployment)
    const sinceMs = deps.clock.monotonicMs()
    const end = await endOrAbort(supervision, { deployment, lost, watch: (until) => monitor.watch(run, until) })
    if (end === 'aborted') {
      await endServers(supervision, deployment)
      return 'stopped'
    }
    const crashed = crash(end.reason, deployment.lastStderr(), (end.lastSeenMs ?? deps.clock.monotonicMs()) - sinceMs)
    if (end.livesOn) await deployment.stop(runnerLimits.failedStartStopMs)
    return signal.aborted ? 'stopped' : crashed
  } catch (error) {
    const stderr = deployment.lastStderr()
    await deployment.stop(runnerLimits.failedStartStopMs)
    if (signal.aborted) return 'stopped'
    const reason = messageOf(error)
    if (isFirst) throw new ThvError(failureOf(error).code, reason, { detail: stderr, cause: error })
    return crash(reason, stderr)
  }
}

/**
 * Why a server would not get its own port. Asked before every deploy: the handshake cannot
 * tell a server from a stranger that answers on its port.
 */
async function portConflict({ deps, config }: Supervision): Promise<ThvError | undefined> {
  try {
    await requireTargetPort(deps.ports, config)
    return undefined
  } catch (error) {
    if (isThvError(error) && error.code === 'port-in-use') return error
    throw error
  }
}

/** How a server stopped serving. */
interface End {
  reason: string
  /** Its process is still there, but is of no use to anyone. */
  livesOn: boolean
  /** When it was last known to live, where that is longer ago. */
  lastSeenMs?: number
}

interface Ends {
  deployment: Deployment
  lost: Promise<string>
  /** The monitor of this run. */
  watch: (until: AbortSignal) => Promise<Hang>
}

/**
 * Waits for the first end of a run. The monitor has put down its pen when this resolves, and no listener is left behind: a
 * supervision sees many ends but only one abort.
 */
async function endOrAbort({ deps, signal }: Supervision, { deployment, lost, watch }: Ends): Promise<End | 'aborted'> {
  let onAbort = (): void => {}
  const aborted = new Promise<'aborted'>((resolve) => {
    onAbort = () => resolve('aborted')
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
  const over = new AbortController()
  const exited = deployment.exited.then((exit): End => ({ reason: describeExit(exit), livesOn: false }))
  const givenUp = lost.then(async (reason): Promise<End> => {
    await deps.clock.sleep(runnerLimits.exitAfterLostMs, signal)
    return { reason: `${reason} but went on running`, livesOn: true }
  })
  const watching = watch(AbortSignal.any([signal, over.signal]))
  const hung = watching.then(({ reason, sinceMs }): End => ({ reason, livesOn: true, lastSeenMs: sinceMs }))
  const orAborted = async (error: unknown): Promise<'aborted'> => {
    if (!signal.aborted) throw error
    return await aborted
  }
  try {
    // These waits are cut short by an abort only, and then the abort has won.
    return await Promise.race([exited, aborted, givenUp.catch(orAborted), hung.catch(orAborted)])
  } finally {
    signal.removeEventListener('abort', onAbort)
    over.abort(new Error('the run is over'))
    await watching.catch(() => undefined)
  }
}
