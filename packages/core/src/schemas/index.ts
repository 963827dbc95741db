export { clientSelectionSchema, clientStatusesSchema, registerClientSchema, registeredClientsSchema } from './client.ts'
export { explanationSchema } from './explanation.ts'
export { createdGroupSchema, createGroupSchema, groupListSchema, groupSchema } from './group.ts'
export { begunLoginSchema, loggedOutSchema, loginRequestSchema } from './login.ts'
export { operationListSchema, operationSchema } from './operation.ts'
export {
  registryErrorSchema,
  registryListSchema,
  registryPageSchemas,
  registrySchema,
  registryServersSchema,
} from './registry.ts'
export { runConfigSchema } from './run-config.ts'
export {
  createSecretSchema,
  savedSecretSchema,
  secretListSchema,
  secretProviderSchema,
  secretsSetUpSchema,
  setUpSecretsSchema,
  updateSecretSchema,
} from './secret.ts'
export { installedSchemas, localBuildsSchema } from './skill.ts'
export { upgradeChecksSchema, upgradeCheckSchema, upgradeRequestSchema } from './upgrade.ts'
export { versionSchema } from './version.ts'
export {
  bulkSchema,
  createdWorkloadSchema,
  createWorkloadSchema,
  updateWorkloadSchema,
  type BulkRequest,
  type CreateWorkloadRequest,
  type UpdateWorkloadRequest,
} from './workload-request.ts'
export { workloadListSchema, workloadStatusSchema } from './workload.ts'
