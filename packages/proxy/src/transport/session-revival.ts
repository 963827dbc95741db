import type { ProxyLimits } from '../limits.ts'
import { isRecord, parseText } from '../mcp/message.ts'
import type { ProxyLog } from '../proxy-config.ts'
import { askFollowing, type OwnQuestion } from './ask-following.ts'
import type { HttpBackend } from './http-backend.ts'
import { readAnswer } from './http-ask.ts'
import type { HttpSession, HttpSessions, RevivalOutcome } from './http-sessions.ts'

/** What a revival needs beside the session. */
export interface RevivalContext {
  readonly sessions: HttpSessions
  readonly backend: HttpBackend
  /** Headers of the request that needs the session: they carry the client's credentials of today. */
  readonly headers: readonly string[]
  readonly limits: ProxyLimits
  readonly log: ProxyLog
}

/**
 * Makes a session known to a server that has never heard of it, with the
 * `initialize` the client once sent. All who need the same session share one attempt.
 * `gone` forgets the session: the server refuses it, or speaks another revision now.
 */
export function reviveSession(session: HttpSession, context: RevivalContext): Promise<RevivalOutcome> {
  session.revival ??= revive(session, context).then((outcome) => {
    session.revival = undefined
    if (outcome === 'gone') context.sessions.delete(session)
    return outcome
  })
  return session.revival
}

async function revive(session: HttpSession, context: RevivalContext): Promise<RevivalOutcome> {
  const { backend, log, limits } = context
  if (session.initBody === undefined) return 'gone'
  const signal = AbortSignal.timeout(limits.revivalTimeoutMs)
  try {
    const headers = credentialsOf(context.headers)
    headers.push('content-type', 'application/json', 'accept', 'application/json, text/event-stream')
    const question: OwnQuestion = { path: session.backendPath, method: 'POST', headers, body: session.initBody, signal }
    const answer = await askFollowing(backend, question, limits.redirects)
    const text = await readAnswer(answer, limits.probeBytes)
    if (answer.statusCode >= 500 || answer.statusCode === 408 || answer.statusCode === 429) return 'unreachable'
    // The question named no session, so this is about the path: there is nothing behind it for now.
    if (answer.statusCode === 404) return 'absent'
    const backendId = answer.headers['mcp-session-id']
    const version = versionIn(text)
    const isSame = session.protocolVersion === '' || session.protocolVersion === version
    if (answer.statusCode !== 200 || typeof backendId !== 'string' || version === undefined || !isSame) {
      log('warn', 'a session ended because the server does not take it up again', {
        status: answer.statusCode,
        version,
      })
      return 'gone'
    }
    headers.push('mcp-session-id', backendId, 'mcp-protocol-version', version)
    const body = '{"jsonrpc":"2.0","method":"notifications/initialized"}'
    const told = await backend.pool.request({ path: session.backendPath, method: 'POST', headers, body, signal })
    await told.body.dump()
    session.backendId = backendId
    session.backend = backend
    session.wasRevived = true
    if (session.protocolVersion === '') context.sessions.agree(session, version)
    return 'revived'
  } catch (error) {
    log('debug', 'a session could not be taken up again yet', { error: String(error) })
    return 'unreachable'
  }
}

/** The version an answer to `initialize` agrees to. */
export function versionIn(text: string): string | undefined {
  const parsed = parseText(text)
  const result = parsed.kind === 'message' ? parsed.message.value['result'] : undefined
  const version = isRecord(result) ? result['protocolVersion'] : undefined
  return typeof version === 'string' ? version : undefined
}

/** Without what belongs to one request alone. */
function credentialsOf(headers: readonly string[]): string[] {
  return headers.filter((_piece, index) => {
    const name = String(headers[index - (index % 2)]).toLowerCase()
    return !perRequest.has(name) && !name.startsWith('mcp-')
  })
}

const perRequest: ReadonlySet<string> = new Set([
  'content-length',
  'content-type',
  'content-encoding',
  'accept',
  'accept-encoding',
  'last-event-id',
])
