export { ProxyError, type ProxyErrorCode } from './errors.ts'
export { checkLimits, proxyLimits, type ProxyLimits } from './limits.ts'
export { proxyIdentity } from './mcp/identity.ts'
export { ProxyMetrics } from './metrics/proxy-metrics.ts'
export type { Middleware } from './middleware.ts'
export { createToolFilter } from './middleware/tool-filter/tool-filter.ts'
export { createUsageMetrics } from './middleware/usage-metrics/usage-metrics.ts'
export type {
  Attachment,
  BackendConnection,
  BackendInfo,
  BackendSign,
  FrontMode,
  HealthStatus,
  Proxy,
  ProxyConfig,
  ProxyLog,
  Refusal,
  RemoteConnection,
  RemoteLogin,
  RemoteLook,
  RemoteLookCode,
  ServerLane,
  SessionJournal,
  SessionRecord,
} from './proxy-config.ts'
export { createProxy } from './proxy.ts'
export { createRequestGuard, type RequestGuard } from './request-guard.ts'
