import type { ProcessIdentity } from '@thv/core'
import { stateLimits } from './state-limits.ts'

/** Who holds a lock or claims a dead one. The token is used for one file, ever. */
export interface LockHolder extends ProcessIdentity {
  token: string
}

/** What the algorithm needs of a file system and a process list. */
export interface LockFiles {
  /** Creates a file holding `holder` as a whole, or resolves to false when one of that name exists. */
  create(path: string, holder: LockHolder): Promise<boolean>
  /** Who a file names; undefined when it does not exist. */
  read(path: string): Promise<LockHolder | undefined>
  /** Removes a file; resolves also when it does not exist. */
  remove(path: string): Promise<void>
  isAlive(holder: LockHolder): Promise<boolean>
}

/** A lock that is held: the base file and the claims by which it was taken over from dead holders. */
export interface HeldLock {
  base: LockHolder
  files: readonly string[]
}

/** One attempt to take a lock: it worked, somebody living has it, or things moved and it is worth trying again. */
export type LockAttempt = { held: HeldLock } | { busy: LockHolder } | 'again'

/**
 * Takes a lock once, over the dead bodies of killed holders if need be.
 *
 * A lock is a chain of files. Its base `<path>` names its first holder. When that
 * one is dead, the lock belongs to whoever creates `<path>.<token of the dead>`;
 * when that one dies too, to whoever creates `<path>.<token of that one>`, and so
 * on: the holder is the end of the chain. Creation is exclusive, so every dead
 * holder has one heir.
 *
 * Nobody but the holder removes files, the base first ({@link releaseLock}). That
 * is what makes taking over safe: an heir who sees the base that it started from
 * *after* its claim knows that the chain was not released in between; if it sees
 * another base, or none, the claim came too late and is void. Removing or renaming
 * a stale base, the usual way, has no such moment: between the look and the removal
 * the file may have become a living holder's.
 *
 * @param own a fresh token for every call
 */
export async function attemptLock(files: LockFiles, path: string, own: LockHolder): Promise<LockAttempt> {
  const base = await files.read(path)
  if (base === undefined) {
    return (await files.create(path, own)) ? { held: { base: own, files: [path] } } : 'again'
  }
  const chain = [path]
  let holder = base
  for (let steps = 0; steps < stateLimits.lockChain; steps += 1) {
    if (await files.isAlive(holder)) return { busy: holder }
    const claim = claimPath(path, holder.token)
    chain.push(claim)
    const heir = await files.read(claim)
    if (heir === undefined) return await inherit(files, own, { base, files: chain })
    holder = heir
  }
  return { busy: holder }
}

async function inherit(files: LockFiles, own: LockHolder, wanted: HeldLock): Promise<LockAttempt> {
  const [path = '', claim = ''] = [wanted.files[0], wanted.files.at(-1)]
  if (!(await files.create(claim, own))) return 'again'
  const still = await files.read(path)
  if (still?.token === wanted.base.token) return { held: wanted }
  await files.remove(claim)
  return 'again'
}

/**
 * Releases a lock. The base goes first: from then on every claim in the chain is
 * void, also one that a slow process makes on a file removed here.
 */
export async function releaseLock(files: LockFiles, held: HeldLock): Promise<void> {
  for (const file of held.files) await files.remove(file)
}

/** The file whose creator inherits from a dead holder. */
export function claimPath(path: string, token: string): string {
  return `${path}.${token}`
}
