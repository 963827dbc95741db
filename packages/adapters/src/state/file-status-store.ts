import { lstat, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { assertWorkloadName, limits, ThvError } from '@thv/core'
import type { StatusChange, StatusRecord, StatusStore } from '@thv/core'
import { writeAtomically } from './atomic-write.ts'
import { createExclusively } from './create-exclusively.ts'
import { withFileLock } from './file-lock.ts'
import { listStateFiles } from './list-state-files.ts'
import type { Liveness } from './lock-files.ts'
import { decodeState } from './parse-state-json.ts'
import { formatStatusRecord, parseStatusRecord } from './parse-status-record.ts'
import { readStateFile, type RefusalCause } from './read-state-file.ts'
import { removeFile } from './remove-file.ts'
import { discard, sweepTemporaries } from './temporary-file.ts'
import { watchFile } from './watch-file.ts'

/**
 * Status files as `<dataDirectory>/statuses/<name>.json`, which ToolHive reads too
 * (spec/local 2.3). A record beyond repair is kept once as `<name>.json.corrupted`.
 * Opens nothing until used.
 *
 * @param options.dataDirectory `data` of `resolveDirectories`
 * @param options.processes decides whether the holder of a lock still lives
 * @param options.lockMs how long `update` waits for the lock; default 4 s
 */
export function createFileStatusStore(options: {
  dataDirectory: string
  processes: Liveness
  lockMs?: number
}): StatusStore {
  const directory = join(options.dataDirectory, 'statuses')
  const pathOf = (name: string): string => {
    assertWorkloadName(name)
    return join(directory, `${name}.json`)
  }
  return {
    read: async (name) => {
      const path = pathOf(name)
      const found = await readRecord(path)
      if (found.kind !== 'unusable') return found.record
      throw corrupt(name, path, found)
    },
    update: async (name, change, signal) => {
      const path = pathOf(name)
      const lock = { timeoutMs: options.lockMs ?? limits.statusLockMs, signal, processes: options.processes }
      return await withFileLock(join(directory, `${name}.thv-lock`), lock, () => apply(name, path, change))
    },
    list: () => listStateFiles(directory),
    watch: (name, changed, signal) => watchFile(pathOf(name), changed, signal),
  }
}

type Found =
  | { kind: 'usable'; record: StatusRecord }
  | { kind: 'absent'; record: undefined }
  | { kind: 'unusable'; reason: string; cause: RefusalCause | 'content'; kept: boolean }

async function readRecord(path: string): Promise<Found> {
  const read = await readStateFile(path, limits.statusBytes)
  if (read.kind === 'absent') return { kind: 'absent', record: undefined }
  if (read.kind === 'refused') return { kind: 'unusable', reason: read.reason, cause: read.cause, kept: false }
  const record = parseStatusRecord(decodeState(read.bytes))
  if (record !== undefined) return { kind: 'usable', record }
  const reason = read.bytes.length === 0 ? 'it is empty' : 'it is damaged beyond repair'
  return { kind: 'unusable', reason, cause: 'content', kept: await keepCopy(path, read.bytes) }
}

/** Under the lock. */
async function apply(
  name: string,
  path: string,
  change: (current: StatusRecord | undefined) => StatusChange,
): Promise<StatusRecord | undefined> {
  // Also when nothing will be written: the next command after a kill may find nothing to change.
  await sweepTemporaries(dirname(path))
  const found = await readRecord(path)
  if (found.kind === 'unusable') await giveWay(name, path, found)
  const current = found.kind === 'usable' ? found.record : undefined
  const next = change(current)
  if (next === undefined) return current
  if (next === 'delete') {
    await remove(path)
    return undefined
  }
  await writeAtomically(path, formatStatusRecord(next))
  return next
}

/**
 * An unusable file may be replaced, unless it is somebody else's business: another
 * user's file (a command under sudo must not take it over) or a link.
 */
async function giveWay(name: string, path: string, found: Found & { kind: 'unusable' }): Promise<void> {
  if (found.cause === 'foreign' || found.cause === 'link') {
    throw new ThvError('state-denied', `cannot change the status of '${name}': '${path}': ${found.reason}`, {
      hint: found.cause === 'link' ? 'remove the link' : 'run thv as that user, or make the file yours with chown',
    })
  }
  // A pipe or socket in our own directory has nothing to keep; a directory stays, and the write says so.
  if (found.cause === 'not-a-file') await discard(path)
  if (found.cause === 'too-large') {
    // Too large to copy, so it moves; the next record takes its place.
    await rename(path, corruptedPath(path)).catch(() => undefined)
  }
}

/** Keeps the first broken version: later ones are likely its consequence. */
async function keepCopy(path: string, bytes: Uint8Array): Promise<boolean> {
  try {
    // A list that is repeated every second must not write to the disk every second.
    const copied = await lstat(corruptedPath(path)).catch(() => undefined)
    if (copied === undefined) await createExclusively(corruptedPath(path), bytes, false)
    return true
  } catch {
    return false
  }
}

async function remove(path: string): Promise<void> {
  await removeFile(path)
  await discard(corruptedPath(path))
  await sweepTemporaries(dirname(path))
}

function corruptedPath(path: string): string {
  return `${path}.corrupted`
}

function corrupt(name: string, path: string, found: Found & { kind: 'unusable' }): ThvError {
  const kept = found.kept ? `; a copy is in '${corruptedPath(path)}'` : ''
  return new ThvError('state-corrupt', `the status of '${name}' cannot be used: '${path}': ${found.reason}${kept}`, {
    hint: `a running workload writes it again by itself; otherwise run 'thv start ${name}' or 'thv rm ${name}'`,
  })
}
