export { createApiClient, type ApiClient } from './api-client.ts'
export { resolveApiTimeout } from './api-timeout.ts'
export type { ApiAnswer, ApiCaller, ApiRequest, ApiServer } from './call-api.ts'
export { discoverServer, type DiscoveredServer, type DiscoverServerDeps } from './discover-server.ts'
export type { GroupCalls } from './group-calls.ts'
export { clientLimits } from './limits.ts'
export type { OperationCalls, OperationOutcome } from './operation-calls.ts'
export { probeServer } from './probe-server.ts'
export type {
  BegunLogin,
  CreatedWorkload,
  ListedWorkloads,
  LoginInput,
  RemoteLoginInput,
  WorkloadCalls,
  WorkloadInput,
  WorkloadSelection,
} from './workload-calls.ts'
