import { isLogLevel, type LogLevel } from '../mcp/log-level.ts'
import { findValue } from '../mcp/raw-message.ts'
import { isRecord, param, parseText, type Message } from '../mcp/message.ts'
import type { SessionRecord } from '../proxy-config.ts'
import { listNames, type ListName } from './missed-changes.ts'

/** A session on a bridge, as it stands in the journal. */
export interface StoredSession {
  readonly protocolVersion: string
  readonly lists: readonly ListName[]
  /** JSON text of what the client declared, for servers that are told with each call. */
  readonly capabilitiesText: string
  /** The client's `initialize`, for one with a server of its own. */
  readonly initialize: Message | undefined
  /** The client's `notifications/initialized`; empty until it came. */
  readonly initializedText: string
  readonly logLevel: LogLevel | undefined
  readonly uris: readonly string[]
}

/** What is written down when a session begins. `initialize` for a client with a server of its own. */
export function buildSessionRecord(
  session: Pick<StoredSession, 'protocolVersion' | 'lists' | 'capabilitiesText'>,
  initialize: Message | undefined,
): SessionRecord {
  return {
    kind: initialize === undefined ? 'shared' : 'lane',
    version: session.protocolVersion,
    lists: session.lists.join(','),
    ...(session.capabilitiesText === '{}' ? {} : { capabilities: session.capabilitiesText }),
    ...(initialize === undefined ? {} : { initialize: initialize.text }),
  }
}

/** What a request or notification of a client changes in the record of its session, once the server did it. */
export function recordChanges(message: Message): Readonly<Record<string, string | null>> | undefined {
  const [uri, level] = [param(message, 'uri'), param(message, 'level')]
  switch (message.method) {
    case 'resources/subscribe':
      return typeof uri === 'string' ? { [subscriptionPrefix + uri]: '' } : undefined
    case 'resources/unsubscribe':
      return typeof uri === 'string' ? { [subscriptionPrefix + uri]: null } : undefined
    case 'logging/setLevel':
      return isLogLevel(level) ? { level } : undefined
    case 'notifications/initialized':
      return { initialized: message.text }
    default:
      return undefined
  }
}

/** Reads a record; undefined when it is not one of a session on a bridge. */
export function parseSessionRecord(record: SessionRecord): StoredSession | undefined {
  const { kind, version = '', lists = '', capabilities = '{}', initialize, initialized = '', level } = record
  if ((kind !== 'shared' && kind !== 'lane') || version === '') return undefined
  const message = kind === 'lane' ? readMessage(initialize) : undefined
  if (kind === 'lane' && message?.method !== 'initialize') return undefined
  const announced = lists.split(',')
  return {
    protocolVersion: version,
    lists: listNames.filter((list) => announced.includes(list)),
    capabilitiesText: isJsonObject(capabilities) ? capabilities : '{}',
    initialize: message,
    initializedText: readMessage(initialized)?.method === 'notifications/initialized' ? initialized : '',
    logLevel: isLogLevel(level) ? level : undefined,
    uris: Object.keys(record).flatMap((key) =>
      key.startsWith(subscriptionPrefix) ? [key.slice(subscriptionPrefix.length)] : [],
    ),
  }
}

/** The lists of which a server says in its response to `initialize` that it announces changes. */
export function announcedLists(response: string): ListName[] {
  const span = findValue(response, 0, ['result', 'capabilities'])
  const capabilities: unknown = span === undefined ? undefined : JSON.parse(response.slice(span.start, span.end))
  if (!isRecord(capabilities)) return []
  return listNames.filter((list) => {
    const feature = capabilities[list]
    return isRecord(feature) && feature['listChanged'] === true
  })
}

function readMessage(text: string | undefined): Message | undefined {
  if (text === undefined || text === '') return undefined
  const parsed = parseText(text)
  return parsed.kind === 'message' ? parsed.message : undefined
}

function isJsonObject(text: string): boolean {
  try {
    return isRecord(JSON.parse(text))
  } catch {
    return false
  }
}

const subscriptionPrefix = 'subscribed '
