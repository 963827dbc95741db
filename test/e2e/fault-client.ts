import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'

/** A client session that is one header: what is needed to see whether a workload really serves. */
export interface FaultSession {
  url: string
  id: string
}

/** What a call ended in: the text, or why there is none. */
export type CallResult = { text: string } | { refused: string }

const version = '2025-06-18'

/** Initialises a session; throws when nobody answers with a result. */
export async function openSession(url: string, timeoutMs = 4_000): Promise<FaultSession> {
  const params = { protocolVersion: version, capabilities: {}, clientInfo: { name: 'fault', version: '1' } }
  const answer = await send(url, { method: 'POST', body: { id: 1, method: 'initialize', params }, timeoutMs })
  if (answer.session === undefined || messageOf(answer.text).result === undefined) {
    throw new Error(`initialize was refused: ${answer.status} ${answer.text}`)
  }
  const session = { url, id: answer.session }
  await send(url, { method: 'POST', session, body: { method: 'notifications/initialized' }, timeoutMs })
  return session
}

/** Calls the tool `echo`. */
export async function echo(session: FaultSession, message: string, timeoutMs = 4_000): Promise<CallResult> {
  return await callTool(session, { name: 'echo', arguments: { message } }, timeoutMs)
}

/** Calls a tool; an answer that is an error, and no answer at all, are results too. */
export async function callTool(session: FaultSession, params: object, timeoutMs = 4_000): Promise<CallResult> {
  try {
    const body = { id: 2, method: 'tools/call', params }
    const answer = await send(session.url, { method: 'POST', session, body, timeoutMs })
    const said = messageOf(answer.text).result?.content?.[0]?.text
    return said === undefined ? { refused: `${answer.status} ${answer.text}` } : { text: said }
  } catch (error) {
    return { refused: String(error) }
  }
}

/** Why a workload does not serve a new client: undefined when it does. */
export async function whyNotServing(url: string): Promise<string | undefined> {
  try {
    const session = await openSession(url)
    const word = Math.random().toString(36)
    const answer = await echo(session, word)
    await send(url, { method: 'DELETE', session, timeoutMs: 4_000 })
    return 'text' in answer && answer.text === word ? undefined : `echo answered ${JSON.stringify(answer)}`
  } catch (error) {
    return String(error)
  }
}

interface Rpc {
  result?: { content?: { text: string }[] }
  error?: { code: number; message: string }
}

interface Answer {
  status: number
  session: string | undefined
  text: string
}

/** One request on a connection of its own: a pool would hand out connections to supervisors that were killed. */
async function send(
  url: string,
  request: { method: 'POST' | 'DELETE'; session?: FaultSession; body?: object; timeoutMs: number },
): Promise<Answer> {
  const { method, session, body } = request
  const signal = AbortSignal.timeout(request.timeoutMs)
  const sent = httpRequest(url, { method, headers: headersOf(session), agent: false, signal })
  sent.end(body === undefined ? undefined : JSON.stringify({ jsonrpc: '2.0', ...body }))
  const [received] = (await once(sent, 'response')) as [IncomingMessage]
  // What goes wrong from here on is told by the body.
  sent.on('error', () => {})
  let text = ''
  for await (const chunk of received) text += String(chunk)
  const id = received.headers['mcp-session-id']
  return { status: received.statusCode ?? 0, session: typeof id === 'string' ? id : undefined, text }
}

function headersOf(session?: FaultSession): Record<string, string> {
  return {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    ...(session === undefined ? {} : { 'mcp-session-id': session.id, 'mcp-protocol-version': version }),
  }
}

/** The answer in a JSON body, or in the last event of a stream. */
function messageOf(text: string): Rpc {
  const data = text
    .split('\n')
    .filter((line) => line.startsWith('data:'))
    .at(-1)
  try {
    return JSON.parse(data === undefined ? text : data.slice(5)) as Rpc
  } catch {
    return {}
  }
}
