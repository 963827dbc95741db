import { isLogLevel, passesLevel } from '../mcp/log-level.ts'
import { param, type Message } from '../mcp/message.ts'
import { findValue } from '../mcp/raw-message.ts'
import type { ProxyLog } from '../proxy-config.ts'
import { listChangedText, listNames, type ListName } from '../session/missed-changes.ts'
import type { Session } from '../session/session.ts'
import type { SessionTable } from '../session/session-table.ts'
import { Listen } from './listen.ts'
import type { Handshake } from './server-handshake.ts'
import type { SharedServer } from './shared-server.ts'
import { encodeSseMessage } from './sse-codec.ts'

/** Who is told what. */
export interface SessionNoticesParts {
  readonly sessions: SessionTable
  readonly shared: SharedServer
  readonly log: ProxyLog
}

/** Notifications of the shared server on their way to the sessions that they are for. */
export class SessionNotices {
  readonly #parts: SessionNoticesParts

  constructor(parts: SessionNoticesParts) {
    this.#parts = parts
  }

  /** Passes one notification on. */
  publish(message: Message): void {
    switch (message.method) {
      case 'notifications/cancelled':
        return
      case 'notifications/message':
        return this.#publishLog(message)
      case 'notifications/resources/updated': {
        const uri = param(message, 'uri')
        if (typeof uri !== 'string') return
        return deliver(this.#subscribers(uri), message.text, ({ missed }) => missed.noteResource(uri))
      }
      case 'notifications/tools/list_changed':
        return this.#publishList('tools', message.text)
      case 'notifications/prompts/list_changed':
        return this.#publishList('prompts', message.text)
      case 'notifications/resources/list_changed':
        return this.#publishList('resources', message.text)
      default:
        return this.#publishUnknown(message)
    }
  }

  /** Tells that every list may have changed: a restarted server may be another version of it. */
  publishLists({ resultText }: Handshake): void {
    for (const list of listNames) {
      const span = findValue(resultText, 0, ['capabilities', list, 'listChanged'])
      if (span === undefined || resultText.slice(span.start, span.end) !== 'true') continue
      this.#publishList(list, listChangedText(list))
    }
  }

  #publishList(list: ListName, text: string): void {
    deliver(this.#sharers(), text, ({ missed }) => missed.noteList(list))
  }

  #publishLog(message: Message): void {
    const level = param(message, 'level')
    if (!isLogLevel(level)) return
    // With a Modern server a message is about one call, which it does not name.
    const isModern = this.#parts.shared.era === 'modern'
    for (const session of this.#sharers()) {
      if (isModern && (session.calls.size !== 1 || this.#parts.shared.inFlight !== 1)) continue
      if (session.logLevel !== undefined && passesLevel(level, session.logLevel)) deliver([session], message.text)
    }
  }

  #publishUnknown(message: Message): void {
    // It may carry one client's data, and nothing says whose. With one client there is no doubt.
    const { shared } = this.#parts
    const [only, ...others] = this.#sharers()
    // A call in flight may also be of a session that has ended, or of a client that has none.
    const isAlone = others.length === 0 && !shared.isListening && shared.inFlight === only?.calls.size
    if (only !== undefined && isAlone) return deliver([only], message.text)
    this.#parts.log('debug', 'dropped a notification that names no client', { method: message.method })
  }

  *#subscribers(uri: string): Iterable<Session> {
    for (const subscriber of this.#parts.shared.subscriptions.subscribers(uri)) {
      if (!(subscriber instanceof Listen)) yield subscriber
    }
  }

  /** The sessions on the shared server. */
  *#sharers(): Iterable<Session> {
    for (const session of this.#parts.sessions.values()) if (session.lane === undefined) yield session
  }
}

/** `missed` is called for each session that has no stream to hear it on. */
function deliver(
  sessions: Iterable<Session>,
  text: string,
  missed: (session: Session) => void = () => undefined,
): void {
  const event = encodeSseMessage(text)
  for (const session of sessions) if (session.stream?.send(event) !== true) missed(session)
}
