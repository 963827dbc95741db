import { isThvError, messageOf, type ErrorCode } from '@thv/core'

/** Why a workload ended in `error`, as the status keeps it. */
export interface Failure {
  context: string
  code: ErrorCode
  stderr: readonly string[]
}

/** Codes of the proxy that mean something else in the control plane's catalogue. */
const proxyCodes: Record<string, ErrorCode> = {
  'port-in-use': 'port-in-use',
  'port-not-permitted': 'port-not-permitted',
  'host-invalid': 'host-invalid',
  'limit-invalid': 'invalid-run-config',
  'attach-timeout': 'server-start-timeout',
  'handshake-failed': 'server-exited',
  'server-gone': 'server-exited',
}

/** Reads a failure out of whatever was thrown. */
export function failureOf(error: unknown): Failure {
  const context = messageOf(error)
  if (isThvError(error)) return { context, code: error.code, stderr: error.detail }
  const code = error instanceof Error && 'code' in error ? proxyCodes[String(error.code)] : undefined
  return { context, code: code ?? 'supervisor-failed', stderr: [] }
}
