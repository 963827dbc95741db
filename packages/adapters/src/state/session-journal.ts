import { randomBytes } from 'node:crypto'
import { closeSync, constants, fstatSync, lstatSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { messageOf, systemCodeOf } from '@thv/core'
import {
  formatEntry,
  formatJournal,
  mergeRecord,
  parseJournal,
  type JournalChanges,
  type JournalRecord,
} from './parse-session-journal.ts'
import { readStateFile } from './read-state-file.ts'
import { stateLimits } from './state-limits.ts'

/** Told about what cannot be kept. */
type Warn = (message: string, fields: Record<string, unknown>) => void

/**
 * The sessions of one workload in a file that lines are appended to. A line is with the
 * kernel when a call returns, so it outlives the process, but not a power cut: waiting for
 * the disk would cost each client milliseconds for a case in which the machine starts anew.
 */
export interface FileSessionJournal {
  /** The records on disk, by key. */
  load(): ReadonlyMap<string, JournalRecord>
  /** Adds to a record, or begins it; null takes a text away. Never throws: what cannot be written is said once. */
  write(key: string, changes: JournalChanges): void
  /** Ends a record. Never throws. */
  delete(key: string): void
}

/**
 * Reads the journal at `path` and makes it short. A file that is not ours (another user's,
 * a link, another program's, too large) stays as it is; then nothing is kept, which `warn` says.
 */
export async function openSessionJournal(path: string, warn: Warn): Promise<FileSessionJournal> {
  const found = await readStateFile(path, stateLimits.sessionJournalBytes).catch((error: unknown) => {
    return { kind: 'refused' as const, reason: messageOf(error) }
  })
  const parsed = found.kind === 'content' ? parseJournal(found.bytes.toString('utf8')) : undefined
  if (found.kind === 'refused' || parsed?.kind === 'foreign') {
    const reason = found.kind === 'refused' ? found.reason : 'another program wrote it'
    warn('sessions will not outlive this process: their file cannot be used', { path, reason })
    return { load: () => new Map(), write: () => undefined, delete: () => undefined }
  }
  if (parsed !== undefined && parsed.damaged > 0) {
    warn('lines of the file of sessions were damaged and passed over', { path, lines: parsed.damaged })
  }
  return new AppendedJournal(path, parsed?.records ?? new Map(), warn)
}

class AppendedJournal implements FileSessionJournal {
  readonly #path: string
  readonly #records: Map<string, JournalRecord>
  readonly #warn: Warn
  /** Size after the last time the file was written as a whole; 0 before. */
  #shortBytes = 0
  #hasWarned = false

  constructor(path: string, records: Map<string, JournalRecord>, warn: Warn) {
    this.#path = path
    this.#records = records
    this.#warn = warn
  }

  load(): ReadonlyMap<string, JournalRecord> {
    // Also mends the end of a line that was cut off, before another line is appended to it.
    if (this.#records.size > 0) this.#attempt(() => this.#rewrite())
    return new Map(this.#records)
  }

  write(key: string, changes: JournalChanges): void {
    const line = formatEntry(key, changes)
    if (line === undefined) return
    this.#records.set(key, mergeRecord(this.#records.get(key), changes))
    this.#append(line)
  }

  delete(key: string): void {
    const line = this.#records.delete(key) ? formatEntry(key, undefined) : undefined
    if (line !== undefined) this.#append(line)
  }

  #append(line: string): void {
    this.#attempt(() => {
      // Nothing of this process has written it whole yet, so how it ends is not known.
      if (this.#shortBytes === 0 || !appendLine(this.#path, line, this.#limitBytes())) this.#rewrite()
    })
  }

  #limitBytes(): number {
    const { sessionJournalBytes, sessionJournalGrowth, sessionJournalMinBytes } = stateLimits
    return Math.min(Math.max(this.#shortBytes * sessionJournalGrowth, sessionJournalMinBytes), sessionJournalBytes)
  }

  #rewrite(): void {
    const text = formatJournal(this.#records)
    const bytes = Buffer.byteLength(text)
    if (bytes > stateLimits.sessionJournalBytes) throw new RangeError('there are too many sessions for their file')
    replaceFile(this.#path, text)
    this.#shortBytes = bytes
  }

  /** A client is served whatever the disk does. */
  #attempt(action: () => void): void {
    try {
      action()
      this.#hasWarned = false
    } catch (error) {
      // A line may have been written in part: the next change writes the file whole.
      this.#shortBytes = 0
      if (this.#hasWarned) return
      this.#hasWarned = true
      this.#warn('sessions that begin now may not outlive this process', { path: this.#path, reason: messageOf(error) })
    }
  }
}

/** Appends a line in one write. False when the file has to be written whole: it is gone, was emptied or would be too large. */
function appendLine(path: string, line: string, limitBytes: number): boolean {
  const { O_WRONLY, O_APPEND, O_NOFOLLOW, O_NONBLOCK } = constants
  const bytes = Buffer.from(line)
  let file: number
  try {
    file = openSync(path, O_WRONLY | O_APPEND | (O_NOFOLLOW ?? 0) | (O_NONBLOCK ?? 0))
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return false
    throw error
  }
  try {
    const found = fstatSync(file)
    if (!found.isFile()) throw new TypeError('it is not a regular file')
    if (found.size === 0 || found.size + bytes.length > limitBytes) return false
    return writeSync(file, bytes) === bytes.length
  } finally {
    closeSync(file)
  }
}

function replaceFile(path: string, text: string): void {
  const directory = dirname(path)
  const before = lstatSync(path, { throwIfNoEntry: false })
  if (before !== undefined && !before.isFile()) throw new TypeError('it is not a regular file')
  mkdirSync(directory, { recursive: true, mode: 0o750 })
  const temporary = join(directory, `.thv-${process.pid}-${randomBytes(16).toString('hex')}.tmp`)
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants
  const file = openSync(temporary, O_WRONLY | O_CREAT | O_EXCL | (O_NOFOLLOW ?? 0), 0o600)
  try {
    const bytes = Buffer.from(text)
    for (let written = 0; written < bytes.length;) written += writeSync(file, bytes, written)
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  } finally {
    closeSync(file)
  }
}
