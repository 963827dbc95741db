import type { Socket } from 'node:net'
import type { buildConnector } from 'undici'
import type { RemoteConnection } from '../proxy-config.ts'

/** No way to a server could be opened, which says nothing about the server. */
export class DialFailed extends Error {}

/** A connector whose TLS runs over connections that `dial` opens. */
export function createDialledConnector(
  dial: NonNullable<RemoteConnection['dial']>,
  connect: buildConnector.connector,
): buildConnector.connector {
  return (options, connected) => {
    const target = { host: options.hostname, port: options.port === '' ? 443 : Number(options.port) }
    const secure = (httpSocket: Socket): void => {
      try {
        connect({ ...options, httpSocket }, connected)
      } catch (error) {
        // Certificates that cannot be read, for example: nobody else would hear of it.
        httpSocket.destroy()
        connected(asError(error), null)
      }
    }
    dial(target).then(secure, (error: unknown) => {
      connected(new DialFailed(asError(error).message, { cause: error }), null)
    })
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
