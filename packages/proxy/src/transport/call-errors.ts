import { ProxyError, type WireError, type WireErrorName } from '../errors.ts'
import type { Refusal } from '../proxy-config.ts'

/** Turns a refusal of a call of our own into an error to throw. */
export function toProxyError(error: WireError): ProxyError {
  if (error.name === 'timeout') return new ProxyError('attach-timeout', error.message)
  if (error.name === 'server-stopped') return new ProxyError('server-gone', 'the server stopped before it answered')
  return new ProxyError('handshake-failed', error.message)
}

/** The refusal of a call that a server took with it. */
export function stoppedError(name: string): WireError {
  return {
    name: 'server-stopped',
    message: `The server "${name}" stopped while the call was running; the call may have run`,
    data: { outcome: 'unknown', backend: name },
  }
}

/** The refusal of a call that did not go out. */
export function busyError(why: string): WireError {
  return { name: 'server-busy', message: `The call was not sent: ${why}`, data: { outcome: 'not-sent' } }
}

/** The refusal of a call to the server of this name while none may pass, or that the server did not let in. */
export function refusedError(name: string, refusal: Refusal, error: WireErrorName = 'server-absent'): WireError {
  const { message, reason, todo, retryAfterS } = refusal
  return {
    name: error,
    message: `The server "${name}" cannot be used: ${message}; the call did not run`,
    data: {
      outcome: 'not-sent',
      backend: name,
      ...(reason === undefined ? {} : { reason }),
      ...(todo === undefined ? {} : { todo }),
    },
    ...(retryAfterS === undefined ? {} : { retryAfterS }),
  }
}

/** The refusal of a call for which the memory budget has no room. */
export const memoryError = busyError('too much is waiting to be sent or read')

/** The refusal of a call whose answer is above the limit. */
export function tooLargeError(limitBytes: number): WireError {
  return { name: 'answer-too-large', message: `The server's answer is longer than ${limitBytes} bytes` }
}

/** The refusal of a request that cannot be served as it is. */
export function invalidError(reason: string): WireError {
  return { name: 'invalid-request', message: `Invalid Request: ${reason}` }
}
