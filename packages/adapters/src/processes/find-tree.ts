import type { ServerProcess } from '@thv/core'
import type { ProcessEntry } from './platform/process-entry.ts'

/**
 * Which of the listed processes belong to a server's tree: whoever carries its
 * marker, its process group, and the descendants of both. Pure.
 *
 * The group number alone proves nothing, because numbers are reused: the group
 * counts as the server's only while its leader is the recorded process, a member
 * carries the marker, or `groupIsOurs` (the caller has only now seen the leader
 * exit). `self` and everything up to pid 1 are never part of a tree.
 */
export function findTree(
  entries: readonly ProcessEntry[],
  server: ServerProcess,
  options: { self: number; groupIsOurs?: boolean },
): ProcessEntry[] {
  const leaderMatches = entries.some((one) => one.pid === server.pid && one.started === server.started)
  const inGroup = server.group > 1 ? entries.filter((one) => one.group === server.group) : []
  const groupIsOurs = options.groupIsOurs === true || leaderMatches || inGroup.some((one) => one.marked)

  const roots = entries.filter((one) => one.marked || (one.pid === server.pid && one.started === server.started))
  const tree = new Map<number, ProcessEntry>()
  const queue = groupIsOurs ? [...roots, ...inGroup] : roots
  const children = groupByParent(entries)
  for (let one = queue.pop(); one !== undefined; one = queue.pop()) {
    if (one.pid <= 1 || one.pid === options.self || tree.has(one.pid)) continue
    tree.set(one.pid, one)
    queue.push(...(children.get(one.pid) ?? []))
  }
  return [...tree.values()].filter((one) => !one.dead)
}

function groupByParent(entries: readonly ProcessEntry[]): Map<number, ProcessEntry[]> {
  const children = new Map<number, ProcessEntry[]>()
  for (const one of entries) {
    const siblings = children.get(one.parent)
    if (siblings === undefined) children.set(one.parent, [one])
    else siblings.push(one)
  }
  return children
}
