import type { IncomingHttpHeaders } from 'node:http'
import type { Dispatcher } from 'undici'
import { ProxyError } from '../errors.ts'
import type { ProxyLimits } from '../limits.ts'
import { isRecord, parseText } from '../mcp/message.ts'
import { proxyIdentity } from '../mcp/identity.ts'
import { metaKeys } from '../mcp/meta-keys.ts'
import { modernRevision, newestRevision } from '../mcp/revision.ts'
import type { BackendInfo } from '../proxy-config.ts'
import { askFollowing, type OwnQuestion } from './ask-following.ts'
import { judgeDiscover, readDiscover, type DiscoverVerdict } from './discover-verdict.ts'
import type { HttpBackend } from './http-backend.ts'
import { inTime } from './in-time.ts'
import { isEventStream, SseParser, type SseEvent } from './sse-codec.ts'

/** Whom to ask, and how much of the answer is looked at. */
export interface AskOptions {
  readonly backend: HttpBackend
  readonly limits: ProxyLimits
  readonly signal: AbortSignal
}

/** An answer that is of no use, with what it said beside its body. */
class UselessAnswer extends Error {
  readonly status: number
  readonly headers: IncomingHttpHeaders

  constructor(message: string, { statusCode, headers }: AnswerHead) {
    super(message)
    this.status = statusCode
    this.headers = headers
  }
}

type AnswerHead = Pick<Dispatcher.ResponseData, 'statusCode' | 'headers'>

/** The server answered `initialize`, and not with a handshake. */
export class HandshakeRefused extends UselessAnswer {
  /** Whether the answer was a JSON-RPC error, as only an MCP server gives it. */
  readonly isJsonRpc: boolean

  constructor(message: string, head: AnswerHead, text: string) {
    super(message, head)
    const parsed = parseText(text)
    this.isJsonRpc = parsed.kind === 'message' && isRecord(parsed.message.value['error'])
  }
}

/** The server is not well (5xx). */
export class ServerTrouble extends UselessAnswer {}

/** The server wants to know who asks (401, 403). */
export class DemandsLogin extends ProxyError {
  readonly status: number
  readonly headers: IncomingHttpHeaders

  constructor({ statusCode, headers }: AnswerHead) {
    super('handshake-failed', `the server demands authentication (HTTP ${statusCode})`)
    this.status = statusCode
    this.headers = headers
  }
}

/**
 * Asks a server to `initialize`, and ends the session that it began.
 * @throws ProxyError `handshake-failed` when it demands credentials; {@link HandshakeRefused}; Error when it cannot be reached or is not well
 */
export async function askInitialize(options: AskOptions): Promise<BackendInfo> {
  const { backend, limits, signal } = options
  const params = { protocolVersion: newestRevision, capabilities: {}, clientInfo: proxyIdentity }
  const question: OwnQuestion = {
    path: backend.endpoint,
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }),
    signal,
  }
  const response = await askFollowing(backend, question, limits.redirects)
  const data = await readAnswer(response, limits.probeBytes)
  assertServes(response, data)
  const info = readInfo(response, data)
  await endSession(options, response)
  return info
}

/**
 * Asks a server whether it is Modern, a second time when it did not like the question.
 * `info` is what a Modern server says about itself.
 * @throws Error when the server cannot be reached or does not answer as HTTP
 */
export async function askDiscover(options: AskOptions): Promise<{ verdict: DiscoverVerdict; info: BackendInfo }> {
  const first = await discover(options, {})
  // It may have missed a capability; if it wants more than there are, it is Modern all the same.
  const { verdict, info } = first.verdict === 'suspect' ? await discover(options, everyCapability) : first
  return { verdict: verdict === 'suspect' ? 'modern' : verdict, info }
}

/**
 * Ends the session that an answer began, if it did. In bounded time, and never fails: a server may refuse to end sessions
 * (405); it then forgets this one on its own.
 */
export async function endSession({ backend, limits, signal }: AskOptions, { headers }: AnswerHead): Promise<void> {
  const id = headers['mcp-session-id']
  if (typeof id !== 'string') return
  const end = async (inner: AbortSignal): Promise<void> => {
    const question: OwnQuestion = {
      path: backend.endpoint,
      method: 'DELETE',
      headers: { 'mcp-session-id': id },
      signal: inner,
    }
    const { body } = await askFollowing(backend, question, limits.redirects)
    await body.dump({ limit: limits.probeBytes, signal: inner })
  }
  await inTime(end, limits.sessionEndMs, signal).catch(() => undefined)
}

/** The JSON-RPC answer in a response, which is its body or an event of its stream. */
export async function readAnswer(response: Dispatcher.ResponseData, limitBytes: number): Promise<string> {
  const type = response.headers['content-type']
  const isStream = typeof type === 'string' && isEventStream(type)
  return await firstData(response.body, isStream ? isAnswer : undefined, limitBytes)
}

/** The data of the first wanted event of a stream; the whole body when no event is wanted. Throws above the limit. */
export async function firstData(
  body: Dispatcher.ResponseData['body'],
  wanted: ((event: SseEvent) => boolean) | undefined,
  limitBytes: number,
): Promise<string> {
  const parser = new SseParser(limitBytes)
  const decoder = new TextDecoder()
  let whole = ''
  for await (const chunk of body) {
    if (!(chunk instanceof Uint8Array)) continue
    const piece = decoder.decode(chunk, { stream: true })
    if (wanted === undefined) whole += piece
    else {
      const event = parser.push(piece).find(wanted)
      // Leaving the loop destroys the body, and with it the connection.
      if (event !== undefined) return event.data
    }
    if (whole.length > limitBytes) throw new RangeError('the answer of the server is too long')
  }
  if (wanted !== undefined) throw new Error('the event stream ended before its first event')
  return whole
}

async function discover(
  options: AskOptions,
  capabilities: object,
): Promise<{ verdict: DiscoverVerdict; info: BackendInfo }> {
  const { backend, limits, signal } = options
  const _meta = {
    [metaKeys.version]: modernRevision,
    [metaKeys.clientInfo]: proxyIdentity,
    [metaKeys.capabilities]: capabilities,
  }
  const question: OwnQuestion = {
    path: backend.endpoint,
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': modernRevision,
      'mcp-method': 'server/discover',
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'server/discover', params: { _meta } }),
    signal,
  }
  const response = await askFollowing(backend, question, limits.redirects)
  const text = await readAnswer(response, limits.probeBytes)
  await endSession(options, response)
  return { verdict: judgeDiscover(response.statusCode, text), info: readDiscover(text) }
}

/** 404 and 5xx may be a server that still sets itself up; a demand for credentials does not go away. */
function assertServes(head: AnswerHead, text: string): void {
  const { statusCode: status } = head
  if (status === 200) return
  if (status === 401 || status === 403) throw new DemandsLogin(head)
  const message = `the server answered HTTP ${status} to initialize`
  throw status < 500 ? new HandshakeRefused(message, head, text) : new ServerTrouble(message, head)
}

/** What listens there may be anything; only an answer to `initialize` makes it an MCP server. */
function readInfo(head: AnswerHead, text: string): BackendInfo {
  const parsed = parseText(text)
  const result = parsed.kind === 'message' ? parsed.message.value['result'] : undefined
  if (!isRecord(result) || typeof result['protocolVersion'] !== 'string') {
    throw new HandshakeRefused('what listens there does not answer initialize as an MCP server', head, text)
  }
  const about = isRecord(result['serverInfo']) ? result['serverInfo'] : {}
  return {
    serverName: textOf(about['name']),
    serverVersion: textOf(about['version']),
    protocolVersion: result['protocolVersion'],
  }
}

/** A server may send notifications before the answer, and an empty event to begin with. */
function isAnswer(event: SseEvent): boolean {
  const parsed = parseText(event.data)
  return parsed.kind === 'message' && parsed.message.kind === 'response'
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

const everyCapability = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} }
