import {
  limits,
  messageOf,
  takesLogin,
  ThvError,
  type HealthSettings,
  type HealthStep,
  type ProbeOutcome,
  type RemoteTarget,
  type RunConfig,
} from '@thv/core'
import type { Refusal, RemoteConnection, RemoteLook, RemoteLookCode } from '@thv/proxy'
import { CardReading } from './card-reading.ts'
import { monitorHealth, type Monitored, type News } from './monitor-health.ts'
import { RemoteCredentials } from './remote-credentials.ts'
import { RemoteTokens } from './remote-tokens.ts'
import type { SuperviseDeps, Supervision } from './supervision.ts'
import { outcomeOfTrouble } from './token-trouble.ts'

/**
 * Keeps a workload whose server is at a URL, until the signal aborts: nothing is started, so there is nothing to restart.
 * The monitor is the only one that reports; `onServing` is called with its first verdict.
 */
export async function serveRemote(
  supervision: Supervision,
  target: RemoteTarget,
  onServing: (config: RunConfig) => void,
): Promise<'stopped'> {
  const { deps, config, signal } = supervision
  const credentials = new RemoteCredentials(deps, config)
  const tokens = takesLogin(config) ? new RemoteTokens(deps, config) : undefined
  const connection = await connectionOf(deps, config, { target, credentials, tokens })
  const card = new CardReading(supervision)
  const settings = settingsOf(deps, config)
  let isTold = false
  const server: Monitored = {
    probeMs: settings.probeMs,
    probe: async () => {
      const problem = await credentials.refresh()
      if (problem !== undefined) return { kind: 'denied', reason: 'token-unreadable', message: problem }
      return await probe(supervision, connection, tokens)
    },
    judged: async (step, outcome) => {
      const refusal = outcome.kind === 'failing' ? outcome.message : tokens?.refusal
      await tell(supervision, { step, outcome, refusal, hasToken: credentials.hasToken })
      if (outcome.kind === 'alive') card.begin()
      if (isTold || step.event === undefined) return
      isTold = true
      onServing(config)
    },
    ...(tokens === undefined ? {} : { news: newsOf(supervision, tokens), woken: () => tokens.woken() }),
  }
  try {
    return await monitorHealth(deps, server, settings, signal)
  } catch (error) {
    if (signal.aborted) return 'stopped'
    throw error
  } finally {
    await card.close()
    await tokens?.close()
  }
}

/** Asks the server, unless there is nothing to ask it with. */
async function probe(
  { proxy, signal }: Supervision,
  connection: RemoteConnection,
  tokens: RemoteTokens | undefined,
): Promise<ProbeOutcome> {
  const trouble = await tokens?.prepare(signal)
  if (trouble !== undefined) return outcomeOfTrouble(trouble)
  const look = await proxy.look(connection, signal)
  if (look.code === 'alive' || look.code === 'unauthorized') tokens?.noteLook(look.code)
  const found = look.kind === 'denied' ? tokens?.trouble : undefined
  return found === undefined ? outcomeOf(look) : outcomeOfTrouble(found)
}

/** What becomes of the login decides too, and is seen to in the pauses between probes. */
function newsOf({ reporter }: Supervision, tokens: RemoteTokens): News {
  return {
    pollMs: () => tokens.pollMs,
    isThere: async (signal) => {
      const { wanted } = tokens
      if (wanted.takeNews()) await reporter.recordWantedScopes((known) => wanted.mergeInto(known), signal)
      return await tokens.hasNews(signal)
    },
  }
}

interface Verdict {
  step: HealthStep
  outcome: ProbeOutcome
  /** Why calls are not to pass. */
  refusal: Refusal | string | undefined
  hasToken: boolean
}

/** The one place from where calls are refused and the status is written. */
async function tell({ deps, reporter, proxy, signal }: Supervision, verdict: Verdict): Promise<void> {
  const { step, outcome, refusal, hasToken } = verdict
  const probes = [...step.health.runs]
  if (step.isNew)
    deps.log(outcome.kind === 'alive' ? 'info' : 'warn', 'the remote server was asked', { found: outcome.message })
  if (step.event === undefined) {
    if (step.isNew) await reporter.recordProbes(probes, signal)
    return
  }
  proxy.refuse(refusal)
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
  more: { target: RemoteTarget; credentials: RemoteCredentials; tokens: RemoteTokens | undefined },
): Promise<RemoteConnection> {
  const { target, credentials, tokens } = more
  const { thv_ca_bundle: bundle } = config
  const dial = deps.dialerOf(new URL(target.origin).hostname)
  return {
    kind: 'http',
    ...target,
    transport: spokenBy(config),
    headers: () => credentials.headers(),
    ...(tokens === undefined ? {} : { login: tokens.login }),
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
function settingsOf({ proxyLimits }: SuperviseDeps, { thv }: RunConfig): HealthSettings & { probeMs: number } {
  const { healthIntervalMs, healthRetryMs, healthFailures, healthTimeoutMs } = { ...proxyLimits, ...thv?.limits }
  return {
    intervalMs: healthIntervalMs ?? limits.remoteIntervalMs,
    retryMs: healthRetryMs ?? limits.remoteRetryMs,
    failures: healthFailures ?? limits.remoteFailures,
    probeMs: healthTimeoutMs ?? limits.remoteTimeoutMs,
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
  'scope-missing': 'scope-missing',
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
