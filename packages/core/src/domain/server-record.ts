import { messageOf, ThvError } from '../errors.ts'
import { parseServerUrl } from './server-url.ts'
import { isRecord } from './is-record.ts'

/** How an API server announces itself; the file `server/server.json`: spec/local 1.1. */
export interface ServerRecord {
  /** One that {@link parseServerUrl} accepts. */
  url: string
  pid: number
  /** Names this run of the server; empty in a record of a server that has none, which then cannot be told from others. */
  nonce: string
  /** RFC 3339 in UTC with nanoseconds, as text: `Date` cannot hold them. */
  started_at: string
  /** What thv adds for itself; ToolHive ignores it. */
  thv?: {
    /** Start token of the process, which tells it from a later one with the same number. */
    started: string
    /** Of thv. A command of another version works alone. */
    version: string
    /** The data directory. A command with another one works alone: it has other workloads. */
    data: string
  }
}

const nonceRule = /^[\x21-\x7e]{0,128}$/
const timeRule = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/

/** Reads the text of a record. Unknown keys are dropped. Throws `server-record-refused`, whose message is the reason. */
export function parseServerRecord(text: string): ServerRecord {
  const { url, pid, nonce = '', started_at: startedAt, thv } = parseObject(text)
  if (typeof url !== 'string') throw refused("it has no 'url'")
  parseServerUrl(url)
  if (typeof pid !== 'number' || !Number.isSafeInteger(pid)) throw refused("its 'pid' is no process id")
  if (typeof nonce !== 'string' || !nonceRule.test(nonce)) throw refused("its 'nonce' is none")
  if (typeof startedAt !== 'string' || !timeRule.test(startedAt)) throw refused("its 'started_at' is no time")
  const record: ServerRecord = { url, pid, nonce, started_at: startedAt }
  if (isRecord(thv) && typeof thv['started'] === 'string') {
    record.thv = { started: thv['started'], version: textOf(thv['version']), data: textOf(thv['data']) }
  }
  return record
}

/** The text of a record: indented by two, with a line end. */
export function formatServerRecord(record: ServerRecord): string {
  return `${JSON.stringify(record, null, 2)}\n`
}

/** The time as a record holds it. */
export function formatStartedAt(time: Date): string {
  return time.toISOString().replace('Z', '000000Z')
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    if (isRecord(value)) return value
  } catch (error) {
    throw refused(`it is not JSON (${messageOf(error)})`)
  }
  throw refused('it is not a JSON object')
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function refused(reason: string): ThvError {
  return new ThvError('server-record-refused', reason)
}
