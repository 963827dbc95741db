import { messageOf, type ReadWorkloadDeps } from '@thv/core'
import { followFile } from '../follow-file.ts'
import type { ApiLog } from './api-log.ts'

/** Which log to follow. */
export interface FollowedLog {
  deps: ReadWorkloadDeps
  /** The workload: what it writes ends with it. */
  name: string
  path: string
  log: ApiLog
}

/**
 * A stream of a log and of what is added to it, by the pace of its reader. It ends when the workload is
 * removed, when the reader cancels, and when `closing` aborts.
 */
export function followLog({ deps, name, path, log }: FollowedLog, closing: AbortSignal): ReadableStream<Uint8Array> {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
  const writer = writable.getWriter()
  const end = new AbortController()
  const leave = (): void => end.abort()
  closing.addEventListener('abort', leave, { once: true })
  if (closing.aborted) leave()
  // A reader that cancels is noticed here, also while nothing is written.
  writer.closed.catch(leave)
  let isRemoved = false
  const look = (): void => {
    void isGone(deps, name).then((gone) => (isRemoved ||= gone))
  }
  deps.statuses.watch(name, look, end.signal)
  look()
  const write = async (chunk: Buffer): Promise<void> => await untilAborted(writer.write(chunk), end.signal)
  const options = { waitForFile: true, isOver: async () => isRemoved, signal: end.signal }
  followFile(path, write, options)
    .catch((error: unknown) => {
      if (!end.signal.aborted) log('warn', `the log of '${name}' is not followed any more: ${messageOf(error)}`)
    })
    .finally(() => {
      closing.removeEventListener('abort', leave)
      leave()
      // It resolves when all is read, and rejects when the reader has gone: nobody waits for either.
      writer.close().catch(() => {})
    })
  return readable
}

/** What cannot be read is there. */
async function isGone({ statuses, configs }: ReadWorkloadDeps, name: string): Promise<boolean> {
  const [record, config] = await Promise.allSettled([statuses.read(name), configs.load(name)])
  return [record, config].every((found) => found.status === 'fulfilled' && found.value === undefined)
}

/** A reader that takes nothing must not hold up the end. */
async function untilAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const stop = (): void => reject(signal.reason)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}
