/**
 * A lock between processes that share this clone. The lock is a directory that already holds its owner's pid when it
 * appears (a rename does both at once), so nobody can see a lock without an owner.
 */
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** An install over a slow line may take minutes; a lock older than this had its pid taken over by a stranger. */
const longestHoldMs = 30 * 60 * 1000
const pollMs = 200

/** Runs `action` while no other process holds the lock. `onWait(pid)` is called once when it has to wait. */
export async function withLock(directory, onWait, action) {
  mkdirSync(dirname(directory), { recursive: true })
  let waited = false
  while (!acquire(directory)) {
    const owner = readOwner(directory)
    if (owner && isStale(owner)) breakLock(directory, owner)
    else {
      if (owner && !waited) onWait(owner.pid)
      waited ||= owner !== undefined
      await sleep(pollMs)
    }
  }
  const release = () => rmSync(directory, { recursive: true, force: true })
  // For `process.exit` inside the action. A killed owner leaves its lock; its dead pid gives that away.
  process.once('exit', release)
  try {
    return await action()
  } finally {
    process.off('exit', release)
    release()
  }
}

function acquire(directory) {
  const mine = mkdtempSync(`${directory}-`)
  try {
    writeFileSync(join(mine, 'owner'), JSON.stringify({ pid: process.pid, since: Date.now() }))
    renameSync(mine, directory)
    return true
  } catch (error) {
    rmSync(mine, { recursive: true, force: true })
    // POSIX refuses to replace a directory that is not empty, Windows any that exists, each with its own words.
    if (['ENOTEMPTY', 'EEXIST', 'EPERM', 'EACCES'].includes(error.code)) return false
    throw error
  }
}

function readOwner(directory) {
  try {
    return JSON.parse(readFileSync(join(directory, 'owner'), 'utf8'))
  } catch {
    return undefined
  }
}

function isStale({ pid, since }) {
  return Date.now() - since > longestHoldMs || !isAlive(pid)
}

/** Two waiters may find the same stale lock: the rename lets one of them win, and it looks again at what it took. */
function breakLock(directory, owner) {
  const aside = `${directory}-stale-${process.pid}`
  try {
    renameSync(directory, aside)
    const taken = readOwner(aside)
    if (taken?.pid !== owner.pid || taken.since !== owner.since) renameSync(aside, directory)
  } catch {
    // Another process was faster; the next round sees the new state.
  }
  rmSync(aside, { recursive: true, force: true })
}

/** Whether a process with this id exists, ours or somebody else's. */
export function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}
