import {
  decideRestart,
  effectiveProxyMode,
  isThvError,
  listenHost,
  loadStartable,
  messageOf,
  reapServers,
  requireTargetPort,
  sourceOf,
  ThvError,
  urlHost,
  type Deployment,
  type RunConfig,
} from '@thv/core'
import type { Attachment, Proxy, ProxyConfig } from '@thv/proxy'
import { buildChain } from './build-chain.ts'
import { describeExit } from './describe-exit.ts'
import { endServers } from './end-servers.ts'
import { failureOf, type Failure } from './failure.ts'
import { Lanes } from './lanes.ts'
import { runnerLimits } from './limits.ts'
import { buildServerCommand, type ServerCommand } from './server-command.ts'
import { serveRemote } from './serve-remote.ts'
import { logFieldsOf } from './log-fields.ts'
import { StatusReporter } from './status-reporter.ts'
import type { SuperviseDeps, SuperviseResult, Supervision } from './supervision.ts'
import { watchOwnership } from './watch-ownership.ts'

/**
 * Runs one workload until the signal aborts: takes ownership, opens the proxy,
 * starts the server, keeps it running (restarts with back-off), and tells the truth
 * about it in the status file. `onServing` is called each time the server has
 * answered. A first start that fails is not tried again: whoever asked is waiting
 * for the reason.
 */
export async function supervise(
  deps: SuperviseDeps,
  name: string,
  onServing: (config: RunConfig) => void,
  signal: AbortSignal,
): Promise<SuperviseResult> {
  const config = await loadStartable(deps, name)
  const reporter = new StatusReporter(deps, name, await deps.processes.self())
  const previous = await reporter.claim(signal)
  const lost = new AbortController()
  const lanes = new Lanes(deps, reporter)
  // Only now: before the claim another supervisor may still write to it.
  const journal = await deps.openJournal(name)
  let proxy: Proxy
  try {
    proxy = deps.createProxy({ ...proxyConfigOf(deps, config, lanes), journal })
  } catch (error) {
    deps.log('error', 'the workload cannot be served', { error: messageOf(error) })
    const failure = failureOf(error)
    await reporter.reportError(failure)
    return failure
  }
  const supervision = { deps, config, reporter, proxy, lanes, signal: AbortSignal.any([signal, lost.signal]) }
  const stopWatching = watchOwnership(supervision, lost)
  try {
    await reapServers(deps, { name, record: previous, config }, signal)
    await proxy.start(signal)
    deps.log('info', 'proxy is listening', { port: config.port, host: config.host })
    const source = sourceOf(config)
    if ('remote' in source) {
      await serveRemote(supervision, source.remote, onServing)
      return await finish(supervision)
    }
    const command = await buildServerCommand(deps, config, signal)
    lanes.use(command)
    return await keepRunning(supervision, command, onServing)
  } catch (error) {
    if (supervision.signal.aborted) return await finish(supervision, error)
    deps.log('error', 'the workload failed', { error: messageOf(error) })
    return await fail(supervision, failureOf(error))
  } finally {
    stopWatching()
    await proxy.close(runnerLimits.drainMs)
  }
}

/** Deploys, serves, and restarts until told to end (`stopped`) or out of attempts (a failure). */
async function keepRunning(
  supervision: Supervision,
  command: ServerCommand,
  onServing: (config: RunConfig) => void,
): Promise<SuperviseResult> {
  const { deps, config, reporter, signal } = supervision
  let attempts = 0
  for (;;) {
    const startedMs = deps.clock.monotonicMs()
    const firstStart = attempts === 0
    const end = await serveOnce(supervision, command, { restarts: attempts, onServing, firstStart })
    if (end === 'stopped') return await finish(supervision)
    const decision = decideRestart(attempts, deps.clock.monotonicMs() - startedMs, deps.random())
    if (!decision.restart) {
      deps.log('error', 'the server keeps crashing', { reason: end.reason })
      const context = `the server keeps crashing: ${end.reason}`
      return await fail(supervision, { context, code: 'server-crash-loop', stderr: end.stderr })
    }
    attempts = decision.attempt
    const context = `${end.reason}, restarting (attempt ${attempts})`
    deps.log('warn', 'the server will be restarted', {
      reason: end.reason,
      attempt: attempts,
      delayMs: decision.delayMs,
    })
    supervision.proxy.detach(end.reason)
    await reporter.report('exit', { context, extension: { restarts: attempts, last_stderr: end.stderr } }, signal)
    await deps.clock.sleep(decision.delayMs, signal)
    deps.log('info', 'restarting the server', { name: config.name })
  }
}

/** Why one run of a server ended without being asked to. */
interface Crash {
  reason: string
  stderr: string[]
}

async function serveOnce(
  supervision: Supervision,
  command: ServerCommand,
  run: { restarts: number; onServing: (config: RunConfig) => void; firstStart: boolean },
): Promise<Crash | 'stopped'> {
  const { deps, config, reporter, signal } = supervision
  const conflict = await portConflict(supervision)
  if (conflict !== undefined) {
    if (run.firstStart) throw conflict
    return { reason: conflict.message, stderr: [] }
  }
  let deployment: Deployment
  try {
    deployment = await deps.runtime.deploy({ ...command, onOutput: deps.writeServerLine }, signal)
  } catch (error) {
    // An engine that is away, or has only just come back, is tried again like a server that crashes.
    if (run.firstStart || !isEngineTrouble(error)) throw error
    return { reason: error.message, stderr: [] }
  }
  try {
    deps.log('info', 'server started', { ...logFieldsOf(deployment.server), isolation: deployment.isolation })
    await reporter.report(
      'launch',
      { extension: { server: deployment.server, isolation: deployment.isolation } },
      signal,
    )
    const { lost } = await attach(supervision, deployment)
    const startedAt = deps.clock.now().toISOString()
    await reporter.report('ready', { extension: { started_at: startedAt, restarts: run.restarts } }, signal)
    run.onServing(config)
    const end = await endOrAbort(supervision, deployment, lost)
    if (end === 'aborted') {
      await endServers(supervision, deployment)
      return 'stopped'
    }
    const stderr = deployment.lastStderr()
    if (end.livesOn) await deployment.stop(runnerLimits.failedStartStopMs)
    return signal.aborted ? 'stopped' : { reason: end.reason, stderr }
  } catch (error) {
    const stderr = deployment.lastStderr()
    await deployment.stop(runnerLimits.failedStartStopMs)
    if (signal.aborted) return 'stopped'
    const reason = messageOf(error)
    if (run.firstStart) throw new ThvError(failureOf(error).code, reason, { detail: stderr, cause: error })
    return { reason, stderr }
  }
}

/** Whether it is the engine that failed, and not the server. */
function isEngineTrouble(error: unknown): error is ThvError {
  return isThvError(error) && (error.code === 'engine-unreachable' || error.code === 'engine-failed')
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

/** The handshake; a server that dies meanwhile ends the wait at once. */
async function attach(supervision: Supervision, deployment: Deployment): Promise<Attachment> {
  const died = new AbortController()
  const watch = abortOnExit(deployment, died)
  const signal = AbortSignal.any([supervision.signal, died.signal])
  let attachment: Attachment
  try {
    attachment = await supervision.proxy.attach(backendOf(supervision.config, deployment), signal)
  } catch (error) {
    // Output is drained before `exited` resolves, so give the real reason a moment to arrive.
    await Promise.race([watch, supervision.deps.clock.sleep(runnerLimits.exitReasonMs, supervision.signal)])
    if (died.signal.aborted) throw new ThvError('server-exited', messageOf(died.signal.reason), { cause: error })
    throw error
  }
  // Whoever answered, a server that has exited did not; one turn lets its end be heard.
  await supervision.deps.clock.sleep(0, supervision.signal)
  if (died.signal.aborted) throw new ThvError('server-exited', messageOf(died.signal.reason))
  return attachment
}

async function abortOnExit(deployment: Deployment, died: AbortController): Promise<void> {
  const exit = await deployment.exited
  died.abort(new ThvError('server-exited', describeExit(exit)))
}

function backendOf(config: RunConfig, deployment: Deployment): Parameters<Proxy['attach']>[0] {
  if (config.transport === 'stdio') {
    if (deployment.stdio === undefined) throw new ThvError('internal', 'the runtime gave no pipe to a stdio server')
    return { kind: 'stdio', ...deployment.stdio }
  }
  const target = { host: listenHost(config.target_host ?? ''), port: config.target_port ?? 0 }
  const { host, port } = deployment.address ?? target
  return { kind: 'http', origin: `http://${urlHost(host)}:${port}`, transport: config.transport }
}

/** The first server is given up, and with it the workload: no other process of it may stay. */
async function fail({ proxy, lanes, reporter }: Supervision, failure: Failure): Promise<SuperviseResult> {
  await proxy.close(runnerLimits.drainMs)
  await lanes.close()
  await reporter.reportError(failure)
  return failure
}

/** The last word after a stop, in which something may have failed: a server that was not ended is not `stopped`. */
async function finish(supervision: Supervision, error?: unknown): Promise<SuperviseResult> {
  if (!supervision.lanes.isEnding) await endServers(supervision, undefined)
  if (isEngineTrouble(error)) {
    supervision.deps.log('error', 'the server was not ended', { error: error.message })
    const failure = { ...failureOf(error), context: `the server may still run: ${error.message}` }
    await supervision.reporter.reportError(failure)
    return failure
  }
  await supervision.reporter.reportStopped()
  supervision.deps.log('info', 'stopped')
  return 'stopped'
}

function proxyConfigOf(deps: SuperviseDeps, config: RunConfig, lanes: Lanes): ProxyConfig {
  const isShared = config.transport !== 'stdio' || config.thv?.lanes === 'shared'
  return {
    name: config.name,
    listen: { host: listenHost(config.host), port: config.port },
    backend: config.transport === 'stdio' ? 'stdio' : 'http',
    mode: effectiveProxyMode(config.transport, config.proxy_mode),
    ...buildChain(config, deps.proxyLimits),
    ...(config.trust_proxy_headers === true ? { trustProxyHeaders: true } : {}),
    ...(config.endpoint_prefix === undefined ? {} : { endpointPrefix: config.endpoint_prefix }),
    ...(config.stateless === true ? { stateless: true } : {}),
    ...(config.strict_protocol_validation === true ? { strictProtocolValidation: true } : {}),
    log: deps.log,
    ...(config.thv?.era === undefined ? {} : { era: config.thv.era }),
    ...(isShared ? {} : { openLane: async (signal) => await lanes.open(signal) }),
  }
}

/** How a server stopped serving. */
interface End {
  reason: string
  /** Its process is still there, but its streams are not: it is of no use to anyone. */
  livesOn: boolean
}

/** Leaves no listener behind: a supervision sees many ends but only one abort. */
async function endOrAbort(
  { deps, signal }: Supervision,
  deployment: Deployment,
  lost: Promise<string>,
): Promise<End | 'aborted'> {
  let onAbort = (): void => {}
  const aborted = new Promise<'aborted'>((resolve) => {
    onAbort = () => resolve('aborted')
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
  const exited = deployment.exited.then((exit): End => ({ reason: describeExit(exit), livesOn: false }))
  const givenUp = lost.then(async (reason): Promise<End> => {
    await deps.clock.sleep(runnerLimits.exitAfterLostMs, signal)
    return { reason: `${reason} but went on running`, livesOn: true }
  })
  try {
    // The wait for the exit is cut short by an abort only, and then the abort has won.
    return await Promise.race([exited, aborted, givenUp.catch(() => aborted)])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
