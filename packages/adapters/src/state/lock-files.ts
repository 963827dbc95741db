import { createHash, randomBytes } from 'node:crypto'
import { lstat, readdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { systemCodeOf, type ProcessTable } from '@thv/core'
import { createExclusively } from './create-exclusively.ts'
import type { LockFiles, LockHolder } from './lock-chain.ts'
import { decodeState, parseJsonObject } from './parse-state-json.ts'
import { readStateFile } from './read-state-file.ts'
import { removeFile } from './remove-file.ts'
import { stateLimits } from './state-limits.ts'
import { discard, sweepTemporaries } from './temporary-file.ts'

/** Tells the living from the dead; core's `ProcessTable` does. */
export type Liveness = Pick<ProcessTable, 'self' | 'isAlive'>

const tokenRule = /^[0-9a-f]{32}$/

/** A token that nobody ever had. */
export function freshToken(): string {
  return randomBytes(16).toString('hex')
}

/** Lock files on disk. */
export function createLockFiles(processes: Liveness): LockFiles {
  const believed = new Map<string, number>()
  return {
    create: (path, holder) => createExclusively(path, `${JSON.stringify(holder)}\n`, false),
    read: readHolder,
    remove: removeFile,
    isAlive: async (holder) => {
      if (holder.pid === 0) return isBeingWritten(Number(holder.started))
      const until = believed.get(holder.token)
      if (until !== undefined && performance.now() < until) return true
      const alive = await processes.isAlive({ pid: holder.pid, started: holder.started })
      believed.clear()
      if (alive) believed.set(holder.token, performance.now() + stateLimits.lockBelieveAliveMs)
      return alive
    },
  }
}

/**
 * Removes what killed processes left around a lock: claims outside the chain, which
 * are void for ever, and old temporary files. For the holder only. Never rejects.
 */
export async function sweepLock(path: string, chain: readonly string[]): Promise<void> {
  const directory = dirname(path)
  const prefix = `${basename(path)}.`
  const names = await readdir(directory).catch(() => [])
  for (const name of names) {
    if (!name.startsWith(prefix) || !tokenRule.test(name.slice(prefix.length))) continue
    const claim = join(directory, name)
    if (!chain.includes(claim)) await discard(claim)
  }
  await sweepTemporaries(directory)
}

async function readHolder(path: string): Promise<LockHolder | undefined> {
  const read = await readStateFile(path, stateLimits.lockBytes)
  if (read.kind === 'absent') return undefined
  if (read.kind === 'content') {
    const { pid, started, token } = parseJsonObject(decodeState(read.bytes)) ?? {}
    const sound = typeof pid === 'number' && Number.isSafeInteger(pid) && pid > 0 && typeof started === 'string'
    if (sound && typeof token === 'string' && tokenRule.test(token)) return { pid, started, token }
  }
  return await nobody(path)
}

/**
 * Stands for the holder of a lock file that cannot be understood: one that a power
 * cut emptied, or somebody else's. It has no token, so what tells this file from
 * its successors serves: where it lies and when it was written. `started` is its age.
 */
async function nobody(path: string): Promise<LockHolder | undefined> {
  try {
    const found = await lstat(path, { bigint: true })
    if (found.isDirectory()) throw new Error('a directory is in its place')
    const identity = `${found.dev} ${found.ino} ${found.mtimeNs} ${found.size}`
    const token = createHash('sha256').update(identity).digest('hex').slice(0, 32)
    return { pid: 0, started: String(found.mtimeMs), token }
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

function isBeingWritten(writtenAtMs: number): boolean {
  const ageMs = Date.now() - writtenAtMs
  // A time in the future says nothing; waiting for it to pass could take for ever.
  return ageMs >= 0 && ageMs < stateLimits.lockTornMs
}
