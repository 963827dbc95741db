import { tmpdir, userInfo } from 'node:os'
import { dirname } from 'node:path'
import { parseGoDuration } from '@thv/core'
import { createProxy } from '@thv/proxy'
import { runnerLimits, type SuperviseDeps } from '@thv/runner'
import type { Container } from './container.ts'
import { homeDirectory } from './home-directory.ts'
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
      ports: await container.ports(),
      runtime: adapters.createProcessRuntime({ reaperCommand: [...selfCommand, '__reap'] }),
      installers: container.installer,
      buildEnvironment: environmentBuilder(adapters),
      packageDirectory: homeDirectory(),
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
      home: homeDirectory(),
      user: userInfo().username,
      nodeDirectory: dirname(process.execPath),
      tmpdir: tmpdir(),
      extra,
      ...(searchPath === undefined ? {} : { searchPath }),
    })
}

/** Environment overrides of the data plane: spec/local 0.5. A value that is no duration is ignored with a warning. */
function proxyLimitsOf(environment: Container['environment'], log: SuperviseDeps['log']): SuperviseDeps['proxyLimits'] {
  const text = environment['TOOLHIVE_PROXY_REQUEST_TIMEOUT']
  if (text === undefined || text === '') return {}
  try {
    return { requestTimeoutMs: parseGoDuration(text) }
  } catch {
    log('warn', 'TOOLHIVE_PROXY_REQUEST_TIMEOUT is not a duration and is ignored', { value: text })
    return {}
  }
}
