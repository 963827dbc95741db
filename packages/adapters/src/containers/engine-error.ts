import { systemCodeOf, ThvError } from '@thv/core'

/** The engine understood a request and answered that it does not do it. */
export class EngineRefusal extends ThvError {
  /** HTTP status. */
  readonly status: number
  /** What the engine said. */
  readonly reason: string

  constructor(status: number, what: string, reason: string) {
    super('engine-failed', `the container engine cannot ${what}: ${reason}`, {
      hint: 'see the log of the engine for more',
    })
    this.status = status
    this.reason = reason
  }
}

/** Whether the engine answered with this HTTP status. */
export function isRefusal(error: unknown, status: number): error is EngineRefusal {
  return error instanceof EngineRefusal && error.status === status
}

/** The error for an engine that did not answer, or not to the end. */
export function engineUnreachable(socketPath: string, cause: unknown): ThvError {
  const code = systemCodeOf(cause)
  const why = code === undefined ? undefined : reasons[code]
  const hint = code === 'EACCES' ? "add your user to the group of the socket, usually 'docker'" : 'start the engine'
  return new ThvError('engine-unreachable', `the container engine at ${socketPath} ${why ?? 'does not answer'}`, {
    hint,
    cause,
  })
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'is not there',
  ECONNREFUSED: 'does not run',
  EACCES: 'may not be used by this user',
  ECONNRESET: 'broke the connection off',
  EPIPE: 'broke the connection off',
}
