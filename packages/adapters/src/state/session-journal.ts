import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
  type Stats,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { messageOf, systemCodeOf } from '@thv/core'
import {
  formatEntry,
  formatJournal,
  formatRecord,
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
  /** Bytes of each record when it is written whole, and of all. */
  readonly #sizes = new Map<string, number>()
  #recordBytes = 0
  /** Records that had no room when they began; half of one would be of no use. */
  readonly #leftOut = new Set<string>()
  /** Size after the last time the file was written as a whole; 0 before. */
  #shortBytes = 0
  /** Which file this process wrote; undefined before. */
  #inode: number | undefined
  #hasWarned = false
  #wasFull = false

  constructor(path: string, records: Map<string, JournalRecord>, warn: Warn) {
    this.#path = path
    this.#records = records
    this.#warn = warn
    for (const [key, record] of records) this.#resize(key, record)
  }

  load(): ReadonlyMap<string, JournalRecord> {
    // Also mends the end of a line that was cut off, before another line is appended to it.
    if (this.#records.size > 0) this.#attempt(() => this.#rewrite())
    return new Map(this.#records)
  }

  write(key: string, changes: JournalChanges): void {
    const line = formatEntry(key, changes)
    const known = this.#records.get(key)
    if (this.#leftOut.has(key)) return
    const record = mergeRecord(known, changes)
    if (line === undefined || !this.#resize(key, record)) {
      if (known === undefined) this.#leftOut.add(key)
      return
    }
    this.#records.set(key, record)
    this.#append(line)
  }

  delete(key: string): void {
    this.#leftOut.delete(key)
    const line = this.#records.delete(key) ? formatEntry(key, undefined) : undefined
    this.#recordBytes -= this.#sizes.get(key) ?? 0
    this.#sizes.delete(key)
    if (line !== undefined) this.#append(line)
  }

  /** Notes the size that a record gets. False when there is no room for it. */
  #resize(key: string, record: JournalRecord): boolean {
    const before = this.#sizes.get(key) ?? 0
    const bytes = Buffer.byteLength(formatRecord(key, record))
    if (bytes > before && this.#recordBytes - before + bytes > stateLimits.sessionRecordsBytes) {
      if (!this.#wasFull)
        this.#warn(notKept, { path: this.#path, reason: 'there are too many sessions for their file' })
      this.#wasFull = true
      return false
    }
    this.#sizes.set(key, bytes)
    this.#recordBytes += bytes - before
    return true
  }

  #append(line: string): void {
    this.#attempt(() => {
      // Nothing of this process has written it whole yet, so how it ends is not known.
      if (this.#shortBytes === 0 || !this.#appendLine(line)) this.#rewrite()
    })
  }

  /** Appends a line in one write. False when the file has to be written whole: it is gone, was emptied or would be too large. */
  #appendLine(line: string): boolean {
    const { O_WRONLY, O_APPEND, O_NOFOLLOW, O_NONBLOCK } = constants
    const bytes = Buffer.from(line)
    let file: number
    try {
      file = openSync(this.#path, O_WRONLY | O_APPEND | (O_NOFOLLOW ?? 0) | (O_NONBLOCK ?? 0))
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT') return false
      throw error
    }
    try {
      const found = fstatSync(file)
      assertOurs(found, this.#inode)
      if (found.size === 0 || found.size + bytes.length > this.#limitBytes()) return false
      return writeSync(file, bytes) === bytes.length
    } finally {
      closeSync(file)
    }
  }

  #limitBytes(): number {
    const { sessionJournalBytes, sessionJournalGrowth, sessionJournalMinBytes } = stateLimits
    return Math.min(Math.max(this.#shortBytes * sessionJournalGrowth, sessionJournalMinBytes), sessionJournalBytes)
  }

  #rewrite(): void {
    const text = formatJournal(this.#records)
    this.#inode = replaceFile(this.#path, text, this.#inode)
    this.#shortBytes = Buffer.byteLength(text)
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
      this.#warn(notKept, { path: this.#path, reason: messageOf(error) })
    }
  }
}

/** Writes the file whole, unless it is not the one this process wrote, and says which file it is now. */
function replaceFile(path: string, text: string, inode: number | undefined): number {
  const directory = dirname(path)
  const before = lstatSync(path, { throwIfNoEntry: false })
  if (before !== undefined) assertOurs(before, inode)
  mkdirSync(directory, { recursive: true, mode: 0o750 })
  const temporary = join(directory, `.thv-${process.pid}-${randomBytes(16).toString('hex')}.tmp`)
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants
  const file = openSync(temporary, O_WRONLY | O_CREAT | O_EXCL | (O_NOFOLLOW ?? 0), 0o600)
  try {
    const bytes = Buffer.from(text)
    for (let written = 0; written < bytes.length;) written += writeSync(file, bytes, written)
    renameSync(temporary, path)
    return fstatSync(file).ino
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  } finally {
    closeSync(file)
  }
}

/** A process that was given up for dead may wake up: the file is its successor's then. */
function assertOurs(found: Stats, inode: number | undefined): void {
  if (!found.isFile()) throw new TypeError('it is not a regular file')
  if (inode !== undefined && found.ino !== inode) throw new TypeError('another process writes it now')
}

const notKept = 'sessions that begin now may not outlive this process'
