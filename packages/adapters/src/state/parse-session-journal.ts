import { stateLimits } from './state-limits.ts'

/** What is written down of one session: texts by name. */
export type JournalRecord = Readonly<Record<string, string>>

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
export function formatEntry(
  key: string,
  changes: Readonly<Record<string, string | null>> | undefined,
): string | undefined {
  const line = JSON.stringify(changes === undefined ? { session: key, ended: true } : { session: key, set: changes })
  return line.length > stateLimits.sessionLineLength || !keyForm.test(key) ? undefined : `${line}\n`
}

/** A whole journal. A long record takes several lines. */
export function formatJournal(records: ReadonlyMap<string, JournalRecord>): string {
  const lines = [`${firstLine}\n`]
  for (const [key, record] of records) {
    const whole = formatEntry(key, record)
    if (whole !== undefined) lines.push(whole)
    else for (const [name, text] of Object.entries(record)) lines.push(formatEntry(key, { [name]: text }) ?? '')
  }
  return lines.join('')
}

function takeLine(records: Map<string, JournalRecord>, line: string): boolean {
  const entry = readEntry(line)
  if (entry === undefined) return false
  if (entry.changes === undefined) return records.delete(entry.key) || true
  const record: Record<string, string> = { ...records.get(entry.key) }
  for (const [name, text] of Object.entries(entry.changes)) {
    if (typeof text === 'string') record[name] = text
    else if (text === null) delete record[name]
    else return false
  }
  if (Object.keys(record).length > stateLimits.sessionTexts) return false
  records.set(entry.key, record)
  return true
}

function readEntry(line: string): { key: string; changes: object | undefined } | undefined {
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
  return typeof changes === 'object' && changes !== null ? { key, changes } : undefined
}

const firstLine = '{"thv":"sessions","version":1}'
const keyForm = /^[\w-]{1,64}$/
