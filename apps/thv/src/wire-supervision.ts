import { tmpdir, userInfo } from 'node:os'
import { dirname } from 'node:path'
import type { ConfineOptions, ContainerNetworkOptions } from '@thv/adapters'
import {
  createEgressRecord,
  createRemoteDialer,
  localAddresses,
  openEgressProxy,
  openInboundListener,
  readUpstreamProxy,
  type EgressRecord,
} from '@thv/adapters/network'
import { parseGoDuration } from '@thv/core'
import { createProxy } from '@thv/proxy'
import { runnerLimits, type SuperviseDeps } from '@thv/runner'
import { once, type ConfinementListener, type Container } from './container.ts'
import { homeDirectory } from './home-directory.ts'
import { readLimitVariables } from './limit-variables.ts'
import { prepareIsolation } from './prepare-isolation.ts'
import { forwarderScript, selfCommand } from './self-command.ts'
import type { Level, Supervision, SupervisionOptions } from './supervision.ts'
import { slogLine } from './slog-line.ts'

/** A token or a bundle of certificates is read from a disk. */
const userFileMs = 5_000

/** Connects the runner with this machine. */
export async function wireSupervision(
  container: Container,
  name: string,
  options: SupervisionOptions,
): Promise<Supervision> {
  const limitVariables = await readLimitVariables(container.environment)
  const adapters = await container.adapters()
  const logs = await container.logs()
  const serverLog = adapters.createRotatingLog({ path: logs.serverLog(name) })
  const proxyLog = options.ownsProxyLog === true ? undefined : adapters.createRotatingLog({ path: logs.proxyLog(name) })
  const rotation = setInterval(() => {
    if (options.ownsProxyLog === true) void adapters.rotateByCopy({ path: logs.proxyLog(name), fd: process.stderr.fd })
  }, runnerLimits.logCheckMs)
  rotation.unref()
  const log = (level: Level, message: string, fields?: Record<string, unknown>): void => {
    if (level === 'debug' && !options.debug) return
    const line = slogLine(level, message, fields)
    if (proxyLog === undefined) process.stderr.write(line)
    else proxyLog.write(line.trimEnd())
    options.tell?.(level, message)
  }
  const egress = createEgressRecord((message) => log('warn', message))
  const confine = confineOptions(container, { egress, log })
  const processes = adapters.createProcessRuntime({ reaperCommand: [...selfCommand, '__reap'], confine })
  const preparing = prepareIsolation(container, name, processes)
  const images = await container.engines.images()
  const network: ContainerNetworkOptions = {
    ...confine,
    forwarder: { image: adapters.nodeImage, script: forwarderScript },
    createDirectory: async () => await adapters.createSandboxDirectory(shortTemporaryDirectory()),
    pull: async (reference, signal) => await images.pull(reference, (line) => log('info', line), signal),
  }
  return {
    egress,
    deps: {
      ...(await container.reading()),
      clock: adapters.createSystemClock(),
      ports: await container.ports(),
      planConfinement: await container.confinementPlanner(ignoreListener(log)),
      containers: await container.engines.containers(),
      images,
      runtime: {
        deploy: async (spec, signal) => {
          const runtime = spec.image === undefined ? processes : await container.engines.runtime(network, signal)
          return await runtime.deploy(spec, signal)
        },
      },
      installers: container.installer,
      userSecrets: (await container.secrets()).secrets,
      buildEnvironment: environmentBuilder(adapters),
      packageDirectory: homeDirectory(),
      createProxy,
      openJournal: async (workload) => {
        const journals = await container.sessions()
        return await journals.open(workload, (message, fields) => log('warn', message, fields))
      },
      proxyLimits: { ...proxyLimitsOf(container.environment, log), ...limitVariables },
      writeServerLine: (line) => serverLog.write(line),
      ...remoteAccess(container),
      log,
      random: Math.random,
    },
    close: async () => {
      clearInterval(rotation)
      await preparing
      await processes.close()
      await Promise.all([serverLog.close(), proxyLog?.close()])
    },
  }
}

/** What only remote servers need of this machine. */
function remoteAccess(
  container: Container,
): Pick<SuperviseDeps, 'network' | 'dialerOf' | 'readUserFile' | 'environmentToken' | 'logins'> {
  return {
    network: localAddresses,
    dialerOf: (host) => createRemoteDialer(container.environment, host),
    readUserFile: async (path) => await container.files.readText(path, { signal: AbortSignal.timeout(userFileMs) }),
    environmentToken: givenText(container.environment['TOOLHIVE_REMOTE_AUTH_BEARER_TOKEN']),
    logins: once(async () => await remoteLogins(container)),
  }
}

/** A supervisor whose server wants no login never loads any of it. */
async function remoteLogins(container: Container): ReturnType<SuperviseDeps['logins']> {
  return {
    secrets: (await container.secrets()).secrets.store,
    grants: await container.grants(),
    authorization: once(async () => {
      const { createRemoteAuthorization } = await import('@thv/adapters/oauth')
      return createRemoteAuthorization({ dialerOf: (host) => createRemoteDialer(container.environment, host) })
    }),
  }
}

function ignoreListener(log: SuperviseDeps['log']): ConfinementListener {
  return { warn: (message) => log('warn', message), note: (message) => log('info', message) }
}

function confineOptions(
  container: Container,
  { egress, log }: { egress: EgressRecord; log: SuperviseDeps['log'] },
): ConfineOptions {
  const upstream = readUpstreamProxy(container.environment)
  return {
    home: homeDirectory(),
    temporaryDirectory: shortTemporaryDirectory(),
    forwarder: { node: process.execPath, script: forwarderScript },
    openEgress: async (more) =>
      await openEgressProxy({
        ...more,
        ...(upstream === undefined ? {} : { upstream }),
        onAttempt: (attempt) => egress.add(attempt),
      }),
    openInbound: openInboundListener,
    warn: (message) => log('warn', message),
  }
}

/** The name of a unix socket has at most 107 bytes, and some systems have long temporary directories. */
function shortTemporaryDirectory(): string {
  return tmpdir().length > 60 ? '/tmp' : tmpdir()
}

function environmentBuilder(adapters: Awaited<ReturnType<Container['adapters']>>): SuperviseDeps['buildEnvironment'] {
  return (extra, searchPath) =>
    adapters.buildServerEnvironment({
      platform: process.platform,
      home: homeDirectory(),
      user: userInfo().username,
      nodeDirectory: dirname(process.execPath),
      tmpdir: tmpdir(),
      extra,
      ...(searchPath === undefined ? {} : { searchPath }),
    })
}

function givenText(text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}

/** Environment overrides of the data plane: spec/local 0.5, and ours. A value that cannot be read is ignored with a warning. */
function proxyLimitsOf(environment: Container['environment'], log: SuperviseDeps['log']): SuperviseDeps['proxyLimits'] {
  const found: Record<string, number> = {}
  if (givenText(environment['TOOLHIVE_REMOTE_HEALTHCHECKS']) !== undefined) {
    log('info', 'TOOLHIVE_REMOTE_HEALTHCHECKS is ignored: the health of remote servers is always checked')
  }
  for (const [variable, { limit, parse, kind }] of Object.entries(overrides)) {
    const text = environment[variable]
    if (text === undefined || text === '') continue
    try {
      found[limit] = parse(text)
    } catch {
      log('warn', `${variable} is not ${kind} and is ignored`, { value: text })
    }
  }
  return found
}

interface Override {
  limit: keyof SuperviseDeps['proxyLimits']
  parse: (text: string) => number
  kind: string
}

const overrides: Readonly<Record<string, Override>> = {
  TOOLHIVE_PROXY_REQUEST_TIMEOUT: durationOf('requestTimeoutMs'),
  THV_LANE_IDLE_TIMEOUT: durationOf('laneIdleMs'),
  TOOLHIVE_HEALTH_CHECK_INTERVAL: durationOf('healthIntervalMs'),
  TOOLHIVE_HEALTH_CHECK_PING_TIMEOUT: durationOf('healthTimeoutMs'),
  TOOLHIVE_HEALTH_CHECK_RETRY_DELAY: durationOf('healthRetryMs'),
  TOOLHIVE_HEALTH_CHECK_FAILURE_THRESHOLD: { limit: 'healthFailures', parse: parseCount, kind: 'a count' },
}

function durationOf(limit: Override['limit']): Override {
  return { limit, parse: parsePositive, kind: 'a duration above zero' }
}

function parsePositive(text: string): number {
  const milliseconds = parseGoDuration(text)
  if (milliseconds <= 0) throw new RangeError('a time that is over at once')
  return milliseconds
}

function parseCount(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new RangeError('not a count')
  return Number(text)
}
