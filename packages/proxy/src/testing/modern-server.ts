import { createScriptedServer, type ScriptedServer, type Wire } from './scripted-server.ts'

/** A Modern server in this process, which tells what it was sent like every scripted server. */
export interface ModernServer extends ScriptedServer {
  /** Sends a notification on every open subscription, as a Modern server does. */
  tell(method: string, params?: Record<string, unknown>): void
  /** Requests of open subscriptions. */
  readonly listens: Wire[]
}

/** Makes one. With `legacy` it also answers `initialize`, as a server of both eras. */
export function createModernServer(options: { legacy?: boolean } = {}): ModernServer {
  const base = createScriptedServer()
  const listens: Wire[] = []
  const refuse = (request: Wire, error: { code: number; message: string }): undefined => {
    base.send({ id: request.id ?? 0, error })
  }
  if (options.legacy !== true) {
    base.on('initialize', (request) => refuse(request, { code: -32022, message: 'Unsupported protocol version' }))
  }
  base.on('server/discover', () => ({
    resultType: 'complete',
    supportedVersions: ['2026-07-28'],
    capabilities: { tools: { listChanged: true }, resources: { subscribe: true }, logging: {} },
    instructions: 'modern',
    'x-extra': 12345,
    ttlMs: 1000,
    cacheScope: 'public',
    _meta: { [serverInfo]: { name: 'modern', version: '2' } },
  }))
  base.on('tools/call', (request) => ({ resultType: 'complete', content: [], echo: request.params?.['arguments'] }))
  base.on('subscriptions/listen', (request) => {
    listens.push(request)
    const notifications = request.params?.['notifications']
    const _meta = { [subscriptionId]: request.id }
    base.send({ method: 'notifications/subscriptions/acknowledged', params: { notifications, _meta } })
    return undefined
  })
  const tell = (method: string, params: Record<string, unknown> = {}): void => {
    const cancelled = base.received.map((message) => message.params?.['requestId'])
    for (const { id } of listens) {
      if (!cancelled.includes(id)) base.send({ method, params: { ...params, _meta: { [subscriptionId]: id } } })
    }
  }
  return Object.assign(base, { tell, listens })
}

const serverInfo = 'io.modelcontextprotocol/serverInfo'
const subscriptionId = 'io.modelcontextprotocol/subscriptionId'
