import type { WireError } from '../errors.ts'

/** Why a lane has no server. */
export class LaneError extends Error {
  override readonly name = 'LaneError'
  readonly wire: WireError
  /** What the server itself answered to `initialize`, when it refused. */
  readonly responseText: string | undefined

  constructor(wire: WireError, more: { responseText?: string; cause?: unknown } = {}) {
    super(wire.message, { cause: more.cause })
    this.wire = wire
    this.responseText = more.responseText
  }
}

/** Puts whatever was thrown while a lane was opened into the words of a refusal. */
export function toLaneError(error: unknown, name: string): LaneError {
  if (error instanceof LaneError) return error
  const why = error instanceof Error ? error.message : String(error)
  const isTimeout = error instanceof DOMException && error.name === 'TimeoutError'
  return new LaneError(
    {
      name: isTimeout ? 'timeout' : 'server-absent',
      message: `A server "${name}" of the client's own could not be started: ${isTimeout ? 'it took too long' : why}; the call was not sent`,
      data: { outcome: 'not-sent', backend: name },
    },
    { cause: error },
  )
}
