import type { ProxyLimits } from '../limits.ts'
import type { FrontMode, Proxy, ProxyConfig } from '../proxy-config.ts'
import { createProxy } from '../proxy.ts'
import { createScriptedServer, type ScriptedServer } from './scripted-server.ts'

export interface LogRecord {
  level: string
  message: string
  fields: Record<string, unknown> | undefined
}

/** A running proxy and what it logged. */
export interface ProxyFixture {
  proxy: Proxy
  port: number
  logs: LogRecord[]
  /** Resolves with the first record, past or future, that has this text. */
  logged(text: string): Promise<LogRecord>
}

export const never = new AbortController().signal

/** Starts a proxy in front of nothing yet. The caller closes it. */
export async function startProxy(
  options: { mode?: FrontMode; limits?: Partial<ProxyLimits>; config?: Partial<ProxyConfig> } = {},
): Promise<ProxyFixture> {
  const logs: LogRecord[] = []
  const watchers = new Set<(record: LogRecord) => void>()
  const proxy = createProxy({
    name: 'demo',
    listen: { host: '127.0.0.1', port: 0 },
    backend: 'stdio',
    mode: options.mode ?? 'streamable-http',
    limits: { closeMs: 200, ...options.limits },
    log: (level, message, fields) => {
      const record = { level, message, fields }
      logs.push(record)
      for (const watcher of watchers) watcher(record)
    },
    ...options.config,
  })
  await proxy.start(never)
  return {
    proxy,
    port: proxy.address.port,
    logs,
    logged(text) {
      const known = logs.find((record) => record.message.includes(text))
      if (known !== undefined) return Promise.resolve(known)
      return new Promise((resolve) => {
        watchers.add((record) => {
          if (record.message.includes(text)) resolve(record)
        })
      })
    },
  }
}

/** Starts a proxy with a scripted server attached. */
export async function startWithServer(
  options: Parameters<typeof startProxy>[0] & { serverVersion?: string } = {},
): Promise<ProxyFixture & { server: ScriptedServer }> {
  const fixture = await startProxy(options)
  const server = createScriptedServer(options.serverVersion)
  await fixture.proxy.attach(server.connection, never)
  return { ...fixture, server }
}
