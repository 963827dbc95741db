export { ProxyError, type ProxyErrorCode } from './errors.ts'
export type { ProxyLimits } from './limits.ts'
export { proxyIdentity } from './mcp/identity.ts'
export type {
  Attachment,
  BackendConnection,
  BackendInfo,
  FrontMode,
  Proxy,
  ProxyConfig,
  ProxyLog,
  ServerLane,
  SessionJournal,
  SessionRecord,
} from './proxy-config.ts'
export { createProxy } from './proxy.ts'
