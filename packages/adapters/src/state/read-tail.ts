import { limits } from '@thv/core'
import { openLog } from './open-log.ts'
import { stateError } from './state-error.ts'

const lineFeed = 10

/**
 * The last lines of a text file, whole ones only, out of its last `limits.logBytes`;
 * undefined when there is no such file. Rejects with `state-denied` or `state-failed`.
 */
export async function readTail(path: string, lines: number): Promise<string | undefined> {
  const file = await openLog(path)
  if (file === undefined) return undefined
  try {
    const { size } = await file.stat()
    const length = Math.min(size, limits.logBytes)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length)
    return lastLines(buffer.subarray(0, bytesRead), lines, length < size)
  } catch (error) {
    throw stateError(error, path, 'read')
  } finally {
    await file.close()
  }
}

function lastLines(bytes: Buffer, lines: number, isCut: boolean): string {
  // A line feed at the end closes the last line and begins no other.
  let start = bytes.at(-1) === lineFeed ? bytes.length - 1 : bytes.length
  for (let left = lines; left > 0; left -= 1) {
    const before = start === 0 ? -1 : bytes.lastIndexOf(lineFeed, start - 1)
    if (before < 0) return bytes.subarray(isCut ? bytes.indexOf(lineFeed) + 1 : 0).toString('utf8')
    start = before
  }
  return bytes.subarray(start + 1).toString('utf8')
}
