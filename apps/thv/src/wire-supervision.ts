import { homedir, tmpdir, userInfo } from 'node:os'
import { dirname } from 'node:path'
import { parseGoDuration } from '@thv/core'
import { createProxy } from '@thv/proxy'
import { runnerLimits, type SuperviseDeps } from '@thv/runner'
import type { Container } from './container.ts'
import { selfCommand } from './self-command.ts'
import type { Level, Supervision, SupervisionOptions } from './supervision.ts'
import { slogLine } from './slog-line.ts'

/** Connects the runner with this machine. */
export async function wireSupervision(
  container: Container,
  name: string,
  options: SupervisionOptions,
): Promise<Supervision> {
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
  return {
    deps: {
      ...(await container.reading()),
      clock: adapters.createSystemClock(),
      runtime: adapters.createProcessRuntime({ reaperCommand: [...selfCommand, '__reap'] }),
      installers: container.installer,
      buildEnvironment: environmentBuilder(adapters),
      packageDirectory: homedir(),
      createProxy,
      proxyLimits: proxyLimitsOf(container.environment, log),
      writeServerLine: (line) => serverLog.write(line),
      log,
      random: Math.random,
    },
    close: async () => {
      clearInterval(rotation)
      await Promise.all([serverLog.close(), proxyLog?.close()])
    },
  }
}

function environmentBuilder(adapters: Awaited<ReturnType<Container['adapters']>>): SuperviseDeps['buildEnvironment'] {
  return (extra, searchPath) =>
    adapters.buildServerEnvironment({
      platform: process.platform,
      home: homedir(),
      user: userInfo().username,
      nodeDirectory: dirname(process.execPath),
      tmpdir: tmpdir(),
      extra,
      ...(searchPath === undefined ? {} : { searchPath }),
    })
}

/** Environment overrides of the data plane: spec/local 0.5, and ours. */
function proxyLimitsOf(environment: Container['environment'], log: SuperviseDeps['log']): SuperviseDeps['proxyLimits'] {
  const requestTimeoutMs = durationOf(environment, 'TOOLHIVE_PROXY_REQUEST_TIMEOUT', log)
  const laneIdleMs = durationOf(environment, 'THV_LANE_IDLE_TIMEOUT', log)
  return {
    ...(requestTimeoutMs === undefined ? {} : { requestTimeoutMs }),
    ...(laneIdleMs === undefined ? {} : { laneIdleMs }),
  }
}

/** A duration of the environment. A value that is none is ignored with a warning. */
function durationOf(
  environment: Container['environment'],
  name: string,
  log: SuperviseDeps['log'],
): number | undefined {
  const text = environment[name]
  if (text === undefined || text === '') return undefined
  try {
    return parseGoDuration(text)
  } catch {
    log('warn', `${name} is not a duration and is ignored`, { value: text })
    return undefined
  }
}
