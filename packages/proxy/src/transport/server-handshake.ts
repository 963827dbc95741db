import { ProxyError } from '../errors.ts'
import { envelopeMembers, stripMeta } from '../mcp/envelope.ts'
import { buildInitializeResult, readSupportedVersions } from '../mcp/to-legacy.ts'
import { readServerInfo } from '../mcp/to-modern.ts'
import { isRecord, param, parseText, type Message } from '../mcp/message.ts'
import { applySplices, findValue, scanMembers } from '../mcp/raw-message.ts'
import { prepareRequest, replaceParam, type PreparedRequest } from '../mcp/readdress.ts'
import { proxyIdentity } from '../mcp/identity.ts'
import { isServedRevision, modernRevision, newestRevision, type Era } from '../mcp/revision.ts'
import type { BackendInfo } from '../proxy-config.ts'
import { Call, type ServerTraits } from './call.ts'
import { toProxyError } from './call-errors.ts'
import type { ServerPeer } from './server-peer.ts'

/** What a server said about itself: for us, and its own text for its clients. */
export interface Handshake extends ServerTraits {
  readonly info: BackendInfo
  /** The result object as the server wrote it, without the capabilities that cannot be shared. */
  readonly resultText: string
  readonly capabilities: Readonly<Record<string, unknown>>
}

/**
 * Introduces the proxy to a server, in the era given or in the one that it finds: `initialize`
 * comes first, because every server that answers it is Legacy and some end on anything else;
 * one that refuses is asked `server/discover`.
 * No capabilities are declared, because one connection speaks for many clients.
 * How long it may take is the caller's to say, by closing the peer.
 * @throws ProxyError `handshake-failed`, `server-gone`
 */
export async function shakeHands(peer: ServerPeer, era: Era | 'auto' = 'auto'): Promise<Handshake> {
  if (era === 'modern') return await discover(peer)
  const params = { protocolVersion: newestRevision, capabilities: {}, clientInfo: proxyIdentity }
  const response = await ask(peer, buildOwnRequest('initialize', JSON.stringify(params)))
  if (era === 'auto' && isRefusal(response)) {
    // What the server said to `initialize` explains more than that it knows nothing else either.
    return await discover(peer).catch(() => readHandshake(response))
  }
  const handshake = readHandshake(response)
  peer.notify('{"jsonrpc":"2.0","method":"notifications/initialized"}')
  return handshake
}

async function discover(peer: ServerPeer): Promise<Handshake> {
  return readDiscovery(await ask(peer, buildDiscover()))
}

/** `server/discover` as the proxy asks it for itself. */
export function buildDiscover(): PreparedRequest {
  const meta = stripMeta(
    '{}',
    envelopeMembers({ version: modernRevision, capabilitiesText: '{}', clientInfo: proxyIdentity }),
  )
  return buildOwnRequest('server/discover', `{"_meta":${meta}}`)
}

function isRefusal(response: string): boolean {
  const parsed = parseText(response)
  return parsed.kind === 'message' && 'error' in parsed.message.value
}

/** Sends a request and waits for the response, with its error if it has one. */
function ask(peer: ServerPeer, request: PreparedRequest): Promise<string> {
  return new Promise((resolve, reject) => {
    peer.send(
      new Call(request, {
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
  const span = findValue(response, response.indexOf('{'), ['result'])
  if (!isRecord(result) || span === undefined) {
    const said = response.slice(0, 500)
    throw new ProxyError('handshake-failed', `the server refused to initialize: ${said}`)
  }
  const { protocolVersion } = result
  if (typeof protocolVersion !== 'string') {
    throw new ProxyError('handshake-failed', 'the server answered initialize without a protocol version')
  }
  return buildHandshake('legacy', protocolVersion, withoutTasks(response.slice(span.start, span.end)))
}

/** Reads the answer to `server/discover`. Throws ProxyError `handshake-failed` when it is not one of a Modern server. */
export function readDiscovery(response: string): Handshake {
  const parsed = parseText(response)
  const result = parsed.kind === 'message' ? parsed.message.value['result'] : undefined
  const span = findValue(response, response.indexOf('{'), ['result'])
  const said = span === undefined ? '' : response.slice(span.start, span.end)
  if (!isRecord(result) || !readSupportedVersions(said).includes(modernRevision)) {
    throw new ProxyError('handshake-failed', `the server does not speak ${modernRevision}: ${response.slice(0, 500)}`)
  }
  return buildHandshake('modern', modernRevision, buildInitializeResult(said, newestRevision))
}

function buildHandshake(era: Era, protocolVersion: string, resultText: string): Handshake {
  const said: Record<string, unknown> = JSON.parse(resultText)
  const { serverInfo, capabilities } = said
  const about = isRecord(serverInfo) ? serverInfo : {}
  return {
    era,
    info: { serverName: textOf(about['name']), serverVersion: textOf(about['version']), protocolVersion },
    resultText,
    serverInfoText: readServerInfo(resultText),
    capabilities: isRecord(capabilities) ? capabilities : {},
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
