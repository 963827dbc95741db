// Loaded into a supervisor with NODE_OPTIONS: writes what its heap holds after a collection, again and again.
// RSS alone cannot tell a leak from a heap that the engine has not cleaned up yet.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const INTERVAL_MS = 5_000
const directory = process.env.THV_BENCH_HEAP

// Commands of thv inherit the option too; only the supervisor is of interest.
if (directory !== undefined && process.argv.includes('--foreground')) {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc')
  const report = async () => {
    collect()
    const { heapUsed, external } = process.memoryUsage()
    await writeFile(join(directory, String(process.pid)), JSON.stringify({ heapUsed, external })).catch(() => {})
  }
  setInterval(report, INTERVAL_MS).unref()
}
