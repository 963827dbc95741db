import type { ServerProcess } from '@thv/core'
import { reapTree } from './reap-tree.ts'

/**
 * The reaper's whole program: what the guard of a dead supervisor runs as
 * `<reaperCommand> <marker> <group> <started>`. Resolves to the exit code: 0 when
 * nothing of the tree lives any more, otherwise the guard does what a shell can.
 */
export async function reapMain(args: readonly string[]): Promise<number> {
  const server = parseReaperArguments(args)
  if (server === undefined) return 2
  try {
    // The deadline is inside; the guard that waits for us is the only one who could abort.
    await reapTree(server, { signal: new AbortController().signal })
    return 0
  } catch {
    return 1
  }
}

/** The three arguments after the reaper's own name; undefined when they are not those. */
export function parseReaperArguments(args: readonly string[]): ServerProcess | undefined {
  const [marker = '', group = '', started = ''] = args
  if (!/^[0-9a-f]{32}$/.test(marker) || !/^[1-9]\d*$/.test(group) || started === '') return undefined
  const pid = Number(group)
  return pid > 1 ? { pid, group: pid, started, marker } : undefined
}
