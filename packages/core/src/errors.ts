/**
 * What went wrong, in the seven ways a caller can react to.
 * The API maps a kind to an HTTP status, the CLI to an exit code.
 */
export type ErrorKind = 'invalid' | 'not-found' | 'conflict' | 'denied' | 'unavailable' | 'timeout' | 'internal'

/**
 * Every stable error code with its kind. Codes are part of the public surface:
 * scripts match on them, so a code is never renamed or given another meaning.
 */
export const errorKinds = {
  'invalid-name': 'invalid',
  'invalid-argument': 'invalid',
  'invalid-flag-combination': 'invalid',
  'invalid-run-config': 'invalid',
  'run-config-unreadable': 'invalid',
  'run-config-newer': 'invalid',
  'run-config-unsupported': 'invalid',
  'config-invalid': 'invalid',
  'permission-profile-invalid': 'invalid',
  'mount-invalid': 'invalid',
  'isolation-contradiction': 'invalid',
  'isolation-unavailable': 'unavailable',
  'package-scheme-invalid': 'invalid',
  'package-name-invalid': 'invalid',
  'package-not-found': 'not-found',
  'package-version-not-found': 'not-found',
  'package-has-no-command': 'invalid',
  'package-install-failed': 'unavailable',
  'package-tool-missing': 'unavailable',
  'package-index-unreachable': 'unavailable',
  'command-not-found': 'not-found',
  'workload-exists': 'conflict',
  'workload-not-found': 'not-found',
  'workload-busy': 'conflict',
  'group-not-found': 'not-found',
  'group-exists': 'conflict',
  'port-in-use': 'conflict',
  'port-not-permitted': 'denied',
  'host-invalid': 'invalid',
  'state-denied': 'denied',
  'state-full': 'unavailable',
  'state-locked': 'timeout',
  'state-corrupt': 'internal',
  'state-failed': 'internal',
  'server-exited': 'unavailable',
  'server-start-timeout': 'timeout',
  'server-crash-loop': 'unavailable',
  'supervisor-failed': 'internal',
  'stop-timeout': 'timeout',
  'runtime-unsupported': 'unavailable',
  'engine-unreachable': 'unavailable',
  'engine-failed': 'unavailable',
  'image-not-found': 'not-found',
  'image-denied': 'denied',
  'image-build-failed': 'unavailable',
  'logs-not-found': 'not-found',
  'operation-not-found': 'not-found',
  'upgrade-unavailable': 'conflict',
  'request-invalid': 'invalid',
  'request-too-large': 'invalid',
  'request-refused': 'denied',
  'request-timeout': 'timeout',
  'not-implemented': 'unavailable',
  'registry-not-found': 'not-found',
  'registry-entry-not-found': 'not-found',
  'secrets-not-set-up': 'not-found',
  'secret-not-found': 'not-found',
  'secret-exists': 'conflict',
  'secrets-read-only': 'invalid',
  'secrets-locked-away': 'unavailable',
  'secrets-denied': 'denied',
  'secrets-corrupt': 'internal',
  'login-failed': 'unavailable',
  'login-timeout': 'timeout',
  'skill-not-found': 'not-found',
  'server-busy': 'unavailable',
  'address-in-use': 'conflict',
  'mcp-unreachable': 'unavailable',
  'mcp-error': 'unavailable',
  'mcp-tool-error': 'unavailable',
  'api-server-running': 'conflict',
  'api-server-start-failed': 'unavailable',
  'api-server-unverified': 'denied',
  'server-record-refused': 'denied',
  'api-server-unreachable': 'unavailable',
  'api-server-timeout': 'timeout',
  'api-answer-invalid': 'unavailable',
  'api-error': 'unavailable',
  'cli-conflict': 'conflict',
  cancelled: 'timeout',
  internal: 'internal',
} as const satisfies Record<string, ErrorKind>

/** One of the stable codes of {@link errorKinds}. */
export type ErrorCode = keyof typeof errorKinds

/**
 * The one error class of the control plane.
 *
 * `message` says what happened and why in one sentence; `hint` says what to do
 * in one sentence; `detail` carries captured output (the last stderr lines of a
 * server), kept apart so that the message stays one line. Match on `code`, not
 * on `instanceof`: two copies of this module may be loaded.
 */
export class ThvError extends Error {
  override readonly name = 'ThvError'
  readonly code: ErrorCode
  readonly hint: string | undefined
  readonly detail: readonly string[]

  constructor(
    code: ErrorCode,
    message: string,
    more: { hint?: string; detail?: readonly string[]; cause?: unknown } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause })
    this.code = code
    this.hint = more.hint
    this.detail = more.detail ?? []
  }

  /** The reaction class of this error. */
  get kind(): ErrorKind {
    return errorKinds[this.code]
  }
}

/** Whether a value is a {@link ThvError}, also one of another copy of this module. */
export function isThvError(value: unknown): value is ThvError {
  return value instanceof Error && 'code' in value && isErrorCode(value.code) && 'hint' in value
}

/** Whether a value read from outside is a code of the catalogue. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(errorKinds, value)
}

/** The message of whatever was thrown, for a sentence of our own. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}

/** The Node error code (`ENOENT`, …) of whatever was thrown, if it has one. */
export function systemCodeOf(thrown: unknown): string | undefined {
  if (thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string') return thrown.code
  return undefined
}
