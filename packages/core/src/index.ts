export { Diagnostics, type Problem } from './diagnostics.ts'
export {
  errorKinds,
  isErrorCode,
  isThvError,
  messageOf,
  systemCodeOf,
  ThvError,
  type ErrorCode,
  type ErrorKind,
} from './errors.ts'
export { limits } from './limits.ts'
export { readChainSettings, type ChainSettings } from './domain/chain-settings.ts'
export { parseEnvironmentFile, parseEnvironmentVariable } from './domain/environment.ts'
export { addressKind, canonicalAddress, type AddressKind } from './domain/address-kind.ts'
export {
  assertConfinable,
  assertContainable,
  isolations,
  isolationWishes,
  resolveContainerNetwork,
  resolveNetwork,
  withGateway,
  type Confinement,
  type Isolation,
  type IsolationWish,
  type NetworkAccess,
} from './domain/confinement.ts'
export {
  decideAddress,
  decideEgress,
  matchesHost,
  type EgressDecision,
  type EgressTarget,
} from './domain/egress-rules.ts'
export { parseBearerToken, parseForwardHeader } from './domain/forward-header.ts'
export { grantPrefix, parseClientSecret, type RemoteAuthConfig } from './domain/remote-auth.ts'
export { isGrantFor } from './domain/is-grant-for.ts'
export { takesLogin } from './domain/takes-login.ts'
export { authorizationUrlProblem, issuerProblem } from './domain/authorization-url.ts'
export { parseServerCard, serverCardOf, type ServerCard } from './domain/server-card.ts'
export { readScopes, remoteErrorText } from './domain/remote-error-text.ts'
export { isNearby, parseRemoteUrl, type RemoteTarget } from './domain/remote-url.ts'
export { coversServer, resourceIndicator } from './domain/resource-indicator.ts'
export { issuerMetadataUrls, resourceMetadataUrls } from './domain/well-known.ts'
export { parseChallenges, type Challenge } from './domain/www-authenticate.ts'
export { parseGoDuration } from './domain/go-duration.ts'
export {
  assertUserSecretName,
  formatSecretParameter,
  isSystemSecret,
  parseServerSecret,
  workloadSecretName,
  type SecretParameter,
} from './domain/secret-name.ts'
export {
  isSecretProvider,
  secretCapabilities,
  secretProviders,
  type SecretCapabilities,
  type SecretProvider,
} from './domain/secret-provider.ts'
export { parseSessionTtl } from './domain/session-ttl.ts'
export { listenHost, urlHost } from './domain/host.ts'
export { clientKinds, isClientKind, type ClientKind } from './domain/client.ts'
export { assertGroupName, defaultGroup, type Group } from './domain/group.ts'
export { coveredEntries, parseIgnoreFile, type RootEntry } from './domain/ignore-rules.ts'
export {
  builtImagePrefix,
  imageWorkloadName,
  isMovingReference,
  parseImageReference,
  registryOf,
  type ImageReference,
} from './domain/image-reference.ts'
export {
  afterWake,
  judgeProbe,
  noHealth,
  wakeDelayMs,
  type Health,
  type HealthSettings,
  type HealthStep,
} from './domain/health-policy.ts'
export type { ProbeOutcome } from './domain/probe-outcome.ts'
export { isUsable, renewalDueMs, retryDelayMs } from './domain/token-schedule.ts'
export { matchesLabels, parseLabel } from './domain/label.ts'
export { parseMount, parseVolume, type Mount, type Volume } from './domain/mount.ts'
export { operationKinds, operationStates, type Operation, type OperationKind } from './domain/operation.ts'
export {
  formatPackage,
  formatPythonRequirement,
  isPackageArgument,
  localPathOf,
  packageKinds,
  packageWorkloadName,
  parsePackageSource,
  type PackageKind,
  type PackageSource,
  type ResolvedPackage,
} from './domain/package-source.ts'
export {
  builtInProfile,
  defaultProfileName,
  parsePermissionProfile,
  type NetworkPermissions,
  type OutboundPermissions,
  type PermissionProfile,
} from './domain/permission-profile.ts'
export { endsPatience, prolongSilence, type Silence } from './domain/silence.ts'
export { decideRestart, type RestartDecision } from './domain/restart-policy.ts'
export {
  assertRunConfig,
  isEra,
  isRemote,
  runConfigSchemaVersion,
  runtimeWishes,
  type LocalCommand,
  type RunConfig,
  type RunConfigExtension,
  type RuntimeWish,
} from './domain/run-config.ts'
export { parseRuntimeConfig, textMap, type RuntimeConfig } from './domain/runtime-config.ts'
export {
  effectiveProxyMode,
  isProxyMode,
  isTransportType,
  proxyModes,
  transportTypes,
  type ProxyMode,
  type TransportType,
} from './domain/transport-type.ts'
export { formatServerRecord, formatStartedAt, parseServerRecord, type ServerRecord } from './domain/server-record.ts'
export { parseServerUrl, publishableUrl, socketUrl, type ApiServerAddress } from './domain/server-url.ts'
export { parseToolOverrides, type ToolOverride, type ToolRules } from './domain/tool-rules.ts'
export { assertWorkloadName, sanitizeWorkloadName } from './domain/workload-name.ts'
export {
  assessStatus,
  isContainer,
  isListedByDefault,
  isOwned,
  type AssessedStatus,
  type ProbeRun,
  type ProcessIdentity,
  type ServerContainer,
  type ServerIdentity,
  type ServerProcess,
  type StatusError,
  type StatusExtension,
  type StatusRecord,
} from './domain/workload-status.ts'
export {
  nextStatus,
  statusEvents,
  workloadStatuses,
  type StatusEvent,
  type WorkloadStatus,
} from './domain/state-machine.ts'
export { isReasonCode, reasonOfStatus, statusReasons, type ReasonCode } from './domain/status-reason.ts'
export { buildWorkload, clientUrlOf, packageOf, userLabels, zeroTime, type Workload } from './domain/workload.ts'
export type { Clock } from './ports/clock.ts'
export type {
  CachedPackage,
  InstalledPackage,
  PackageCache,
  PackageInstaller,
  ProgressListener,
} from './ports/package-installer.ts'
export type { PortAllocator } from './ports/port-allocator.ts'
export type { ProcessTable } from './ports/process-table.ts'
export type {
  GroupStore,
  LogFiles,
  LogKind,
  SessionFiles,
  RunConfigStore,
  StateListing,
  StateProblem,
  StatusChange,
  StatusStore,
} from './ports/state-store.ts'
export type {
  IsServerAlive,
  LockedServerRecord,
  ProbeServer,
  ServerHealth,
  ServerRecordRead,
  ServerRecordStore,
} from './ports/server-records.ts'
export type { LaunchedServer, ServerLauncher, ServerTarget } from './ports/server-launcher.ts'
export type { StatusWatch } from './ports/status-watch.ts'
export type { LaunchedSupervisor, ProcessExit, SupervisorLauncher } from './ports/supervisor-launcher.ts'
export type { ImageBuild, ImageStore } from './ports/image-store.ts'
export type { ContainerTable } from './ports/container-table.ts'
export type {
  Deployment,
  DeploySpec,
  ImageSpec,
  ServerAddress,
  ServerExit,
  WorkloadRuntime,
} from './ports/workload-runtime.ts'
export type { CommandResolver } from './ports/command-resolver.ts'
export type { KeptPassword, PasswordKeeper } from './ports/password-keeper.ts'
export type { EncryptedSecretStore, SecretChange, SecretStore } from './ports/secret-store.ts'
export type { GrantChange, GrantStore } from './ports/grant-store.ts'
export type { LoginAnswer, LoginCallback, OpenLoginCallback } from './ports/login-callback.ts'
export { RefreshError } from './ports/remote-authorization.ts'
export type {
  AuthorizationPlan,
  AuthorizationTarget,
  LoginWishes,
  PendingLogin,
  RemoteAuthorization,
} from './ports/remote-authorization.ts'
export type { ClientIdentity, RemoteGrant, TokenAuthMethod } from './domain/remote-grant.ts'
export { announceServer, withdrawServer, type AnnounceServerDeps } from './use-cases/announce-server.ts'
export { evaluateServer, type EvaluateServerDeps, type ServerEvaluation } from './use-cases/evaluate-server.ts'
export {
  requireGroup,
  requireTargetPort,
  sourceOf,
  type BuildRunConfigDeps,
  type PlanConfinement,
} from './use-cases/build-run-config.ts'
export { applyEvent, changeStatus, type ChangeStatusDeps, type EventDetails } from './use-cases/change-status.ts'
export { assertSupportedRunConfig } from './use-cases/check-run-config.ts'
export { deleteWorkload, type DeleteWorkloadDeps } from './use-cases/delete-workload.ts'
export { checkUpgrade, checkUpgrades, refuseUpgrade } from './use-cases/check-upgrade.ts'
export { ensurePackage } from './use-cases/ensure-package.ts'
export { planEdit, replaceRunConfig, type PlanEditDeps } from './use-cases/edit-workload.ts'
export { explainWorkload, type Cause, type Explanation } from './use-cases/explain-workload.ts'
export { exportRunConfig } from './use-cases/export-run-config.ts'
export { forEachWorkload, throwFailures } from './use-cases/for-each-workload.ts'
export {
  getWorkload,
  listWorkloads,
  workloadNotFound,
  type ListFilter,
  type ReadWorkloadDeps,
  type WorkloadListing,
} from './use-cases/list-workloads.ts'
export { launchAndWait, waitUntilServing } from './use-cases/launch-supervisor.ts'
export { createWorkload, runWorkload, type RunInput, type RunWorkloadDeps } from './use-cases/run-workload.ts'
export type { RunRequest } from './use-cases/run-request.ts'
export { loadStartable, restartWorkload, startWorkload, type StartWorkloadDeps } from './use-cases/start-workload.ts'
export { startServer, type StartedServer, type StartServerDeps } from './use-cases/start-server.ts'
export { stopServer, type StopServerDeps } from './use-cases/stop-server.ts'
export { reapServers, stoppedRecord, stopWorkload, type StopWorkloadDeps } from './use-cases/stop-workload.ts'
export { listRegisteredClients, type RegisteredClient } from './use-cases/list-clients.ts'
export { createGroup, deleteGroup, getGroup, listGroups, type DeleteGroupDeps } from './use-cases/manage-groups.ts'
export {
  deleteSecret,
  deleteSystemSecret,
  getSecret,
  listSecrets,
  listSystemSecrets,
  requireSecretProvider,
  setSecret,
  setUpSecrets,
  type SecretInput,
  type SetUpSecretsDeps,
  type UserSecrets,
} from './use-cases/manage-secrets.ts'
export { parseServerArgument } from './use-cases/parse-server-argument.ts'
export { awaitLogin } from './use-cases/await-login.ts'
export { grantReferenceOf, type KeepLoginDeps } from './use-cases/keep-login.ts'
export {
  logIn,
  targetOf as authorizationTargetOf,
  type LogInDeps,
  type LoggedIn,
  type LogInRequest,
} from './use-cases/log-in.ts'
export { logOut, type LoggedOut, type LogOutDeps } from './use-cases/log-out.ts'
export { readLogs } from './use-cases/read-logs.ts'
export { readWorkloadRequest } from './use-cases/read-workload-request.ts'
export { getWorkloadRequest } from './use-cases/write-workload-request.ts'
export { selectWorkloads } from './use-cases/select-workloads.ts'
export {
  listWorkloadsUsingSecret,
  namesSecrets,
  resolveHeaderSecrets,
  resolveServerSecrets,
} from './use-cases/workload-secrets.ts'
export { asShared, whileUncontested } from './use-cases/while-uncontested.ts'
export { watchWorkloads, type WatchWorkloadsDeps, type WorkloadChange } from './use-cases/watch-workloads.ts'
export { withTimeLimit } from './with-time-limit.ts'
