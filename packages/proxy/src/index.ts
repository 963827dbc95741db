export { ProxyError, type ProxyErrorCode } from './errors.ts'
export {
  buildRequestHeaders,
  buildResponseHeaders,
  type ClientFacts,
  type RequestHeaderOptions,
} from './header-rules.ts'
export { proxyLimits, type ProxyLimits } from './limits.ts'
export { proxyIdentity } from './mcp/identity.ts'
export { LineSplitter, type LineHandler } from './mcp/line-splitter.ts'
export { legacyRevisions, newestRevision } from './mcp/revision.ts'
export type {
  BackendConnection,
  BackendInfo,
  FrontMode,
  Proxy,
  ProxyConfig,
  ProxyLog,
  ServerLane,
} from './proxy-config.ts'
export { createProxy } from './proxy.ts'
