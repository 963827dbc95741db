import { randomBytes } from 'node:crypto'
import { constants, fstatSync, ftruncateSync, readSync, writeSync } from 'node:fs'
import { open, rename, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { limits } from '@thv/core'
import { shiftBackups } from './rotate-files.ts'
import { stateLimits } from './state-limits.ts'
import { discard } from './temporary-file.ts'

/** A log that this process writes through a descriptor it was started with. */
export interface OwnedLog {
  path: string
  /** The descriptor, opened for appending by whoever started the process; 2 for stderr. */
  fd: number
  /** Rotated above this; default 10 MiB. */
  limitBytes?: number
  /** Older files kept as `.1`, `.2`; default 2. */
  backups?: number
}

/**
 * Rotates a log whose descriptor cannot be exchanged: copies it to `.1` and empties it
 * in place. Resolves to whether it did. Does nothing when the descriptor is not the
 * file at `path` (a terminal, or a log that was removed). Never rejects. One call at a time.
 *
 * When the copy cannot be written (a full disk), the log is still emptied once it is
 * twice its limit: a log must not be what fills the disk.
 */
export async function rotateByCopy(log: OwnedLog): Promise<boolean> {
  const limitBytes = log.limitBytes ?? limits.logBytes
  let source: FileHandle | undefined
  try {
    const size = fstatSync(log.fd).size
    if (size <= limitBytes) return false
    source = await open(log.path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0))
    if (!isSameFile(source.fd, log.fd)) return false
    if (await copyAndEmpty(source, log)) return true
    if (size <= 2 * limitBytes) return false
    ftruncateSync(log.fd, 0)
    return true
  } catch {
    return false
  } finally {
    await source?.close().catch(() => undefined)
  }
}

function isSameFile(a: number, b: number): boolean {
  const [left, right] = [fstatSync(a, { bigint: true }), fstatSync(b, { bigint: true })]
  return left.isFile() && left.dev === right.dev && left.ino === right.ino
}

async function copyAndEmpty(source: FileHandle, log: OwnedLog): Promise<boolean> {
  const backups = log.backups ?? limits.logBackups
  const temporary = join(dirname(log.path), `.thv-${process.pid}-${randomBytes(16).toString('hex')}.tmp`)
  let copy: FileHandle | undefined
  try {
    copy = await open(temporary, 'wx', 0o600)
    const piece = Buffer.allocUnsafe(stateLimits.logCopyBytes)
    // Only up to the size of now: chasing a busy writer to the end might never end.
    for (let left = fstatSync(source.fd).size; left > 0;) {
      const { bytesRead } = await source.read(piece, 0, piece.length, null)
      if (bytesRead === 0) break
      await copy.appendFile(piece.subarray(0, bytesRead))
      left -= bytesRead
    }
    await shiftBackups(log.path, backups)
    if (backups > 0) await rename(temporary, `${log.path}.1`)
    // In one go from here: what this process logs meanwhile must not fall between copy and cut.
    for (let read = readSync(source.fd, piece); read > 0; read = readSync(source.fd, piece)) {
      if (writeSync(copy.fd, piece, 0, read) < read) throw new Error('the copy is short')
    }
    ftruncateSync(log.fd, 0)
    if (backups === 0) await discard(temporary)
    return true
  } catch {
    await discard(temporary)
    return false
  } finally {
    await copy?.close().catch(() => undefined)
  }
}
