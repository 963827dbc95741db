// Figures of a running process, read from /proc (Linux). Where there is no /proc the figures are missing, not wrong.

import { readFileSync, readdirSync } from 'node:fs'

// The unit of utime and stime as the kernel shows them to programs: 100 on every Linux that Node supports.
const TICKS_PER_SECOND = 100

/** CPU seconds of a process, and of it with its living descendants and the children it has already reaped. */
export function readCpu(pid) {
  const self = readStat(pid)
  if (self === undefined) return undefined
  let treeTicks = self.ownTicks + self.reapedTicks
  for (const child of listDescendants(pid)) {
    const stat = readStat(child)
    if (stat !== undefined) treeTicks += stat.ownTicks + stat.reapedTicks
  }
  return { selfSeconds: self.ownTicks / TICKS_PER_SECOND, treeSeconds: treeTicks / TICKS_PER_SECOND }
}

/**
 * Sizes in MB: resident; proportional, where the pages of the node binary are shared between all running Node processes;
 * and its own, which nobody shares and which is free again when the process ends.
 */
export function readMemory(pid) {
  const text = readText(`/proc/${pid}/smaps_rollup`)
  if (text === undefined) return undefined
  const megabytes = (field) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) / 1024
  const ownMb = megabytes('Private_Clean') + megabytes('Private_Dirty')
  return { rssMb: megabytes('Rss'), pssMb: megabytes('Pss'), ownMb }
}

/** When a process was started, on the clock of `performance.now()`; good to 10 ms, the kernel's own resolution. */
export function readStartTimeMs(pid) {
  const stat = readStat(pid)
  const uptime = readText('/proc/uptime')
  if (stat === undefined || uptime === undefined) return undefined
  const ageSeconds = Number(uptime.split(' ')[0]) - stat.startTicks / TICKS_PER_SECOND
  return performance.now() - ageSeconds * 1000
}

/** All living processes below `pid`. */
export function listDescendants(pid) {
  const childrenOf = new Map()
  for (const candidate of listPids()) {
    const parent = readStat(candidate)?.parent
    if (parent !== undefined) childrenOf.set(parent, [...(childrenOf.get(parent) ?? []), candidate])
  }
  const found = []
  const queue = [pid]
  while (queue.length > 0) {
    const children = childrenOf.get(queue.pop()) ?? []
    found.push(...children)
    queue.push(...children)
  }
  return found
}

/** Living processes whose environment mentions `text`: the way to find detached processes of one private directory. */
export function listPidsByEnvironment(text) {
  return listPids().filter((pid) => pid !== process.pid && readText(`/proc/${pid}/environ`)?.includes(text))
}

/** The words of a process's command line; none when it is gone. */
export function readCommandLine(pid) {
  return (readText(`/proc/${pid}/cmdline`) ?? '').split('\0').slice(0, -1)
}

function listPids() {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
  } catch {
    return []
  }
}

function readStat(pid) {
  const text = readText(`/proc/${pid}/stat`)
  if (text === undefined) return undefined
  // The command name stands in parentheses and may itself hold spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const [utime, stime, cutime, cstime] = fields.slice(11, 15).map(Number)
  return {
    parent: Number(fields[1]),
    ownTicks: utime + stime,
    reapedTicks: cutime + cstime,
    startTicks: Number(fields[19]),
  }
}

function readText(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
