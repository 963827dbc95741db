import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** Bytes of all files below a directory; links count as themselves. */
export async function directorySize(directory: string, signal: AbortSignal): Promise<number> {
  let bytes = 0
  const waiting = [directory]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    signal.throwIfAborted()
    const current = next
    const entries = await readdir(current, { withFileTypes: true })
    const sizes = await Promise.all(
      entries.map(async (entry) => {
        const path = join(current, entry.name)
        if (!entry.isDirectory()) return (await lstat(path)).size
        waiting.push(path)
        return 0
      }),
    )
    for (const size of sizes) bytes += size
  }
  return bytes
}
