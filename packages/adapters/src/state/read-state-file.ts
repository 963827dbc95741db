import { closeSync, constants, fstatSync, open, read, type Stats } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { promisify } from 'node:util'
import { systemCodeOf } from '@thv/core'
import { stateError } from './state-error.ts'

/** Why a file was not read. */
export type RefusalCause = 'not-a-file' | 'link' | 'foreign' | 'too-large' | 'not-private'

/** What stands at a path. */
export type StateRead =
  | { kind: 'content'; bytes: Buffer }
  | { kind: 'absent' }
  | { kind: 'refused'; cause: RefusalCause; reason: string }

const openFile = promisify(open)
const readPiece = promisify(read)

/**
 * Reads a file that anybody may have put there: only a regular file of ours (or
 * root's) up to `maxBytes`, never through a symbolic link. Never hangs on a fifo
 * or a device. Rejects with `state-denied` or `state-failed` when the system refuses.
 * With `private`, one that other users can read or write is refused too.
 *
 * Everything is checked on the opened file, so nothing can be swapped in between. Opening and reading may wait for a disk
 * and do so elsewhere; looking at an open file and closing it do not wait, and a list of many files is read in a third of the time.
 */
export async function readStateFile(
  path: string,
  maxBytes: number,
  modes: 'private' | 'any-mode' = 'any-mode',
): Promise<StateRead> {
  try {
    // Where the open itself cannot refuse links (Windows), look first: creating links needs rights there.
    if (constants.O_NOFOLLOW === undefined && (await lstat(path)).isSymbolicLink()) return isLink
    const file = await openFile(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0))
    try {
      const found = fstatSync(file)
      const refusal = refusalOf(found, maxBytes) ?? (modes === 'private' ? refusalOfMode(found) : undefined)
      return refusal ?? (await readBounded(file, found.size, maxBytes))
    } finally {
      closeSync(file)
    }
  } catch (error) {
    return refusalOfCode(systemCodeOf(error)) ?? fail(error, path)
  }
}

const isLink: StateRead = { kind: 'refused', cause: 'link', reason: 'it is a symbolic link' }
const isNoFile: StateRead = { kind: 'refused', cause: 'not-a-file', reason: 'it is not a regular file' }

function fail(error: unknown, path: string): never {
  throw stateError(error, path, 'read')
}

function refusalOf(found: Stats, maxBytes: number): StateRead | undefined {
  if (!found.isFile()) return isNoFile
  const self = process.geteuid?.()
  if (self !== undefined && found.uid !== self && found.uid !== 0) {
    return { kind: 'refused', cause: 'foreign', reason: `it belongs to another user (uid ${found.uid})` }
  }
  return found.size > maxBytes ? tooLarge(maxBytes) : undefined
}

function refusalOfMode(found: Stats): StateRead | undefined {
  // Windows has no such modes; what it reports would always be refused.
  if (process.geteuid === undefined || (found.mode & 0o077) === 0) return undefined
  const mode = (found.mode & 0o777).toString(8)
  return { kind: 'refused', cause: 'not-private', reason: `other users can get at it (mode ${mode})` }
}

function tooLarge(maxBytes: number): StateRead {
  return { kind: 'refused', cause: 'too-large', reason: `it is larger than ${maxBytes} bytes` }
}

/** Reads at most one byte more than allowed: the file may have grown since it was measured. */
async function readBounded(file: number, measured: number, maxBytes: number): Promise<StateRead> {
  const pieces: Buffer[] = []
  let total = 0
  for (;;) {
    // Room for one byte more than there should be: a read that leaves it empty has seen the end.
    const wanted = total === 0 ? measured + 1 : 16 * 1024
    const piece = Buffer.allocUnsafe(Math.min(wanted, maxBytes + 1 - total))
    const { bytesRead } = await readPiece(file, piece, 0, piece.length, null)
    total += bytesRead
    if (total > maxBytes) return tooLarge(maxBytes)
    pieces.push(piece.subarray(0, bytesRead))
    // Less than measured is the end only when nothing follows: some file systems answer in parts.
    const isEnd = bytesRead === 0 || (bytesRead < piece.length && total >= measured)
    if (isEnd) return { kind: 'content', bytes: Buffer.concat(pieces, total) }
  }
}

function refusalOfCode(code: string | undefined): StateRead | undefined {
  switch (code) {
    case 'ENOENT':
      return { kind: 'absent' }
    // What open answers to a link under O_NOFOLLOW; BSD says EMLINK.
    case 'ELOOP':
    case 'EMLINK':
      return isLink
    // A directory on Windows, a socket, a parent that is a file.
    case 'EISDIR':
    case 'ENXIO':
    case 'ENOTDIR':
    case 'EOPNOTSUPP':
      return isNoFile
    case undefined:
    default:
      return undefined
  }
}
