import { ProxyError } from '../errors.ts'
import { isRecord, param, parseText, replaceParam, type Message } from '../mcp/message.ts'
import { findValue } from '../mcp/raw-message.ts'
import { proxyIdentity } from '../mcp/identity.ts'
import { isServedRevision, newestRevision } from '../mcp/revision.ts'
import type { BackendInfo } from '../proxy-config.ts'
import { Call } from './call.ts'
import { toProxyError, type ServerConnection } from './server-connection.ts'

/** What a server answered to `initialize`: for us, and its own text for its clients. */
export interface Handshake {
  readonly info: BackendInfo
  /** The result object as the server wrote it. */
  readonly resultText: string
}

/**
 * Introduces the proxy to a server: `initialize`, then `notifications/initialized`.
 * No capabilities are declared, because one connection speaks for many clients.
 * @throws ProxyError `handshake-failed`, `attach-timeout`, `server-gone`
 */
export async function shakeHands(connection: ServerConnection): Promise<Handshake> {
  const params = { protocolVersion: newestRevision, capabilities: {}, clientInfo: proxyIdentity }
  const response = await ask(connection, 'initialize', JSON.stringify(params))
  const handshake = readHandshake(response)
  connection.notify('{"jsonrpc":"2.0","method":"notifications/initialized"}')
  return handshake
}

/** Sends a request of the proxy's own and waits for the response, with its error if it has one. */
export function ask(connection: Pick<ServerConnection, 'send'>, method: string, paramsText: string): Promise<string> {
  return new Promise((resolve, reject) => {
    connection.send(
      new Call(buildOwnRequest(method, paramsText), {
        progress: () => undefined,
        related: () => false,
        response: resolve,
        refused: (error) => reject(toProxyError(error)),
        cancelled: () => undefined,
      }),
    )
  })
}

/** A version that the proxy does not know cannot be spoken through it, so the newest known one is asked for. */
export function withServedRevision(initialize: Message): Message {
  const asked = param(initialize, 'protocolVersion')
  if (typeof asked === 'string' && isServedRevision(asked)) return initialize
  const text = replaceParam(initialize, 'protocolVersion', JSON.stringify(newestRevision))
  const parsed = text === undefined ? undefined : parseText(text)
  return parsed?.kind === 'message' ? parsed.message : initialize
}

/** A request that no client sent. */
export function buildOwnRequest(method: string, paramsText: string): Message {
  const parsed = parseText(`{"jsonrpc":"2.0","id":0,"method":"${method}","params":${paramsText}}`)
  if (parsed.kind !== 'message') throw new TypeError(`not a request: ${method}`)
  return parsed.message
}

/** Reads the answer to `initialize`. Throws ProxyError `handshake-failed` when it is not one. */
export function readHandshake(response: string): Handshake {
  const parsed = parseText(response)
  const result = parsed.kind === 'message' ? parsed.message.value['result'] : undefined
  const span = findValue(response, 0, ['result'])
  if (!isRecord(result) || span === undefined) {
    const said = response.slice(0, 500)
    throw new ProxyError('handshake-failed', `the server refused to initialize: ${said}`)
  }
  const { protocolVersion, serverInfo } = result
  if (typeof protocolVersion !== 'string') {
    throw new ProxyError('handshake-failed', 'the server answered initialize without a protocol version')
  }
  const about = isRecord(serverInfo) ? serverInfo : {}
  return {
    info: { serverName: textOf(about['name']), serverVersion: textOf(about['version']), protocolVersion },
    resultText: response.slice(span.start, span.end),
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
