import { constants } from 'node:fs'
import { mkdir, open, rename, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { limits } from '@thv/core'
import { shiftBackups } from './rotate-files.ts'
import { removeFile } from './remove-file.ts'
import { stateLimits } from './state-limits.ts'

/** A log that takes lines whatever the disk does. */
export interface RotatingLog {
  /** Queues one line, without its line end. Never throws; drops and counts when the disk is full or too slow. */
  write(line: string): void
  /** Lines dropped so far. */
  readonly dropped: number
  /** Waits up to 2 s for the queue to reach the disk, then closes. Idempotent, never rejects. */
  close(): Promise<void>
}

/** Where to write, and how much to keep. */
export interface RotatingLogOptions {
  path: string
  /** Rotated above this; default 10 MiB. */
  limitBytes?: number
  /** Older files kept as `.1`, `.2`; default 2. */
  backups?: number
}

/**
 * Appends lines to a file that is private to the user and rotates it by renaming.
 * Opens nothing until the first line. Dropped lines leave one note in the log, once
 * it can be written again.
 */
export function createRotatingLog(options: RotatingLogOptions): RotatingLog {
  return new QueuedLog(options.path, options.limitBytes ?? limits.logBytes, options.backups ?? limits.logBackups)
}

class QueuedLog implements RotatingLog {
  readonly #path: string
  readonly #limitBytes: number
  readonly #backups: number
  #queue: string[] = []
  #queuedBytes = 0
  #file: { handle: FileHandle; size: number } | undefined
  #pump: Promise<void> | undefined
  #closed: Promise<void> | undefined
  #dropped = 0
  #unreported = 0
  #retryAtMs = 0

  constructor(path: string, limitBytes: number, backups: number) {
    this.#path = path
    this.#limitBytes = limitBytes
    this.#backups = backups
  }

  get dropped(): number {
    return this.#dropped
  }

  write(line: string): void {
    const text = `${line.slice(0, stateLimits.logLineBytes)}\n`
    const full = this.#queue.length >= stateLimits.logQueueLines
    const tooMuch = this.#queuedBytes + text.length > stateLimits.logQueueBytes
    if (this.#closed !== undefined || full || tooMuch) return this.#drop(1)
    this.#queue.push(text)
    this.#queuedBytes += text.length
    this.#pump ??= this.#drain()
  }

  close(): Promise<void> {
    this.#closed ??= this.#shut()
    return this.#closed
  }

  async #shut(): Promise<void> {
    // What waits is worth one more try, also within the pause after a failure.
    this.#retryAtMs = 0
    if (this.#unreported > 0) this.#pump ??= this.#drain()
    const deadline = new AbortController()
    await Promise.race([
      this.#finish(),
      sleep(stateLimits.logCloseMs, undefined, { signal: deadline.signal, ref: false }).catch(() => undefined),
    ])
    deadline.abort()
  }

  async #finish(): Promise<void> {
    await this.#pump
    // Closing waits for a write that hangs, so it belongs within the deadline.
    await this.#release()
  }

  async #drain(): Promise<void> {
    // The lines of one turn of the event loop go to the disk together.
    await Promise.resolve()
    while (this.#queue.length > 0 || (this.#closed !== undefined && this.#unreported > 0)) {
      const lines = this.#queue
      this.#queue = []
      this.#queuedBytes = 0
      if (!(await this.#append(lines))) this.#drop(lines.length)
      if (this.#closed !== undefined && lines.length === 0) break
    }
    this.#pump = undefined
  }

  /** Whether the lines are in the file. */
  async #append(lines: string[]): Promise<boolean> {
    if (performance.now() < this.#retryAtMs) return false
    const missing = this.#unreported
    try {
      const file = await this.#open()
      const note = missing === 0 ? '' : `\n[thv] ${missing} lines are missing here: the disk was full or too slow\n`
      const bytes = Buffer.from(note + lines.join(''))
      await file.handle.appendFile(bytes)
      file.size += bytes.length
      this.#unreported -= missing
      return true
    } catch {
      this.#retryAtMs = performance.now() + stateLimits.logRetryMs
      await this.#release()
      return false
    }
  }

  async #open(): Promise<{ handle: FileHandle; size: number }> {
    if (this.#file !== undefined && this.#file.size >= this.#limitBytes) {
      await this.#release()
      await shiftBackups(this.#path, this.#backups)
      if (this.#backups > 0) await rename(this.#path, `${this.#path}.1`)
      else await removeFile(this.#path)
    }
    this.#file ??= await openForAppend(this.#path)
    return this.#file
  }

  async #release(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await file?.handle.close().catch(() => undefined)
  }

  #drop(count: number): void {
    this.#dropped += count
    this.#unreported += count
  }
}

async function openForAppend(path: string): Promise<{ handle: FileHandle; size: number }> {
  const { O_WRONLY, O_CREAT, O_APPEND, O_NOFOLLOW, O_NONBLOCK } = constants
  await mkdir(dirname(path), { recursive: true, mode: 0o750 })
  // Without O_NONBLOCK a fifo in the log's place would block a thread of the pool for ever.
  const handle = await open(path, O_WRONLY | O_CREAT | O_APPEND | (O_NOFOLLOW ?? 0) | (O_NONBLOCK ?? 0), 0o600)
  const found = await handle.stat()
  if (found.isFile()) return { handle, size: found.size }
  await handle.close()
  throw new Error(`'${path}' is not a regular file`)
}
