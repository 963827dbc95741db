import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, mkdir, open, readdir, readFile, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { systemCodeOf } from '@thv/core'
import { stateLimits } from './state-limits.ts'

/** With the writer's pid, so that what a killed writer left is known at once. */
const temporaryName = /^\.thv-(\d+)-[0-9a-f]{32}\.tmp$/

/**
 * Writes a new file with a random name beside `target`, private to the user, and
 * resolves to its path. Nothing is left behind when writing fails.
 *
 * @param durable whether to wait until the content is on the disk
 */
export async function writeTemporary(target: string, content: string | Uint8Array, durable: boolean): Promise<string> {
  const directory = dirname(target)
  const path = join(directory, `.thv-${process.pid}-${randomBytes(16).toString('hex')}.tmp`)
  const handle = await openMakingParents(path)
  try {
    try {
      await handle.writeFile(content)
      if (durable) await handle.sync()
    } finally {
      // Quota errors of network file systems arrive with the close.
      await handle.close()
    }
  } catch (error) {
    await discard(path)
    throw error
  }
  return path
}

/** Removes a file, and does not mind if that fails. */
export async function discard(path: string): Promise<void> {
  await unlink(path).catch(() => undefined)
}

/** Removes temporary files of processes that were killed while writing. Never rejects. */
export async function sweepTemporaries(directory: string): Promise<void> {
  const names = await readdir(directory).catch(() => [])
  for (const name of names) {
    const writer = temporaryName.exec(name)?.[1]
    if (writer === undefined) continue
    const path = join(directory, name)
    const found = await lstat(path).catch(() => undefined)
    if (found === undefined) continue
    // A number that was given to another process hides a leftover until it is too old for any write.
    if (!(await isRunning(Number(writer))) || Date.now() - found.mtimeMs > stateLimits.temporaryMaxAgeMs)
      await discard(path)
  }
}

async function isRunning(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0)
  } catch (error) {
    return systemCodeOf(error) === 'EPERM'
  }
  // A process that was killed and that nobody has waited for yet still takes signals, but writes nothing.
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return !/\) [ZX] /.test(stat)
}

type Handle = Awaited<ReturnType<typeof open>>

async function openMakingParents(path: string): Promise<Handle> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0)
  try {
    return await open(path, flags, 0o600)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    await mkdir(dirname(path), { recursive: true, mode: 0o750 })
    return await open(path, flags, 0o600)
  }
}
