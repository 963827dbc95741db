// The memory of all processes that thv keeps for its workloads. The servers' own is left out.

import { listDescendants, listPidsByEnvironment, readCommandLine, readMemory } from './proc-stat.mjs'

const UNITS = ['rssMb', 'pssMb', 'ownMb']

/** Sums by kind of process, and over all. `records` are the status files of the workloads of these supervisors. */
export function takeAccount(supervisors, records) {
  const markers = records.map(({ thv }) => thv.server.marker)
  const others = new Set([...supervisors.flatMap(listDescendants), ...markers.flatMap(listPidsByEnvironment)])
  const account = { supervisor: empty(), guard: empty(), sandbox: empty(), forwarder: empty() }
  for (const pid of supervisors) add(account.supervisor, readMemory(pid))
  for (const pid of others) {
    const role = roleOf(readCommandLine(pid))
    if (role !== undefined && !supervisors.includes(pid)) add(account[role], readMemory(pid))
  }
  const all = empty()
  for (const part of Object.values(account)) for (const unit of Object.keys(all)) all[unit] += part[unit]
  return { account, all }
}

/** Every kind of process around a server but the server; undefined for that, and for one that has just ended. */
function roleOf(words) {
  const [executable = ''] = words
  if (words.at(-1) === 'server-guard') return 'guard'
  if (executable.endsWith('bwrap')) return 'sandbox'
  return words.some((word) => word.endsWith('forwarder.js')) ? 'forwarder' : undefined
}

function empty() {
  return { processes: 0, rssMb: 0, pssMb: 0, ownMb: 0 }
}

function add(part, memory) {
  if (memory === undefined) return
  part.processes++
  for (const unit of UNITS) part[unit] += memory[unit]
}
