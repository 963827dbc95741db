import { stateLimits } from './state-limits.ts'

/** What is written down of one session: texts by name. */
export type JournalRecord = Readonly<Record<string, string>>

/** What changes in a record; null takes a text away. */
export type JournalChanges = Readonly<Record<string, string | null>>

/** A journal that was read; `foreign` when another program wrote it. */
export type ParsedJournal =
  | { kind: 'records'; records: Map<string, JournalRecord>; damaged: number }
  | { kind: 'foreign' }

/**
 * Reads a journal. A line that was cut off at the end is what a kill leaves and is passed
 * over without a word; any other line that cannot be read counts as damaged.
 */
export function parseJournal(text: string): ParsedJournal {
  const lines = text.split('\n')
  const cutOff = lines.pop() ?? ''
  const first = lines.shift()
  const isOurs = first === undefined ? firstLine.startsWith(cutOff) : first === firstLine
  if (!isOurs) return { kind: 'foreign' }
  const records = new Map<string, JournalRecord>()
  let damaged = 0
  for (const line of lines) if (line !== '' && !takeLine(records, line)) damaged += 1
  return { kind: 'records', records, damaged }
}

/** One line: changes of a record, or its end. Undefined for what would not be read again. */
export function formatEntry(key: string, changes: JournalChanges | undefined): string | undefined {
  const line = JSON.stringify(changes === undefined ? { session: key, ended: true } : { session: key, set: changes })
  return line.length > stateLimits.sessionLineLength || !keyForm.test(key) ? undefined : `${line}\n`
}

/** A whole journal. */
export function formatJournal(records: ReadonlyMap<string, JournalRecord>): string {
  const lines = [`${firstLine}\n`]
  for (const [key, record] of records) lines.push(formatRecord(key, record))
  return lines.join('')
}

/** A whole record; a long one takes several lines. */
export function formatRecord(key: string, record: JournalRecord): string {
  const pieces = Object.entries(record).map(([name, text]) => ({ [name]: text }))
  return formatEntry(key, record) ?? pieces.map((piece) => formatEntry(key, piece) ?? '').join('')
}

/** A record after some changes. */
export function mergeRecord(record: JournalRecord | undefined, changes: JournalChanges): JournalRecord {
  const entries = Object.entries({ ...record, ...changes })
  return Object.fromEntries(entries.flatMap(([name, text]) => (text === null ? [] : [[name, text]])))
}

function takeLine(records: Map<string, JournalRecord>, line: string): boolean {
  const entry = readEntry(line)
  if (entry === undefined) return false
  if (entry.changes === undefined) return records.delete(entry.key) || true
  const record = mergeRecord(records.get(entry.key), entry.changes)
  if (Object.keys(record).length > stateLimits.sessionTexts) return false
  records.set(entry.key, record)
  return true
}

function readEntry(line: string): { key: string; changes: JournalChanges | undefined } | undefined {
  if (line.length > stateLimits.sessionLineLength) return undefined
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null || !('session' in value)) return undefined
  const { session: key } = value
  if (typeof key !== 'string' || !keyForm.test(key)) return undefined
  if ('ended' in value) return { key, changes: undefined }
  const changes = 'set' in value ? value.set : undefined
  return isChanges(changes) ? { key, changes } : undefined
}

function isChanges(value: unknown): value is JournalChanges {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Object.values(value).every((text) => typeof text === 'string' || text === null)
}

const firstLine = '{"thv":"sessions","version":1}'
const keyForm = /^[\w-]{1,64}$/
