import {
  effectiveProxyMode,
  listenHost,
  loadStartable,
  messageOf,
  reapServers,
  sourceOf,
  type RunConfig,
} from '@thv/core'
import type { Proxy, ProxyConfig } from '@thv/proxy'
import { buildChain } from './build-chain.ts'
import { endServers } from './end-servers.ts'
import { failureOf, type Failure } from './failure.ts'
import { Lanes } from './lanes.ts'
import { runnerLimits } from './limits.ts'
import { buildServerCommand } from './server-command.ts'
import { isEngineTrouble, serveLocal } from './serve-local.ts'
import { serveRemote } from './serve-remote.ts'
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
    const end = await serveLocal(supervision, command, onServing)
    return end === 'stopped' ? await finish(supervision) : await fail(supervision, end)
  } catch (error) {
    if (supervision.signal.aborted) return await finish(supervision, error)
    deps.log('error', 'the workload failed', { error: messageOf(error) })
    return await fail(supervision, failureOf(error))
  } finally {
    stopWatching()
    await proxy.close(runnerLimits.drainMs)
  }
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
