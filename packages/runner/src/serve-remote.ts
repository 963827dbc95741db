import {
  limits,
  messageOf,
  ThvError,
  type HealthSettings,
  type HealthStep,
  type ProbeOutcome,
  type RemoteTarget,
  type RunConfig,
} from '@thv/core'
import type { RemoteConnection, RemoteLook, RemoteLookCode } from '@thv/proxy'
import { monitorHealth, type Monitored } from './monitor-health.ts'
import { RemoteCredentials } from './remote-credentials.ts'
import type { SuperviseDeps, Supervision } from './supervision.ts'

/**
 * Keeps a workload whose server is at a URL, until the signal aborts: nothing is started, so there is nothing to restart.
 * The monitor is the only one that reports; `onServing` is called with its first verdict.
 */
export async function serveRemote(
  supervision: Supervision,
  target: RemoteTarget,
  onServing: (config: RunConfig) => void,
): Promise<'stopped'> {
  const { deps, config, proxy, signal } = supervision
  const credentials = new RemoteCredentials(deps, config)
  const connection = await connectionOf(deps, config, { target, credentials })
  let isTold = false
  const server: Monitored = {
    probe: async () => {
      const problem = await credentials.refresh()
      if (problem !== undefined) return { kind: 'denied', reason: 'token-unreadable', message: problem }
      return outcomeOf(await proxy.look(connection, signal))
    },
    judged: async (step, outcome) => {
      await tell(supervision, { step, outcome, hasToken: credentials.hasToken })
      if (isTold || step.event === undefined) return
      isTold = true
      onServing(config)
    },
  }
  try {
    return await monitorHealth(deps, server, settingsOf(deps, config), signal)
  } catch (error) {
    if (signal.aborted) return 'stopped'
    throw error
  }
}

interface Verdict {
  step: HealthStep
  outcome: ProbeOutcome
  hasToken: boolean
}

/** The one place from where calls are refused and the status is written. */
async function tell({ deps, reporter, proxy, signal }: Supervision, verdict: Verdict): Promise<void> {
  const { step, outcome, hasToken } = verdict
  const probes = [...step.health.runs]
  if (step.isNew)
    deps.log(outcome.kind === 'alive' ? 'info' : 'warn', 'the remote server was asked', { found: outcome.message })
  if (step.event === undefined) {
    if (step.isNew) await reporter.recordProbes(probes, signal)
    return
  }
  proxy.refuse(step.event === 'down' ? outcome.message : undefined)
  const context = contextOf(outcome, hasToken)
  await reporter.report(
    step.event,
    {
      ...(context === undefined ? {} : { context }),
      reason: outcome.reason,
      extension: {
        probes,
        ...(outcome.transport === undefined ? {} : { transport: outcome.transport }),
        ...(step.event === 'ready' ? { started_at: deps.clock.now().toISOString() } : {}),
      },
    },
    signal,
  )
}

/** Tools match on how these sentences begin: spec/local 2.1. */
function contextOf({ kind, reason, message }: ProbeOutcome, hasToken: boolean): string | undefined {
  if (kind === 'alive') return undefined
  if (kind === 'failing') return `Health check failed: ${message}`
  if (reason !== 'remote-unauthorized' || !hasToken) return message
  return `Bearer token authentication failed. Please restart the server with a new token, or write one into its file: ${message}`
}

async function connectionOf(
  deps: SuperviseDeps,
  config: RunConfig,
  { target, credentials }: { target: RemoteTarget; credentials: RemoteCredentials },
): Promise<RemoteConnection> {
  const { thv_ca_bundle: bundle } = config
  const dial = deps.dialerOf(new URL(target.origin).hostname)
  return {
    kind: 'http',
    ...target,
    transport: spokenBy(config),
    headers: () => credentials.headers(),
    ...(dial === undefined ? {} : { dial }),
    ...(bundle === undefined || bundle === '' ? {} : { ca: await readBundle(deps, bundle) }),
  }
}

/** Another program's config says Streamable HTTP when nobody said anything. */
function spokenBy({ transport, thv }: RunConfig): RemoteConnection['transport'] {
  if (transport === 'sse') return 'sse'
  return thv === undefined || thv.detects_transport === true ? 'auto' : 'streamable-http'
}

async function readBundle(deps: SuperviseDeps, path: string): Promise<string> {
  try {
    return await deps.readUserFile(path)
  } catch (error) {
    throw new ThvError('invalid-run-config', `the certificates in '${path}' cannot be read: ${messageOf(error)}`, {
      hint: 'put the file back, or run the workload again with another --thv-ca-bundle',
      cause: error,
    })
  }
}

/** Overrides of the environment and of the run config are the proxy's too; without them a remote server has numbers of its own. */
function settingsOf({ proxyLimits }: SuperviseDeps, { thv }: RunConfig): HealthSettings {
  const { healthIntervalMs, healthRetryMs, healthFailures } = { ...proxyLimits, ...thv?.limits }
  return {
    intervalMs: healthIntervalMs ?? limits.remoteIntervalMs,
    retryMs: healthRetryMs ?? limits.remoteRetryMs,
    failures: healthFailures ?? limits.remoteFailures,
  }
}

function outcomeOf(look: RemoteLook): ProbeOutcome {
  const { code, ...rest } = look
  return { ...rest, reason: reasonOf[code] }
}

const reasonOf = {
  alive: 'serving',
  unauthorized: 'remote-unauthorized',
  forbidden: 'remote-forbidden',
  refused: 'remote-refused',
  dns: 'remote-dns',
  tls: 'remote-tls',
  timeout: 'remote-timeout',
  cut: 'remote-cut',
  'no-route': 'remote-no-route',
  'server-error': 'remote-server-error',
  'rate-limited': 'remote-rate-limited',
  redirects: 'remote-redirects',
  'not-mcp': 'remote-not-mcp',
  unreachable: 'remote-unreachable',
} as const satisfies Record<RemoteLookCode, ProbeOutcome['reason']>
