import { ProxyError } from '../errors.ts'
import { isRecord, param, parseText, type Message } from '../mcp/message.ts'
import { applySplices, findValue, scanMembers } from '../mcp/raw-message.ts'
import { prepareRequest, replaceParam, type PreparedRequest } from '../mcp/readdress.ts'
import { proxyIdentity } from '../mcp/identity.ts'
import { isServedRevision, newestRevision, type Era } from '../mcp/revision.ts'
import type { BackendInfo } from '../proxy-config.ts'
import { Call } from './call.ts'
import { toProxyError } from './call-errors.ts'
import type { ServerPeer } from './server-peer.ts'

/** What a server answered to `initialize`: for us, and its own text for its clients. */
export interface Handshake {
  /** How the server is to be spoken to. */
  readonly era: Era
  readonly info: BackendInfo
  /** The result object as the server wrote it, without the capabilities that cannot be shared. */
  readonly resultText: string
}

/**
 * Introduces the proxy to a server: `initialize`, then `notifications/initialized`.
 * No capabilities are declared, because one connection speaks for many clients.
 * How long it may take is the caller's to say, by closing the peer.
 * @throws ProxyError `handshake-failed`, `server-gone`
 */
export async function shakeHands(peer: ServerPeer): Promise<Handshake> {
  const params = { protocolVersion: newestRevision, capabilities: {}, clientInfo: proxyIdentity }
  const response = await ask(peer, 'initialize', JSON.stringify(params))
  const handshake = readHandshake(response)
  peer.notify('{"jsonrpc":"2.0","method":"notifications/initialized"}')
  return handshake
}

/** Sends a request and waits for the response, with its error if it has one. */
function ask(peer: ServerPeer, method: string, paramsText: string): Promise<string> {
  return new Promise((resolve, reject) => {
    peer.send(
      new Call(buildOwnRequest(method, paramsText), {
        progress: () => undefined,
        related: () => false,
        response: resolve,
        refused: (error) => reject(toProxyError(error)),
        cancelled: () => undefined,
      }),
      Infinity,
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
export function buildOwnRequest(method: string, paramsText: string): PreparedRequest {
  const parsed = parseText(`{"jsonrpc":"2.0","id":0,"method":"${method}","params":${paramsText}}`)
  const request = parsed.kind === 'message' ? prepareRequest(parsed.message) : undefined
  if (request === undefined) throw new TypeError(`not a request: ${method}`)
  return request
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
    era: 'legacy',
    info: { serverName: textOf(about['name']), serverVersion: textOf(about['version']), protocolVersion },
    resultText: withoutTasks(response.slice(span.start, span.end)),
  }
}

/** Tasks belong to a connection, and this one is shared: every client would see the tasks of all. */
function withoutTasks(resultText: string): string {
  const span = findValue(resultText, 0, ['capabilities'])
  if (span === undefined || findValue(resultText, 0, ['capabilities', 'tasks']) === undefined) return resultText
  const kept: string[] = []
  scanMembers(resultText, span.start, (key, start, end) => {
    if (key !== 'tasks') kept.push(`${JSON.stringify(key)}:${resultText.slice(start, end)}`)
  })
  return applySplices(resultText, [{ ...span, text: `{${kept.join(',')}}` }])
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
