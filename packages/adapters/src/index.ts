export type { InstallerOptions } from './packages/ecosystem.ts'
export { findNpm } from './packages/find-npm.ts'
export { createPackageInstaller } from './packages/installers.ts'
export { createPackageCache } from './packages/package-cache.ts'
export { buildServerEnvironment, type ServerEnvironmentInput } from './processes/base-environment.ts'
export { createDetachedSupervisorLauncher, type DetachedSupervisorOptions } from './processes/detached-supervisor.ts'
export { findExecutable, type SearchScope } from './processes/executable.ts'
export { createProcessRuntime, type ProcessRuntimeOptions } from './processes/process-runtime.ts'
export { createProcessTable } from './processes/process-table.ts'
export { reapMain } from './processes/reap-main.ts'
export { createSystemClock } from './processes/system-clock.ts'
export { createPortAllocator } from './processes/tcp-ports.ts'
export { writeAtomically } from './state/atomic-write.ts'
export {
  checkDesktopAlignment,
  desktopConflictError,
  type DesktopAlignmentInputs,
  type DesktopConflict,
} from './state/desktop-alignment.ts'
export { resolveDirectories, type Directories, type DirectoryInputs } from './state/directories.ts'
export { createFileGroupStore } from './state/file-group-store.ts'
export { createFileRunConfigStore } from './state/file-run-config-store.ts'
export { createFileStatusStore } from './state/file-status-store.ts'
export { createLogFiles } from './state/log-files.ts'
export { createRotatingLog, type RotatingLog, type RotatingLogOptions } from './state/rotating-log.ts'
export { normaliseRunConfig } from './state/run-config-normaliser.ts'
export { createSessionJournals, type SessionJournals } from './state/session-files.ts'
export { rotateByCopy, type OwnedLog } from './state/truncate-log.ts'
