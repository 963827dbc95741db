import { createApiCaller, type ApiCaller, type ApiServer } from './call-api.ts'
import { createGroupCalls, type GroupCalls } from './group-calls.ts'
import { createOperationCalls, type OperationCalls } from './operation-calls.ts'
import { createWorkloadCalls, type WorkloadCalls } from './workload-calls.ts'

/** The REST API of one server. */
export interface ApiClient {
  /** What has no method here yet. */
  readonly call: ApiCaller
  readonly workloads: WorkloadCalls
  readonly groups: GroupCalls
  readonly operations: OperationCalls
}

/**
 * A client of the server that `discoverServer` found. Opens nothing, and keeps nothing open between calls. Throws
 * `invalid-argument` or `server-record-refused` for what is no URL of a server.
 */
export function createApiClient(server: ApiServer): ApiClient {
  const call = createApiCaller(server)
  return {
    call,
    workloads: createWorkloadCalls(call),
    groups: createGroupCalls(call),
    operations: createOperationCalls(call),
  }
}
